package introspection

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/zero"
	"github.com/sallyport-auth/sallyport/introspect"
)

const (
	storeSecret = "0123456789abcdef0123456789abcdef"
	token       = "opaque-canary-token"
)

// lru is a Store of a process: a map of at most size values, of which those go first
// that were used last. It keeps to the times that it is given.
type lru struct {
	mu     sync.Mutex
	size   int
	order  *list.List
	values map[[32]byte]*list.Element
	gets   int
	sets   int
}

type lruEntry struct {
	key   [32]byte
	value []byte
	until time.Time
}

func newLRU(size int) *lru {
	return &lru{size: size, order: list.New(), values: make(map[[32]byte]*list.Element)}
}

func (s *lru) Get(_ context.Context, key [32]byte) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets++
	e := s.values[key]
	if e == nil || time.Now().After(e.Value.(*lruEntry).until) {
		return nil, false, nil
	}
	s.order.MoveToFront(e)
	return bytes.Clone(e.Value.(*lruEntry).value), true, nil
}

func (s *lru) Set(_ context.Context, key [32]byte, value []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sets++
	if e := s.values[key]; e != nil {
		s.order.Remove(e)
	}
	s.values[key] = s.order.PushFront(&lruEntry{key, bytes.Clone(value), time.Now().Add(ttl)})
	if s.order.Len() > s.size {
		delete(s.values, s.order.Remove(s.order.Back()).(*lruEntry).key)
	}
	return nil
}

// change replaces all values by what f returns for them.
func (s *lru) change(f func([]byte) []byte) {
	for _, e := range s.values {
		e.Value.(*lruEntry).value = f(bytes.Clone(e.Value.(*lruEntry).value))
	}
}

// faulty is a Store that keeps values for ever, and loses, changes and delays them as its
// function says.
type faulty struct {
	calls  atomic.Int64
	values sync.Map
	fault  func(ctx context.Context, value []byte) ([]byte, error)
}

func (s *faulty) Get(ctx context.Context, key [32]byte) ([]byte, bool, error) {
	s.calls.Add(1)
	stored, _ := s.values.Load(key)
	value, _ := stored.([]byte)
	value, err := s.fault(ctx, bytes.Clone(value))
	return value, value != nil, err
}

func (s *faulty) Set(ctx context.Context, key [32]byte, value []byte, _ time.Duration) error {
	s.calls.Add(1)
	value, err := s.fault(ctx, bytes.Clone(value))
	s.values.Store(key, value)
	return err
}

// withStore returns an Asker with a Store, and the number of its requests. Each gets an
// active answer with the document, begun at the time of the context.
func withStore(t *testing.T, store introspect.Store, client introspect.Client, b Binding, document string) (*Asker, *atomic.Int64) {
	t.Helper()
	var calls atomic.Int64
	client.Store = store
	if client.StoreSecret.IsZero() {
		client.StoreSecret = introspect.SecretText(storeSecret)
	}
	return newAsker(t, client, b, endpointFunc(func(ctx context.Context, _ Question) attempt {
		calls.Add(1)
		result := active(t, document)
		result.answer.Began = clock.Now(ctx)
		return result
	})), &calls
}

// TestStore shows that a token costs one request, however many processes ask about it,
// with both kinds of Store, and that the answer is the one that the first got.
func TestStore(t *testing.T) {
	for name, store := range map[string]introspect.Store{
		"lru":    newLRU(10),
		"faulty": &faulty{fault: func(_ context.Context, value []byte) ([]byte, error) { return value, nil }},
	} {
		synctest.Test(t, func(t *testing.T) {
			const document = `{"active":true,"sub":"alice","scope":"a b"}`
			var seen recorder
			first, calls := withStore(t, store, introspect.Client{ID: "api"}, Binding{}, document)
			second, none := withStore(t, store, introspect.Client{ID: "api"}, Binding{Trace: seen.trace()}, document)
			start := time.Now()
			if err := errors.Join(first.Warm(t.Context()), second.Warm(t.Context())); err != nil {
				t.Fatal(err)
			}
			want, err := first.Ask(t.Context(), Question{Token: token})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
			for range 100 {
				got, err := second.Ask(t.Context(), Question{Token: token})
				if err != nil || !got.Active || got.Document != want.Document || fmt.Sprint(got.Members) != fmt.Sprint(want.Members) || !got.Began.Equal(start.Truncate(time.Millisecond)) {
					t.Fatalf("%s: %+v, %v", name, got, err)
				}
			}
			if calls.Load() != 1 || none.Load() != 0 || len(seen.asked) != 0 {
				t.Errorf("%s: %d and %d calls, %d hooks", name, calls.Load(), none.Load(), len(seen.asked))
			}
		})
	}
}

