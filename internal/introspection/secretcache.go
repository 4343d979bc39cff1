package introspection

import (
	"context"
	"crypto/sha256"
	"math"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
)

const (
	readTimeout    = 2 * time.Second // of one reading of a secret
	rereadInterval = 5 * time.Second // between two readings of a secret
	// maxLate bounds the goroutines of work that did not end in its time, because a
	// function of the user ignores its context.
	maxLate = 4
)

// secretCache holds a secret, made into a T, as it was read last. Readings are shared,
// have a time limit of their own, and begin at least rereadInterval apart.
type secretCache[T any] struct {
	// read returns the secret and the text that it was made from.
	read func(context.Context) (T, string, error)

	mu      sync.Mutex
	current held[T]
	err     error     // of the last reading
	began   time.Time // of the last reading
	flight  *detached.Flight
	running int // readings, with those that are late
}

// held is a secret that was read.
type held[T any] struct {
	value   T
	version int               // from 1; another value has another version
	digest  [sha256.Size]byte // of the text
}

// get returns the secret, and reads it if that has not succeeded yet.
func (c *secretCache[T]) get(ctx context.Context) (held[T], error) {
	c.mu.Lock()
	current := c.current
	c.mu.Unlock()
	if current.version > 0 {
		return current, nil
	}
	if err := c.reread(ctx); err != nil {
		return held[T]{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current.version > 0 {
		return c.current, nil
	}
	return held[T]{}, c.err
}

// renew reads the secret again, unless that happened a short time ago, and reports
// whether it has another version now than the given one.
func (c *secretCache[T]) renew(ctx context.Context, version int) bool {
	if c.differs(version) {
		return true
	}
	_ = c.reread(ctx) // the current value stays
	return c.differs(version)
}

func (c *secretCache[T]) differs(version int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current.version != version
}

// reread waits for a reading that is under way, or for a new one if the last is long
// enough ago.
func (c *secretCache[T]) reread(ctx context.Context) error {
	c.mu.Lock()
	flight := c.flight
	if flight == nil && c.running < maxLate && (c.began.IsZero() || time.Since(c.began) >= rereadInterval) {
		flight = detached.NewFlight()
		c.flight, c.began = flight, time.Now()
		c.running++
		go c.load(ctx, flight)
	}
	c.mu.Unlock()
	if flight == nil {
		return nil
	}
	return flight.Wait(ctx, math.MaxInt)
}

// load reads the secret.
func (c *secretCache[T]) load(ctx context.Context, flight *detached.Flight) {
	type result struct {
		value T
		text  string
	}
	r, over, err := detached.Do(ctx, readTimeout, func(ctx context.Context) (result, error) {
		value, text, err := c.read(ctx)
		return result{value, text}, err
	})
	c.mu.Lock()
	c.flight, c.err = nil, err
	if digest := sha256.Sum256([]byte(r.text)); err == nil && (c.current.version == 0 || digest != c.current.digest) {
		c.current = held[T]{r.value, c.current.version + 1, digest}
	}
	c.mu.Unlock()
	flight.Land(err)
	<-over
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
}
