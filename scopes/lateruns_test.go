package scopes_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// stuck is a hook that does not return for the operation "stuck" until it is
// released, even if its context ends.
type stuck struct {
	release chan struct{}
	runs    atomic.Int64 // how many have got stuck
}

func newStuck() *stuck { return &stuck{release: make(chan struct{})} }

func (s *stuck) hook(_ context.Context, _ *validator.Token, operation scopes.Operation) error {
	if operation.Name == "stuck" {
		s.runs.Add(1)
		<-s.release
	}
	return nil
}

// hangUp decides policy for each token, and cancels the request once the hook runs.
func hangUp(policy scopes.Policy, tokens ...*validator.Token) {
	for _, token := range tokens {
		ctx, cancel := context.WithCancel(at(0))
		decided := make(chan struct{})
		go func() {
			defer close(decided)
			_ = policy.Decide(ctx, token, scopes.Operation{Name: "stuck"})
		}()
		synctest.Wait()
		cancel()
		<-decided
	}
}

// times returns n times the same token.
func times(n int, token *validator.Token) []*validator.Token {
	all := make([]*validator.Token, n)
	for i := range all {
		all[i] = token
	}
	return all
}

// users returns n tokens of different subjects.
func users(tb testing.TB, n int) []*validator.Token {
	tb.Helper()
	all := make([]*validator.Token, n)
	for i := range all {
		all[i] = mint(tb, claims{"sub": fmt.Sprint("user-", i)})
	}
	return all
}

// wantAdmitted fails the test unless policy permits token, or refuses it because of
// too many late runs if want is false.
func wantAdmitted(t *testing.T, what string, policy scopes.Policy, token *validator.Token, want bool) {
	t.Helper()
	refusal := policy.Decide(at(0), token, scopes.Operation{Name: "another object"})
	switch {
	case want && refusal != nil:
		t.Errorf("%s: %v: %v", what, refusal, refusal.Unwrap())
	case !want && (refusal == nil || refusal.Reason != validator.Unavailable || !strings.Contains(refusal.Unwrap().Error(), "too many runs")):
		t.Errorf("%s: %v, want too many runs", what, refusal)
	}
}

// TestLateRunsOfOnePrincipal covers R-SC-11: a principal that hangs up again and
// again, or asks for an object that the hook gets stuck on, is refused, and no other
// principal is.
func TestLateRunsOfOnePrincipal(t *testing.T) {
	attacker := claims{"sub": "attacker"}
	machine := claims{"sub": "client", "client_id": "client"}
	for _, row := range []struct {
		name   string
		with   claims
		others map[string]claims // tokens of other principals, and one of the same
	}{
		{"a user", attacker, map[string]claims{
			"another user": {}, "a user of another issuer": {"sub": "attacker", "iss": legacyIssuer},
			"the same user of another client": {"sub": "attacker", "client_id": "other"},
			"a client of that name":           {"sub": "attacker", "client_id": "attacker"},
		}},
		{"a client", machine, map[string]claims{
			"another client": {"sub": "other", "client_id": "other"}, "a user of the client": {}, "a user of that name": {"sub": "client", "client_id": "other"},
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newStuck()
			policy := scopes.Check("h", 0, s.hook)
			hangUp(policy, times(150, mint(t, row.with))...)
			if n := s.runs.Load(); n != 100 {
				t.Errorf("%s: %d runs, want 100", row.name, n)
			}
			wantAdmitted(t, row.name, policy, mint(t, row.with), false)
			for name, with := range row.others {
				wantAdmitted(t, row.name+" does not keep out "+name, policy, mint(t, with), name != "the same user of another client")
			}
			s.release <- struct{}{}
			synctest.Wait()
			wantAdmitted(t, row.name+", after one run has ended", policy, mint(t, row.with), true)
			close(s.release)
		})
	}
}

