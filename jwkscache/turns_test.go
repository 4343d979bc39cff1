package jwkscache

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// testShared is a Shared with the limits given, or their defaults.
func testShared(t *testing.T, limits SharedLimits) *Shared {
	t.Helper()
	s, err := NewShared(limits)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSharedDefaults shows what a zero field of SharedLimits means.
func TestSharedDefaults(t *testing.T) {
	var limits SharedLimits
	if err := limits.checked(); err != nil {
		t.Fatal(err)
	}
	if want := (SharedLimits{Waiters: 4000, Fetches: 64, UnknownKids: 50, Missing: 100, KeyBytes: 256 << 20}); limits != want {
		t.Errorf("%+v, want %+v", limits, want)
	}
}

// ask lets a fetch wait for its turn. The channel gets the turn.
func ask(t *testing.T, s *Shared, kind int, of standing) <-chan *turn {
	t.Helper()
	turns := make(chan *turn, 1)
	go func() {
		got, err := s.turns.await(kind, of)
		if err != nil {
			t.Error(err)
		}
		turns <- got
	}()
	synctest.Wait()
	return turns
}

// TestTurnsShares shows whose turn it is while strangers and issuers of which a
// token was accepted wait: of four turns, one is for a stranger, and those of a
// kind come in order.
func TestTurnsShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testShared(t, SharedLimits{Fetches: 4})
		busy := []*turn{<-ask(t, s, turnRefresh, configured), <-ask(t, s, turnRefresh, configured), <-ask(t, s, turnRefresh, configured), <-ask(t, s, turnRefresh, configured)}
		var order []string
		for i := range 8 {
			for name, of := range map[string]standing{"stranger": stranger, "accepted": accepted} {
				go func() {
					got, err := s.turns.await(turnRefresh, of)
					if err != nil {
						t.Error(err)
						return
					}
					order = append(order, fmt.Sprint(name, i)) // one is under way at a time
					s.turns.done(got)
				}()
				synctest.Wait()
			}
		}
		s.turns.done(busy[0])
		synctest.Wait()
		var strangers, others []string
		for i, name := range order {
			if strings.HasPrefix(name, "stranger") {
				strangers = append(strangers, name)
				if i < 10 && i%4 != 3 {
					t.Errorf("turn %d is for a stranger", i)
				}
			} else {
				others = append(others, name)
			}
		}
		if len(strangers) != 8 || len(others) != 8 || !slices.IsSorted(strangers) || !slices.IsSorted(others) {
			t.Errorf("the order was %v", order)
		}
	})
}

// TestTurnsReserved shows that strangers never take all the fetches under way, that
// issuers of which a token was accepted leave some to configured ones, which come
// at once whoever else waits, and that those may take all.
func TestTurnsReserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testShared(t, SharedLimits{Fetches: 16})
		all := make(map[standing][]<-chan *turn)
		for _, step := range []struct {
			of       standing
			asked    int
			underWay [standings]int
		}{
			{stranger, 20, [standings]int{12, 0, 0}},
			{accepted, 20, [standings]int{12, 2, 0}},
			{configured, 1, [standings]int{12, 2, 1}},
			{configured, 20, [standings]int{12, 2, 2}},
		} {
			for range step.asked {
				all[step.of] = append(all[step.of], ask(t, s, turnRefresh, step.of))
			}
			if s.turns.underWay != step.underWay {
				t.Errorf("%v fetches are under way, want %v", s.turns.underWay, step.underWay)
			}
		}
		for _, of := range []standing{stranger, accepted, configured} {
			for _, turns := range all[of] {
				all[of] = all[of][1:]
				go func() { s.turns.done(<-turns) }()
			}
		}
		synctest.Wait()
		if s.turns.underWay != [standings]int{} {
			t.Errorf("%v fetches are under way in the end", s.turns.underWay)
		}
	})
}

// TestTurnsRates shows that each kind has its own rate, and that one which may go
// on does, while another must wait.
func TestTurnsRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testShared(t, SharedLimits{UnknownKids: 4, Missing: 8, Fetches: 1000})
		begin := func(kind, n int) {
			for range n {
				s.turns.done(<-ask(t, s, kind, accepted))
			}
		}
		begin(turnMissing, 8)
		time.Sleep(500 * time.Millisecond)
		begin(turnUnknownKid, 4)
		start := time.Now()
		begin(turnRefresh, 100)
		if took := time.Since(start); took != 0 {
			t.Errorf("refreshes waited for %v", took)
		}
		unknown := ask(t, s, turnUnknownKid, accepted) // first, so that its pause is known when the other comes
		s.turns.done(<-ask(t, s, turnMissing, accepted))
		if took := time.Since(start); took != 500*time.Millisecond {
			t.Errorf("a fetch without keys waited for %v", took)
		}
		s.turns.done(<-unknown)
		if took := time.Since(start); took != time.Second {
			t.Errorf("a fetch for an unknown kid waited for %v", took)
		}
	})
}

