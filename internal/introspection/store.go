package introspection

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/introspect"
)

const (
	storeTimeout  = 100 * time.Millisecond // of one call of a Store
	storeRest     = time.Second            // after an error
	storeCalls    = 256                    // under way at once; there are more only if a Store ignores its context, or in a flood
	secretTimeout = 5 * time.Second
)

var (
	errStorePanic = errors.New("introspection: the Store panicked")
	errStoreBusy  = errors.New("introspection: too many calls of the Store are under way")
)

// sealedStore keeps answers in a Store of the user. A nil sealedStore keeps nothing.
// The Store may be slow, lose values, change them, panic, and ignore its context: the
// caller waits no longer than storeTimeout, and learns only whether there is an answer.
type sealedStore struct {
	client *introspect.Client
	issuer string
	calls  atomic.Int64

	mu      sync.Mutex
	seal    *seal            // nil until the secret has been read
	reading *detached.Flight // of the secret
	fault   error            // of the last reading
	resting time.Time        // until when the Store is left alone
}

func newSealedStore(client *introspect.Client, issuer string) *sealedStore {
	return &sealedStore{client: client, issuer: issuer}
}

// get returns the answer that the Store has for q, if it is of use.
func (s *sealedStore) get(ctx context.Context, q *Question) (Answer, bool) {
	if s == nil || q.Once {
		return Answer{}, false
	}
	seal := s.ready(ctx)
	if seal == nil {
		return Answer{}, false
	}
	key := seal.key(q.Token)
	value, _ := s.call(ctx, func(ctx context.Context) ([]byte, error) {
		value, found, err := s.client.Store.Get(ctx, key)
		if err != nil || !found {
			return nil, err
		}
		return value, nil
	})
	r, err := seal.open(key, value) // nil if there is none, or with an error
	if err != nil {
		return Answer{}, false
	}
	return r.answer(q, s.client.Cache.TTL, clock.Now(ctx))
}

// set gives the answer about q to the Store, if it may be stored.
func (s *sealedStore) set(ctx context.Context, q *Question, a *Answer) {
	if s == nil || q.Once {
		return
	}
	now := clock.Now(ctx)
	r, ok := recordOf(a, now)
	if !ok {
		return
	}
	seal := s.ready(ctx)
	if seal == nil {
		return
	}
	key := seal.key(q.Token)
	value, err := seal.close(key, r)
	if err != nil || len(value) > maxSealed {
		return
	}
	_, _ = s.call(ctx, func(ctx context.Context) ([]byte, error) {
		return nil, s.client.Store.Set(ctx, key, value, r.lifetime(s.client.Cache.TTL, now))
	})
}

// call calls the Store and waits for it, no longer than storeTimeout. After an error it
// lets the Store rest.
func (s *sealedStore) call(ctx context.Context, do func(context.Context) ([]byte, error)) ([]byte, error) {
	if s.calls.Add(1) > storeCalls {
		s.calls.Add(-1)
		return nil, errStoreBusy
	}
	alone, cancel := context.WithTimeout(clock.Alone(ctx), storeTimeout)
	defer cancel()
	type result struct {
		value []byte
		err   error
	}
	results := make(chan result, 1)
	go func() {
		defer s.calls.Add(-1)
		r := result{err: errStorePanic} // stays if the Store panics or ends the goroutine
		defer func() {
			_ = recover()
			results <- r
		}()
		value, err := do(alone)
		r = result{value, err}
	}()
	select {
	case r := <-results:
		s.rest(r.err)
		return r.value, r.err
	case <-alone.Done():
		s.rest(alone.Err())
		return nil, alone.Err()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", detached.ErrLeft, ctx.Err())
	}
}

// rest lets the Store rest, if err is an error.
func (s *sealedStore) rest(err error) {
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.resting = time.Now().Add(storeRest)
	}
}

// ready returns the seal, or nil if the Store cannot be used now. It waits for the
// secret no longer than storeTimeout.
func (s *sealedStore) ready(ctx context.Context) *seal {
	s.mu.Lock()
	seal, resting := s.seal, time.Now().Before(s.resting)
	s.mu.Unlock()
	switch {
	case resting:
		return nil
	case seal != nil:
		return seal
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	_ = s.read(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seal
}

// warm reads the secret.
func (s *sealedStore) warm(ctx context.Context) error {
	if s == nil {
		return nil
	}
	return s.read(ctx)
}

// read waits until the secret has been read. A reading is shared by all callers.
func (s *sealedStore) read(ctx context.Context) error {
	s.mu.Lock()
	if s.seal != nil {
		s.mu.Unlock()
		return nil
	}
	reading := s.reading
	if reading == nil {
		reading = detached.NewFlight()
		s.reading = reading
		go s.load(ctx, reading)
	}
	s.mu.Unlock()
	return reading.Wait(ctx, math.MaxInt) // Flights bound the callers
}

// load reads the secret, once.
func (s *sealedStore) load(ctx context.Context, reading *detached.Flight) {
	seal, over, err := detached.Do(ctx, secretTimeout, func(ctx context.Context) (*seal, error) {
		secret, err := s.client.StoreSecret.Read(ctx)
		if err != nil {
			return nil, err
		}
		return newSeal(secret, s.client, s.issuer)
	})
	s.mu.Lock()
	if s.seal, s.fault = seal, err; err != nil {
		s.resting = time.Now().Add(storeRest)
	}
	s.mu.Unlock()
	reading.Land(err)
	<-over // a reading that ignores its context is not begun a second time
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading = nil
}

// err returns why the secret could not be read last, or nil.
func (s *sealedStore) err() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}