// TestStoreOnce shows which questions are not answered from a Store and which answers are
// not put there.
func TestStoreOnce(t *testing.T) {
	exp := func(after time.Duration) string {
		return fmt.Sprintf(`{"active":true,"exp":%d}`, time.Now().Add(after).Unix())
	}
	for _, row := range []struct {
		name     string
		document func() string
		change   func(*attempt)
		first    Question
		second   Question
		client   introspect.Client
		wait     time.Duration
		calls    int64
	}{
		{name: "stored", calls: 1},
		{name: "as old as the TTL", wait: 30 * time.Second, calls: 1},
		{name: "older than the TTL", wait: 30*time.Second + time.Millisecond, calls: 2},
		{name: "older than a TTL of its own", client: introspect.Client{Cache: introspect.Cache{TTL: time.Second}}, wait: 1001 * time.Millisecond, calls: 2},
		{name: "first once", first: Question{Once: true}, calls: 2},
		{name: "then once", second: Question{Once: true}, calls: 2},
		{name: "no cache", client: introspect.Client{Cache: introspect.Cache{TTL: introspect.NoCache}}, calls: 2},
		{name: "before exp", document: func() string { return exp(5 * time.Second) }, wait: 4999 * time.Millisecond, calls: 1},
		{name: "at exp", document: func() string { return exp(5 * time.Second) }, wait: 5 * time.Second, calls: 2},
		{name: "exp is over", document: func() string { return exp(0) }, calls: 2},
		{name: "exp is no date", document: func() string { return `{"active":true,"exp":"tomorrow"}` }, calls: 2},
		{name: "inactive", change: func(a *attempt) { a.answer.Active = false }, calls: 2},
		{name: "odd", change: func(a *attempt) { a.answer.Odd = errInjected }, calls: 2},
		{name: "failed", change: func(a *attempt) { *a = failed(introspect.ServerError, 500) }, calls: 2},
		{name: "large", document: func() string { return `{"active":true,"x":"` + strings.Repeat("x", 64<<10) + `"}` }, calls: 2},
		{name: "just small enough", document: func() string {
			return `{"active":true,"x":"` + strings.Repeat("x", maxSealed-1-28-recordHead-len(`{"active":true,"x":""}`)) + `"}`
		}, calls: 1},
		{name: "just too large", document: func() string {
			return `{"active":true,"x":"` + strings.Repeat("x", maxSealed-28-recordHead-len(`{"active":true,"x":""}`)) + `"}`
		}, calls: 2},
		{name: "active is not true", document: func() string { return `{"active":"true"}` }, calls: 2},
		{name: "not JSON", change: func(a *attempt) { a.answer.Document = `{"active":true` }, calls: 2},
		{name: "deep", document: func() string { return `{"active":true}` }, change: func(a *attempt) { a.answer.Document = `{"active":true,"active":true}` }, calls: 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			document := `{"active":true}`
			if row.document != nil {
				document = row.document()
			}
			calls := int64(0)
			client := row.client
			store := newLRU(10)
			client.Store, client.StoreSecret = store, introspect.SecretText(storeSecret)
			a := newAsker(t, client, Binding{}, endpointFunc(func(context.Context, Question) attempt {
				calls++
				result := active(t, document)
				if row.change != nil {
					row.change(&result)
				}
				return result
			}))
			_, _ = a.Ask(t.Context(), row.first)
			time.Sleep(row.wait)
			_, _ = a.Ask(t.Context(), row.second)
			if calls != row.calls {
				t.Errorf("%s: %d calls, want %d", row.name, calls, row.calls)
			}
			if large := strings.Contains(row.name, "large"); large && store.sets != 0 {
				t.Errorf("%s: put into the Store", row.name)
			}
		})
	}
}