// TestTurnsBounded shows that those who wait for a turn are bounded, and that
// issuers of which a token was accepted have a bound of their own.
func TestTurnsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testShared(t, SharedLimits{Fetches: 4})
		var all []<-chan *turn
		for range 3 + maxStrangers {
			all = append(all, ask(t, s, turnRefresh, stranger))
		}
		if _, err := s.turns.await(turnRefresh, stranger); !errors.Is(err, errTurns) || !errors.Is(err, ErrUnavailable) {
			t.Errorf("%v, want %v", err, errTurns)
		}
		s.turns.done(<-ask(t, s, turnRefresh, configured))
		for _, turns := range all {
			s.turns.done(<-turns)
		}
	})
}

// TestKinds shows that a cause which is not listed is bounded as an unknown kid is.
func TestKinds(t *testing.T) {
	for cause, want := range map[string]int{
		causeMissing: turnMissing, causeSchedule: turnRefresh, causeStale: turnRefresh, causeUnknownKid: turnUnknownKid, "any other": turnUnknownKid,
	} {
		if got := kindOf(cause); got != want {
			t.Errorf("%s: %d, want %d", cause, got, want)
		}
	}
}

// TestEverAccepted shows which issuers have the share of those of which a token was
// accepted: those that the binding names, and those whose key verified one.
func TestEverAccepted(t *testing.T) {
	for _, before := range []bool{true, false} {
		keys, err := Open(Static([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)), Binding{Accepted: before})
		if err != nil {
			t.Fatal(err)
		}
		v := keys.current.Load()
		if got := keys.everAccepted.Load(); got != before {
			t.Errorf("%v at first, want %v", got, before)
		}
		Found{owner: keys, version: v}.Handle(v.set.Keys()[0])
		if !keys.everAccepted.Load() {
			t.Error("not after a key verified a token")
		}
	}
}

// TestMemory shows what is counted of the sets of several issuers, and what is
// refused.
func TestMemory(t *testing.T) {
	s := testShared(t, SharedLimits{KeyBytes: 16 << 20})
	one, two := account{shared: s, familiar: true}, account{shared: s, familiar: true}
	for _, step := range []struct {
		name    string
		account *account
		size    int
		want    error
		used    int // of all
	}{
		{"a sixteenth", &one, 1 << 20, nil, 1 << 20},
		{"too much of what is left", &two, 1 << 20, errMemory, 1 << 20},
		{"less", &two, 900 << 10, nil, 1<<20 + 900<<10},
		{"the same again", &one, 1 << 20, nil, 1<<20 + 900<<10},
		{"a little more", &one, 1<<20 + 1, nil, 1<<20 + 1 + 900<<10},
		{"much more", &one, 2 << 20, errMemory, 1<<20 + 1 + 900<<10},
		{"less than before", &one, 1 << 10, nil, 1<<10 + 900<<10},
	} {
		if err := step.account.reserve(step.size); !errors.Is(err, step.want) || s.memory.used != step.used {
			t.Errorf("%s: %v, %d are used, want %v, %d", step.name, err, s.memory.used, step.want, step.used)
		}
	}
	one.use(0)
	two.use(5 << 20) // what is there already is counted, whatever it takes
	if s.memory.used != 5<<20 {
		t.Errorf("%d are used", s.memory.used)
	}
	none := account{}
	if err := none.reserve(1 << 40); err != nil {
		t.Errorf("without a bound: %v", err)
	}
}

// TestMemoryOfStaticKeys shows that keys which are not fetched count as well, as
// long as they are in use.
func TestMemoryOfStaticKeys(t *testing.T) {
	s := testShared(t, SharedLimits{})
	keys, err := Open(Static([]byte(`{"keys":[]}`)), Binding{Shared: s})
	if err != nil {
		t.Fatal(err)
	}
	size := keys.current.Load().bytes()
	for _, counts := range []bool{true, false, true} {
		keys.Count(counts)
		if want := map[bool]int{true: size}[counts]; s.memory.used != want {
			t.Errorf("%d are used, want %d", s.memory.used, want)
		}
	}
	second, err := Open(Static([]byte(`{"keys":[]}`)), Binding{Shared: s})
	if err != nil || s.memory.used != size+second.current.Load().bytes() {
		t.Errorf("%d are used by two sets of %d, %v", s.memory.used, size, err)
	}
}
