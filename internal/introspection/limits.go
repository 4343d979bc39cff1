package introspection

import (
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/introspect"
)

// checkBounds sets the defaults of the limits and the cache of client, and adds a
// fault for every field that is out of bounds or does not fit another one.
func checkBounds(faults fault.List, client *introspect.Client) {
	checkLimits(faults.At("Limits"), &client.Limits)
	checkCache(faults.At("Cache"), &client.Cache)
	switch {
	case client.Store != nil && client.StoreSecret.IsZero():
		faults.At("StoreSecret").Add("is missing, and there is a Store", "set a secret of at least 32 bytes that all processes with this Store share")
	case client.Store == nil && !client.StoreSecret.IsZero():
		faults.At("StoreSecret").Add("is set without a Store", "set Store or leave StoreSecret out")
	}
}

func checkLimits(faults fault.List, l *introspect.Limits) {
	fault.Bound(faults, "Timeout", &l.Timeout, 3*time.Second, 100*time.Millisecond, 30*time.Second)
	fault.Bound(faults, "QueueTimeout", &l.QueueTimeout, time.Second, 10*time.Millisecond, 30*time.Second)
	fault.Bound(faults, "MaxHold", &l.MaxHold, 30*time.Second, time.Second, 5*time.Minute)
	fault.Bound(faults, "Concurrency", &l.Concurrency, 32, 1, 10_000)
	fault.Bound(faults, "Queue", &l.Queue, 256, 1, 100_000)
	fault.Bound(faults, "AnswerBytes", &l.AnswerBytes, 256<<10, 1<<10, 1<<20)
}

// checkCache is checkLimits for the times of answers. NoCache stays as it is.
func checkCache(faults fault.List, c *introspect.Cache) {
	if c.TTL != introspect.NoCache {
		fault.Bound(faults, "TTL", &c.TTL, 30*time.Second, time.Second, 5*time.Minute)
	}
	if c.Negative != introspect.NoCache {
		fault.Bound(faults, "Negative", &c.Negative, 5*time.Second, time.Nanosecond, 5*time.Second)
	}
}

// checkSharedLimits sets the defaults of l and returns a fault for every field that
// is out of bounds.
func checkSharedLimits(l *introspect.SharedLimits) error {
	faults := fault.In("introspection")
	fault.Bound(faults, "Concurrency", &l.Concurrency, 128, 1, 100_000)
	fault.Bound(faults, "Queue", &l.Queue, 1024, 1, 1_000_000)
	fault.Bound(faults, "Waiters", &l.Waiters, 10_000, 1, 1_000_000)
	return faults.Err()
}
