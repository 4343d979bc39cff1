package discovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fetch"
)

var (
	errNoAnswer = errors.New("no answer in time")
	errPending  = errors.New("earlier requests do not end; does the HTTP transport heed the request's context?")
	errPanic    = errors.New("the HTTP transport panicked or ended its goroutine")
)

// maxPending is how many requests may be under way when further ones begin:
// those of a transport that does not end them in time pile up.
const maxPending = 12

// answer is what became of one location: a document that can be used, or err.
type answer struct {
	at       int // in the order of the locations
	location string
	metadata *Metadata
	err      error
}

// ask asks all locations at once, and answers in their order. One that has not
// answered when it is time to decide has failed.
func (c *Client) ask(ctx context.Context, issuer string, locations []string) []answer {
	ctx, cancel := context.WithTimeout(ctx, fetch.Timeout)
	defer cancel()
	if c.pending.Load() > maxPending {
		return []answer{{err: errPending}}
	}
	arrivals := make(chan answer, len(locations)) // so that none who is late waits for a reader
	answers := make([]answer, len(locations))
	for at, location := range locations {
		answers[at] = answer{at, location, nil, errNoAnswer}
		c.pending.Add(1)
		go func() {
			a := answer{at, location, nil, errPanic}
			defer func() {
				_ = recover() // a says so
				c.pending.Add(-1)
				arrivals <- a
			}()
			a.metadata, a.err = c.get(ctx, issuer, location)
		}()
	}
	var settled <-chan time.Time
	for range locations {
		select {
		case a := <-arrivals:
			answers[a.at] = a
			if a.err == nil && settled == nil {
				settled = time.After(settleTime)
			}
		case <-settled:
			return answers
		case <-ctx.Done():
			return answers
		}
	}
	return answers
}

// decide picks the first usable document, if the others agree with it.
func decide(answers []answer) (*Metadata, error) {
	var first answer
	for _, a := range answers {
		switch {
		case a.err != nil:
		case first.metadata == nil:
			first = a
		case a.metadata.JWKSURI != first.metadata.JWKSURI:
			return nil, fmt.Errorf("%w: %s names %.100q, and %s names %.100q",
				ErrDisagree, first.location, first.metadata.JWKSURI, a.location, a.metadata.JWKSURI)
		}
	}
	if first.metadata == nil {
		return nil, failure(answers, nil)
	}
	return first.metadata, nil
}

// failure tells why there is no metadata: what ended the search, unless it is
// nil, and what became of each location.
func failure(answers []answer, end error) error {
	failures := []error{ErrNoMetadata, end}
	for _, a := range answers {
		if a.err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", a.location, a.err))
		}
	}
	return errors.Join(failures...)
}