// TestExpiredIsNotStored shows that an answer whose exp is over is not put into a Store.
func TestExpiredIsNotStored(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	answer := active(t, `{"active":true,"exp":1700000000}`).answer
	if _, ok := recordOf(&answer, now); ok {
		t.Error("stored at exp")
	}
	if _, ok := recordOf(&answer, now.Add(-1)); !ok {
		t.Error("not stored before exp")
	}
}

// TestStoreNotBefore shows that a stored answer that was begun before Question.NotBefore
// does not count, and none whose age nobody knows.
func TestStoreNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, calls := withStore(t, newLRU(10), introspect.Client{}, Binding{}, `{"active":true}`)
		began := time.Now().Truncate(time.Millisecond)
		ask := func(ctx context.Context, notBefore time.Time, want int64) {
			t.Helper()
			if _, err := a.Ask(ctx, Question{NotBefore: notBefore}); err != nil || calls.Load() != want {
				t.Errorf("%v, %d calls, want %d", err, calls.Load(), want)
			}
		}
		ask(t.Context(), time.Time{}, 1)
		time.Sleep(time.Second)
		ask(t.Context(), began, 1)
		ask(t.Context(), began.Add(time.Millisecond), 2)
		behind := clock.At(t.Context(), time.Now().Add(-time.Minute))
		ask(behind, time.Time{}, 2)
		ask(behind, began.Add(-time.Hour), 3)
	})
}

// TestStoreClocks covers R-IN-13 with processes whose clocks differ by a minute: no
// answer is used after exp by the clock of the reader, and none for longer than the TTL
// and the difference of the clocks. What seems to come from the future counts as begun
// now, and what comes from far in the future does not count.
func TestStoreClocks(t *testing.T) {
	const ttl, life = 30 * time.Second, 45 * time.Second
	for _, skew := range []time.Duration{-time.Minute, -time.Second, 0, time.Second, time.Minute, maxAhead, maxAhead + time.Second} {
		synctest.Test(t, func(t *testing.T) {
			store := &faulty{fault: func(_ context.Context, value []byte) ([]byte, error) { return value, nil }}
			start := time.Now()
			exp := start.Add(life) // by the clock of the reader
			document := fmt.Sprintf(`{"active":true,"exp":%d}`, exp.Unix())
			writer, _ := withStore(t, store, introspect.Client{}, Binding{}, document)
			if _, err := writer.Ask(clock.At(t.Context(), start.Add(skew)), Question{}); err != nil {
				t.Fatal(err)
			}
			refuses := newAsker(t, introspect.Client{Store: store, StoreSecret: introspect.SecretText(storeSecret)}, Binding{}, endpointFunc(func(context.Context, Question) attempt {
				return failed(introspect.RequestRefused, 400)
			}))
			var last time.Duration = -1
			for age := time.Duration(0); age < 2*time.Minute; age += time.Second {
				answer, err := refuses.Ask(t.Context(), Question{})
				if err == nil {
					last = age
					if answer.Began.After(time.Now()) {
						t.Errorf("skew %v: begun in the future", skew)
					}
				}
				time.Sleep(time.Second)
			}
			want := min(ttl+skew, life-time.Second)
			if skew < -ttl || skew > maxAhead || skew > life {
				want = -1 // too old, from too far in the future, or over by the clock of the writer
			}
			if last != want {
				t.Errorf("skew %v: used for %v, want %v", skew, last, want)
			}
		})
	}
}

// TestFarFuture shows that a value that began far in the future does not count.
func TestFarFuture(t *testing.T) {
	now := time.Now()
	for ahead, want := range map[time.Duration]bool{0: true, maxAhead: true, maxAhead + 1: false, 24 * time.Hour: false} {
		r := record{began: now.Add(ahead), document: `{"active":true}`}
		if answer, ok := r.answer(&Question{}, 30*time.Second, now); ok != want || ok && !answer.Began.Equal(now) {
			t.Errorf("%v ahead: %v, %v", ahead, ok, answer.Began)
		}
	}
}

