package introspection

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/introspect"
)

const issuer = "https://as.example"

var errInjected = errors.New("injected")

// endpointFunc is an endpoint of tests.
type endpointFunc func(ctx context.Context, q Question) attempt

func (f endpointFunc) ask(ctx context.Context, q Question) attempt { return f(ctx, q) }
func (endpointFunc) warm(context.Context) error                    { return nil }
func (endpointFunc) ready() error                                  { return nil }
func (endpointFunc) warnings() []string                            { return nil }

// newAsker returns an Asker of client and b that asks x.
func newAsker(t *testing.T, client introspect.Client, b Binding, x endpoint) *Asker {
	t.Helper()
	f := fault.In("introspection")
	checkBounds(f, &client)
	if err := f.Err(); err != nil {
		t.Fatal(err)
	}
	if b.Issuer == "" {
		b.Issuer = issuer
	}
	a := &Asker{client: client, binding: b}
	a.open(x)
	return a
}

// active is the attempt that got the document of an active token, began now.
func active(t *testing.T, document string) attempt {
	t.Helper()
	members, err := strictjson.ParseObject(document, strictjson.TokenLimits, nil)
	if err != nil {
		t.Fatal(err)
	}
	return attempt{answer: Answer{Active: true, Document: document, Members: members, Began: time.Now()}, status: 200, requests: 1}
}

var (
	yes = attempt{answer: Answer{Active: true}, status: 200, requests: 1}
	no  = attempt{status: 200, requests: 1}
	odd = attempt{answer: Answer{Odd: errInjected}, status: 200, requests: 1}
)

func failed(kind introspect.Kind, status int) attempt {
	return attempt{kind: kind, err: errInjected, status: status, requests: 1}
}

// cut is a failure of a request that the server may have got.
func cut(kind introspect.Kind, status int) attempt {
	a := failed(kind, status)
	a.reached = true
	return a
}

// kindOf returns the kind of err, or "" if it is nil.
func kindOf(t *testing.T, err error) introspect.Kind {
	t.Helper()
	if err == nil {
		return ""
	}
	failure, ok := errors.AsType[*introspect.Error](err)
	if !ok {
		t.Fatalf("the error is a %T: %v", err, err)
	}
	return failure.Kind()
}

func retryAfter(t *testing.T, err error) time.Duration {
	t.Helper()
	failure, ok := errors.AsType[*introspect.Error](err)
	if !ok {
		t.Fatalf("the error is a %T: %v", err, err)
	}
	return failure.RetryAfter()
}

// recorder is a Trace that keeps what it is told.
type recorder struct {
	mu     sync.Mutex
	asked  []introspect.AskDone
	states []introspect.State
}

func (r *recorder) trace() *introspect.Trace {
	return &introspect.Trace{
		AskDone: func(_ string, done introspect.AskDone) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.asked = append(r.asked, done)
			panic("injected")
		},
		StateChanged: func(_ string, state introspect.State) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.states = append(r.states, state)
			panic("injected")
		},
	}
}

// last returns the last AskDone.
func (r *recorder) last() introspect.AskDone {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked[len(r.asked)-1]
}

// take returns the states since the last call.
func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, s := range r.states {
		names = append(names, string(s))
	}
	r.states = nil
	return strings.Join(names, " ")
}

// counted returns an endpoint that answers with *result, and the number of its calls.
func counted(result *attempt) (endpoint, *atomic.Int64) {
	var calls atomic.Int64
	return endpointFunc(func(context.Context, Question) attempt {
		calls.Add(1)
		return *result
	}), &calls
}
