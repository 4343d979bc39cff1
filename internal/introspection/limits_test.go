package introspection

import (
	"context"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/introspect"
)

// paths returns the sorted paths of the faults in err.
func paths(err error) (all []string) {
	for _, f := range fault.All(err) {
		all = append(all, f.Path)
	}
	sort.Strings(all)
	return all
}

func limits(timeout time.Duration, concurrency, queue int, queueTimeout time.Duration, answerBytes int, maxHold time.Duration) introspect.Limits {
	return introspect.Limits{Timeout: timeout, Concurrency: concurrency, Queue: queue, QueueTimeout: queueTimeout, AnswerBytes: answerBytes, MaxHold: maxHold}
}

func sharedLimits(concurrency, queue, waiters int) introspect.SharedLimits {
	return introspect.SharedLimits{Concurrency: concurrency, Queue: queue, Waiters: waiters}
}

// TestLimits covers R-IN-13 and R-OP-07: zero fields have the documented defaults, the
// bounds are allowed, and what is beyond them is a fault that names the field, all at
// once.
func TestLimits(t *testing.T) {
	check := func(client introspect.Client) (introspect.Client, error) {
		f := fault.In("introspection")
		checkBounds(f, &client)
		return client, f.Err()
	}
	const ms = time.Millisecond
	got, err := check(introspect.Client{})
	if want := limits(3*time.Second, 32, 256, time.Second, 256<<10, 30*time.Second); err != nil || got.Limits != want {
		t.Errorf("%+v, %v", got.Limits, err)
	}
	if want := (introspect.Cache{TTL: 30 * time.Second, Negative: 5 * time.Second}); got.Cache != want {
		t.Errorf("%+v", got.Cache)
	}
	for _, client := range []introspect.Client{
		{Limits: limits(100*ms, 1, 1, 10*ms, 1<<10, time.Second), Cache: introspect.Cache{TTL: time.Second, Negative: 1}},
		{Limits: limits(30*time.Second, 10_000, 100_000, 30*time.Second, 1<<20, 5*time.Minute), Cache: introspect.Cache{TTL: 5 * time.Minute, Negative: 5 * time.Second}},
		{Cache: introspect.Cache{TTL: introspect.NoCache, Negative: introspect.NoCache}},
		{Store: newLRU(1), StoreSecret: introspect.SecretText("short ones are found when they are read")},
	} {
		if _, err := check(client); err != nil {
			t.Error(err)
		}
	}
	all := []string{"Cache.Negative", "Cache.TTL", "Limits.AnswerBytes", "Limits.Concurrency", "Limits.MaxHold", "Limits.Queue", "Limits.QueueTimeout", "Limits.Timeout"}
	for _, client := range []introspect.Client{
		{Limits: limits(100*ms-1, -1, -1, 10*ms-1, 1<<10-1, time.Second-1), Cache: introspect.Cache{TTL: time.Second - 1, Negative: -2}},
		{Limits: limits(30*time.Second+1, 10_001, 100_001, 30*time.Second+1, 1<<20+1, 5*time.Minute+1), Cache: introspect.Cache{TTL: 5*time.Minute + 1, Negative: 5*time.Second + 1}},
	} {
		if _, err := check(client); !slices.Equal(paths(err), all) {
			t.Errorf("faults of %v: %v", paths(err), err)
		}
	}
	if _, err := check(introspect.Client{Store: newLRU(1)}); !slices.Equal(paths(err), []string{"StoreSecret"}) {
		t.Error(err)
	}
	if _, err := check(introspect.Client{StoreSecret: introspect.SecretText("x")}); !slices.Equal(paths(err), []string{"StoreSecret"}) {
		t.Error(err)
	}
}

// TestSharedLimits does the same for the bounds over all issuers.
func TestSharedLimits(t *testing.T) {
	for _, limits := range []introspect.SharedLimits{{}, sharedLimits(1, 1, 1), sharedLimits(100_000, 1_000_000, 1_000_000)} {
		if _, err := NewShared(limits); err != nil {
			t.Error(err)
		}
	}
	if s, _ := NewShared(introspect.SharedLimits{}); s.limits != sharedLimits(128, 1024, 10_000) {
		t.Errorf("%+v", s.limits)
	}
	for _, limits := range []introspect.SharedLimits{sharedLimits(-1, -1, -1), sharedLimits(100_001, 1_000_001, 1_000_001)} {
		if s, err := NewShared(limits); s != nil || !slices.Equal(paths(err), []string{"Concurrency", "Queue", "Waiters"}) {
			t.Errorf("%v, %v", s, err)
		}
	}
}

// TestOpenFaults shows that Open reports the faults of the bounds, and what the Asker
// tells of its configuration.
func TestOpenFaults(t *testing.T) {
	_, err := Open(&introspect.Client{Limits: introspect.Limits{Timeout: -1}, Cache: introspect.Cache{TTL: 1}}, Binding{})
	if got := paths(err); !slices.Contains(got, "Limits.Timeout") || !slices.Contains(got, "Cache.TTL") {
		t.Error(err)
	}
	x := endpointFunc(func(context.Context, Question) attempt { return yes })
	for _, row := range []struct {
		cache         introspect.Cache
		ttl, negative time.Duration
	}{
		{introspect.Cache{}, 30 * time.Second, 5 * time.Second},
		{introspect.Cache{TTL: introspect.NoCache}, 0, 0},
		{introspect.Cache{Negative: introspect.NoCache}, 30 * time.Second, 0},
		{introspect.Cache{TTL: time.Minute, Negative: time.Second}, time.Minute, time.Second},
	} {
		a := newAsker(t, introspect.Client{Cache: row.cache}, Binding{}, x)
		if a.TTL() != row.ttl || a.Negative() != row.negative || a.Longest() != 4100*time.Millisecond || a.Warnings() != nil {
			t.Errorf("%+v: %v, %v, %v, %v", row.cache, a.TTL(), a.Negative(), a.Longest(), a.Warnings())
		}
	}
	stored := introspect.Client{Store: newLRU(1), StoreSecret: introspect.SecretText(storeSecret)}
	if a := newAsker(t, stored, Binding{}, x); a.Longest() != 4300*time.Millisecond || a.Warnings() != nil {
		t.Errorf("%v, %v", a.Longest(), a.Warnings())
	}
	stored.Cache.TTL = introspect.NoCache
	if a := newAsker(t, stored, Binding{}, x); len(a.Warnings()) != 1 {
		t.Errorf("%v", a.Warnings())
	}
}