// TestDamagedValues shows that values which were changed, cut, enlarged, moved to another
// key or written in another version count as absent.
func TestDamagedValues(t *testing.T) {
	const document = `{"active":true}`
	store := newLRU(10)
	a, calls := withStore(t, store, introspect.Client{}, Binding{}, document)
	if _, err := a.Ask(t.Context(), Question{Token: token}); err != nil {
		t.Fatal(err)
	}
	var good []byte
	store.change(func(value []byte) []byte { good = value; return value })
	check := func(name string, value []byte, want int64) {
		t.Helper()
		calls.Store(0)
		store.change(func([]byte) []byte { return value })
		if _, err := a.Ask(t.Context(), Question{Token: token}); err != nil || calls.Load() != want {
			t.Errorf("%s: %v, %d calls", name, err, calls.Load())
		}
	}
	check("good", good, 0)
	for bit := range len(good) * 8 {
		value := bytes.Clone(good)
		value[bit/8] ^= 1 << (bit % 8)
		check(fmt.Sprint("bit ", bit), value, 1)
	}
	for n := range good {
		check(fmt.Sprint("cut to ", n), good[:n:n], 1)
	}
	check("longer", append(bytes.Clone(good), 0), 1)
	check("huge", append(bytes.Clone(good), make([]byte, maxSealed)...), 1)
	seal, err := newSeal(storeSecret, &a.client, issuer)
	if err != nil {
		t.Fatal(err)
	}
	short, err := seal.cipher(seal.key(token))
	if err != nil {
		t.Fatal(err)
	}
	check("no record", short.Seal([]byte{sealedVersion}, nil, []byte("short"), additional(seal.key(token))), 1)
	moved, err := seal.close(seal.key("another token"), record{began: time.Now(), document: document})
	if err != nil {
		t.Fatal(err)
	}
	check("of another token", moved, 1)
	large, err := seal.close(seal.key(token), record{began: time.Now(), document: `{"active":true,"x":"` + strings.Repeat("x", maxSealed) + `"}`})
	if err != nil {
		t.Fatal(err)
	}
	check("large", large, 1)
	check("good again", good, 0)
}

// TestStoreKeys covers R-IN-14: neither keys nor values show a token or an answer, and
// processes with another issuer, client ID, secret or mode share nothing.
func TestStoreKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const document = `{"active":true,"sub":"canary-subject"}`
		store := newLRU(100)
		clients := map[string]introspect.Client{
			"":          {ID: "api"},
			"client":    {ID: "api2"},
			"secret":    {ID: "api", StoreSecret: introspect.SecretText(storeSecret + "x")},
			"signed":    {ID: "api", Signed: true},
			"moved cut": {ID: "iapi"},
			"issuer":    {ID: "api"},
		}
		for name, client := range clients {
			b := Binding{Issuer: issuer}
			switch name {
			case "issuer":
				b.Issuer = "https://other.example"
			case "moved cut":
				b.Issuer, client.ID = issuer+"a", "pi"
			}
			for _, want := range []int64{1, 0} {
				a, calls := withStore(t, store, client, b, document)
				if _, err := a.Ask(t.Context(), Question{Token: token}); err != nil || calls.Load() != want {
					t.Errorf("%q: %v, %d calls, want %d", name, err, calls.Load(), want)
				}
			}
		}
		if len(store.values) != len(clients) {
			t.Errorf("%d values", len(store.values))
		}
		for key, e := range store.values {
			for _, canary := range []string{token, "canary", "alice", storeSecret} {
				if bytes.Contains(key[:], []byte(canary)) || bytes.Contains(e.Value.(*lruEntry).value, []byte(canary)) {
					t.Errorf("%q is in the Store", canary)
				}
			}
		}
	})
}

// TestFaultyStore shows that a Store that is slow, fails, panics, or ignores its context
// costs no answer and at most a tenth of a second, and is left alone for a second then.
func TestFaultyStore(t *testing.T) {
	for name, row := range map[string]struct {
		fault func(context.Context) error
		takes time.Duration
	}{
		"an error":               {func(context.Context) error { return errInjected }, 0},
		"an error without value": {func(context.Context) error { return zero.Error() }, 0},
		"a panic":                {func(context.Context) error { panic("injected") }, 0},
		"the end":                {func(context.Context) error { runtime.Goexit(); return nil }, 0},
		"slow":                   {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, storeTimeout},
		"its context ignored":    {func(context.Context) error { time.Sleep(time.Hour); return nil }, storeTimeout},
	} {
		synctest.Test(t, func(t *testing.T) {
			var mended atomic.Bool
			store := &faulty{fault: func(ctx context.Context, value []byte) ([]byte, error) {
				if !mended.Load() {
					return nil, row.fault(ctx)
				}
				return value, nil
			}}
			a, calls := withStore(t, store, introspect.Client{}, Binding{}, `{"active":true}`)
			ask := func(takes time.Duration, storeCalls, requests int64) {
				t.Helper()
				start := time.Now()
				store.calls.Store(0)
				calls.Store(0)
				_, err := a.Ask(t.Context(), Question{Token: token})
				if took := time.Since(start); err != nil || took != takes || store.calls.Load() != storeCalls || calls.Load() != requests {
					t.Errorf("%s: %v after %v, %d calls of the Store, %d requests", name, err, took, store.calls.Load(), calls.Load())
				}
			}
			ask(row.takes, 1, 1)
			for range 10 {
				ask(0, 0, 1) // it rests
				time.Sleep(99 * time.Millisecond)
			}
			time.Sleep(10 * time.Millisecond)
			ask(row.takes, 1, 1)
			mended.Store(true)
			time.Sleep(time.Second)
			ask(0, 2, 1)
			ask(0, 1, 0)
			time.Sleep(time.Hour)
		})
	}
}

