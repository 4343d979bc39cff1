package latency

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"time"
)

// floodOrder says what a flood in a child sends.
type floodOrder struct {
	Protocol string        `json:"protocol"`
	Address  string        `json:"address"` // of the server
	Rate     float64       `json:"rate"`
	Length   time.Duration `json:"length"`
	Kind     string        `json:"kind"`
	Tokens   []string      `json:"tokens"`
}

// The kinds of floods.
const (
	floodKids       = "random kids"    // a token of Tokens with a kid of its own in each request, and junk as the signature
	floodSignatures = "bad signatures" // a token of Tokens with junk as the signature
	floodTokens     = "tokens"         // Tokens in turn
)

// floodWorkers is how many requests of a flood are under way at once. A server may let 1 000
// of them wait.
const floodWorkers = 1500

// flood is a flood in a child.
type flood struct {
	order  floodOrder
	client client
	cancel context.CancelFunc
	done   sync.WaitGroup

	samples []sample
	err     error
}

func newFlood(o floodOrder) (*flood, error) {
	if o.Rate <= 0 || len(o.Tokens) == 0 {
		return nil, fmt.Errorf("latency: a flood of %d tokens at %g requests a second", len(o.Tokens), o.Rate)
	}
	c, err := newClient(o.Protocol, o.Address, floodWorkers)
	return &flood{order: o, client: c, cancel: func() {}}, err
}

func (f *flood) ask(what string) reply {
	switch what {
	case askStart:
		var ctx context.Context
		ctx, f.cancel = context.WithCancel(context.Background())
		f.done.Go(func() {
			l := load{rate: f.order.Rate, length: f.order.Length, workers: floodWorkers}
			f.samples, f.err = l.run(ctx, time.Now(), func(ctx context.Context, worker, i int) int {
				return f.client.send(ctx, worker, bearer(f.order.token(i)))
			})
		})
	case askStop:
		f.done.Wait()
		if f.err != nil {
			return reply{Error: f.err.Error()}
		}
		answer := reply{Answers: make(map[int]int)}
		for _, s := range f.samples {
			answer.Answers[s.status]++
		}
		return answer
	}
	return reply{}
}

func (f *flood) close() {
	f.cancel()
	f.done.Wait()
	f.client.close()
}

// token returns the i-th token.
func (o *floodOrder) token(i int) string {
	token := o.Tokens[i%len(o.Tokens)]
	if o.Kind == floodTokens {
		return token
	}
	parts := strings.Split(token, ".")
	if o.Kind == floodKids {
		parts[0] = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"` + rand.Text() + `"}`))
	}
	junk := make([]byte, 64)
	_, _ = rand.Read(junk) // never fails
	return parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(junk)
}