// TestLateRunsOfMany covers R-SC-11: the late runs of all principals together are
// bounded, and only a thousand principals can keep out one without late runs.
func TestLateRunsOfMany(t *testing.T) {
	all := users(t, 1001)
	newcomer, someone := all[1000], all[999]
	synctest.Test(t, func(t *testing.T) {
		s := newStuck()
		policy := scopes.Check("h", 0, s.hook)
		hangUp(policy, someone)
		for _, token := range all[:12] {
			hangUp(policy, times(100, token)...)
		}
		if n := s.runs.Load(); n != 1002 { // the 11th and 12th had one each when the bound was reached
			t.Errorf("%d runs", n)
		}
		wantAdmitted(t, "one with a late run", policy, someone, false)
		wantAdmitted(t, "one without", policy, newcomer, true)
		hangUp(policy, all[:999]...)
		wantAdmitted(t, "one without, beside a thousand", policy, newcomer, false)
		if n := s.runs.Load(); n > 2*1000 {
			t.Errorf("%d runs", n)
		}
		close(s.release)
		synctest.Wait()
		wantAdmitted(t, "after all have ended", policy, someone, true)
		wantAdmitted(t, "after all have ended", policy, all[0], true)
		wantAdmitted(t, "after all have ended", policy, newcomer, true)
	})
}

// TestLateRunsAtOnce covers R-SC-11: runs that become late at the same time count for
// their principal only, however many they are.
func TestLateRunsAtOnce(t *testing.T) {
	all := users(t, 3)
	synctest.Test(t, func(t *testing.T) {
		s := newStuck()
		policy := scopes.Check("h", 0, s.hook)
		ctx, cancel := context.WithCancel(at(0))
		var requests sync.WaitGroup
		for range 3000 {
			requests.Go(func() { _ = policy.Decide(ctx, all[0], scopes.Operation{Name: "stuck"}) })
		}
		synctest.Wait()
		cancel()
		requests.Wait()
		wantAdmitted(t, "the principal", policy, all[0], false)
		wantAdmitted(t, "another one", policy, all[1], true)
		hangUp(policy, all[1])
		wantAdmitted(t, "another one with a late run", policy, all[1], true)
		for range 2900 {
			s.release <- struct{}{}
		}
		synctest.Wait()
		wantAdmitted(t, "the principal, with 100 or 101 left", policy, all[0], false)
		close(s.release)
		synctest.Wait()
		wantAdmitted(t, "the principal, in the end", policy, all[0], true)
	})
}

// TestLateRunsThatEnd shows that a late run counts until it ends, and that no hook is
// called for a request that has ended.
func TestLateRunsThatEnd(t *testing.T) {
	token := minted(t, "")
	synctest.Test(t, func(t *testing.T) {
		var runs int
		policy := scopes.Check("h", time.Minute, func(context.Context, *validator.Token, scopes.Operation) error {
			runs++
			<-time.After(time.Millisecond)
			return nil
		})
		for range 300 {
			hangUp(policy, token)
			<-time.After(2 * time.Millisecond)
		}
		wantAdmitted(t, "a client that hung up 300 times", policy, token, true)
		if runs != 301 {
			t.Errorf("%d runs", runs)
		}
		gone, cancel := context.WithCancelCause(at(0))
		hungUp := errors.New("the client hung up")
		cancel(hungUp)
		refusal := policy.Decide(gone, token, scopes.Operation{})
		if refusal == nil || refusal.Reason != validator.Unavailable || !errors.Is(refusal, hungUp) || runs != 301 {
			t.Errorf("%v after %d runs", refusal, runs)
		}
	})
}

// TestLateRunsOfAPolicy shows that a Check counts its late runs in all policies that it
// is part of, and that two Checks of one hook count separately.
func TestLateRunsOfAPolicy(t *testing.T) {
	token := minted(t, "a")
	synctest.Test(t, func(t *testing.T) {
		s := newStuck()
		policy := scopes.Check("h", 0, s.hook)
		hangUp(scopes.And(scopes.All("a"), policy).Under(scopes.Hierarchy{"b": {"a"}}), times(150, token)...)
		wantAdmitted(t, "the policy", policy, token, false)
		wantAdmitted(t, "beside another", scopes.Or(scopes.All("b"), policy), token, false)
		wantAdmitted(t, "another Check of the hook", scopes.Check("h", 0, s.hook), token, true)
		close(s.release)
	})
}
