package issuerkeys

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// testShared returns a Shared with the given limits, or their defaults.
func testShared(t *testing.T, limits jwkscache.SharedLimits) *Shared {
	t.Helper()
	s, err := NewShared(limits)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSharedDefaults shows the defaults of SharedLimits.
func TestSharedDefaults(t *testing.T) {
	var limits jwkscache.SharedLimits
	if err := checkSharedLimits(&limits); err != nil {
		t.Fatal(err)
	}
	if want := (jwkscache.SharedLimits{Waiters: 4000, Fetches: 64, UnknownKids: 50, Missing: 100, KeyBytes: 256 << 20}); limits != want {
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

// TestTurnsShares shows the order of the turns while issuers with and without an
// accepted token wait: one turn in four is for an issuer without, and fetches of
// one kind are in order of arrival.
func TestTurnsShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testShared(t, jwkscache.SharedLimits{Fetches: 4})
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

// TestTurnsReserved shows that fetches for issuers without an accepted token never
// take all places, that those for issuers with one leave places for configured
// issuers, and that configured issuers may take all.
func TestTurnsReserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testShared(t, jwkscache.SharedLimits{Fetches: 16})
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

// TestTurnsRates shows that each kind of fetch has its own rate, and that one kind
// proceeds while another must wait.
func TestTurnsRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testShared(t, jwkscache.SharedLimits{UnknownKids: 4, Missing: 8, Fetches: 1000})
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

// TestTurnsBounded shows that the fetches that wait for a turn are bounded, and
// that issuers with an accepted token have a bound of their own.
func TestTurnsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testShared(t, jwkscache.SharedLimits{Fetches: 4})
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

// TestFetchWithoutTurn shows that a fetch which gets no turn fails and calls nobody,
// and that reading a file needs no turn.
func TestFetchWithoutTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testShared(t, jwkscache.SharedLimits{Fetches: 4})
		var all []<-chan *turn
		for range 3 { // as many as may be under way for strangers
			all = append(all, ask(t, s, turnRefresh, stranger))
		}
		for range maxStrangers {
			all = append(all, ask(t, s, turnRefresh, stranger), ask(t, s, turnMissing, stranger))
		}
		name := filepath.Join(t.TempDir(), "keys.json")
		if err := os.WriteFile(name, []byte(`{"keys":[]}`), 0o600); err != nil {
			t.Fatal(err)
		}
		for source, want := range map[jwkscache.Source]bool{jwkscache.URL("https://issuer.test/jwks"): true, jwkscache.File(name): false} {
			keys, err := Open(source, Binding{Algorithms: []jose.Algorithm{jose.EdDSA}, Shared: s})
			if err != nil {
				t.Fatal(err)
			}
			if err := keys.Warm(t.Context()); errors.Is(err, errTurns) != want {
				t.Errorf("%v: %v, want errTurns: %t", source, err, want)
			}
		}
		for len(all) > 0 {
			all = slices.DeleteFunc(all, func(ready <-chan *turn) bool {
				select {
				case t := <-ready:
					s.turns.done(t)
					return true
				case <-time.After(time.Minute):
					return false
				}
			})
		}
	})
}

// TestKinds shows that a fetch with an unlisted cause counts as one for an unknown
// kid.
func TestKinds(t *testing.T) {
	for cause, want := range map[string]int{
		CauseMissing: turnMissing, CauseSchedule: turnRefresh, CauseStale: turnRefresh, CauseUnknownKid: turnUnknownKid, "any other": turnUnknownKid,
	} {
		if got := kindOf(cause); got != want {
			t.Errorf("%s: %d, want %d", cause, got, want)
		}
	}
}

// TestEverAccepted shows which issuers count as issuers with an accepted token:
// those of which the binding says so, and those whose key verified a token.
func TestEverAccepted(t *testing.T) {
	for _, before := range []bool{true, false} {
		keys, err := Open(jwkscache.Static([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)), Binding{Accepted: before})
		if err != nil {
			t.Fatal(err)
		}
		v := keys.lookup.current.Load()
		if got := keys.lookup.everAccepted.Load(); got != before {
			t.Errorf("%v at first, want %v", got, before)
		}
		Found{owner: keys, version: v}.Handle(v.set.Keys()[0])
		if !keys.lookup.everAccepted.Load() {
			t.Error("not after a key verified a token")
		}
	}
}

// TestStanding shows the standing of an issuer whose tokens were not accepted yet, of
// one with an accepted token, and of one that the configuration names, and which of
// them may use a small set when the memory of all is used up.
func TestStanding(t *testing.T) {
	for name, row := range map[string]struct {
		binding  Binding
		want     standing
		familiar bool
	}{
		"resolved":                {Binding{}, stranger, false},
		"accepted":                {Binding{Accepted: true}, accepted, true},
		"configured":              {Binding{Configured: true}, configured, true},
		"configured and accepted": {Binding{Configured: true, Accepted: true}, configured, true},
	} {
		row.binding.Issuer = "https://issuer.test"
		keys, err := Open(jwkscache.URL("https://issuer.test/jwks"), row.binding)
		if err != nil {
			t.Fatal(err)
		}
		if got := keys.refresher.standing(); got != row.want {
			t.Errorf("%s: %d, want %d", name, got, row.want)
		}
		if got := keys.lookup.account.familiar; got != row.familiar || keys.lookup.everAccepted.Load() != row.familiar {
			t.Errorf("%s: familiar is %t", name, got)
		}
	}
}

// TestMemory shows what is counted for the sets of several issuers, and which sets
// are refused.
func TestMemory(t *testing.T) {
	s := testShared(t, jwkscache.SharedLimits{KeyBytes: 16 << 20})
	one, two := account{memory: &s.memory, familiar: true}, account{memory: &s.memory, familiar: true}
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

// TestMemoryOfStaticKeys shows that static keys count as well, as long as they are
// in use.
func TestMemoryOfStaticKeys(t *testing.T) {
	s := testShared(t, jwkscache.SharedLimits{})
	keys, err := Open(jwkscache.Static([]byte(`{"keys":[]}`)), Binding{Shared: s})
	if err != nil {
		t.Fatal(err)
	}
	size := keys.lookup.current.Load().bytes()
	for _, counts := range []bool{true, false, true} {
		keys.Count(counts)
		if want := map[bool]int{true: size}[counts]; s.memory.used != want {
			t.Errorf("%d are used, want %d", s.memory.used, want)
		}
	}
	second, err := Open(jwkscache.Static([]byte(`{"keys":[]}`)), Binding{Shared: s})
	if err != nil || s.memory.used != size+second.lookup.current.Load().bytes() {
		t.Errorf("%d are used by two sets of %d, %v", s.memory.used, size, err)
	}
}