// TestStoreCalls shows that a Store that never answers does not gather goroutines.
func TestStoreCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		store := &faulty{fault: func(context.Context, []byte) ([]byte, error) { <-release; return nil, nil }}
		a, calls := withStore(t, store, introspect.Client{}, Binding{}, `{"active":true}`)
		var all sync.WaitGroup
		for range 10 {
			for range 100 {
				all.Go(func() {
					if _, err := a.Ask(t.Context(), Question{Token: token}); err != nil {
						t.Error(err)
					}
				})
			}
			time.Sleep(2 * time.Second)
		}
		all.Wait()
		if store.calls.Load() != storeCalls || calls.Load() != 1000 {
			t.Errorf("%d calls of the Store, %d requests", store.calls.Load(), calls.Load())
		}
		close(release)
		synctest.Wait()
		if a.store.calls.Load() != 0 {
			t.Errorf("%d calls in the end", a.store.calls.Load())
		}
	})
}

// TestStoreContext shows that a caller that ends does not wait for the Store.
func TestStoreContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faulty{fault: func(ctx context.Context, _ []byte) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }}
		a, _ := withStore(t, store, introspect.Client{}, Binding{}, `{"active":true}`)
		if err := a.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		start := time.Now()
		_, ok := a.store.get(ctx, &Question{})
		if ok || time.Since(start) != time.Millisecond {
			t.Errorf("%v after %v", ok, time.Since(start))
		}
		time.Sleep(time.Second)
	})
}

// TestStoreSecret shows that a secret that cannot be had, or is too short, is an error of
// Warm and a warning, without a byte of it; that no request fails for it; and that it is
// read again until it can be had, and not after that.
func TestStoreSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text, fault, reads := "", errInjected, 0
		var takes time.Duration
		secret := introspect.SecretFunc(func(context.Context) (string, error) {
			reads++
			time.Sleep(takes)
			return text, fault
		})
		store := newLRU(10)
		a, calls := withStore(t, store, introspect.Client{StoreSecret: secret}, Binding{}, `{"active":true}`)
		ask := func() {
			t.Helper()
			start := time.Now()
			if _, err := a.Ask(t.Context(), Question{}); err != nil || time.Since(start) > 2*storeTimeout {
				t.Errorf("%v after %v", err, time.Since(start))
			}
			time.Sleep(time.Second)
		}
		ask()
		if err := a.Warm(t.Context()); !errors.Is(err, errInjected) || len(a.Warnings()) != 1 {
			t.Errorf("%v, %v", err, a.Warnings())
		}
		ask()
		text, fault = storeSecret[1:], nil
		time.Sleep(time.Second)
		err := a.Warm(t.Context())
		if err == nil || strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "31 bytes; it needs at least 32") || len(a.Warnings()) != 1 {
			t.Errorf("%v, %v", err, a.Warnings())
		}
		text, takes = storeSecret, 3*time.Second
		time.Sleep(time.Second)
		for range 3 {
			ask()
		}
		time.Sleep(time.Second)
		if err := a.Warm(t.Context()); err != nil || a.Warnings() != nil {
			t.Errorf("%v, %v", err, a.Warnings())
		}
		before := reads
		ask()
		ask()
		if reads != before || store.sets == 0 || calls.Load() == 0 {
			t.Errorf("%d and then %d readings", before, reads)
		}
	})
}
