package scopes_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestValueOfAnotherRequest covers R-SC-11: a late run of a hook reads no value of the
// next request, for which the router reuses the memory.
func TestValueOfAnotherRequest(t *testing.T) {
	token := minted(t, "")
	for name, row := range map[string]struct {
		hook func(run func()) // calls run, before or after the decision
		want validator.Reason
	}{
		"a hook that does not return when its context ends": {func(run func()) {
			time.Sleep(time.Hour)
			run()
		}, validator.Unavailable},
		"a goroutine that a hook left": {func(run func()) {
			go func() {
				time.Sleep(time.Hour)
				run()
			}()
		}, permitted},
	} {
		synctest.Test(t, func(t *testing.T) {
			memory, seen := "own", []string(nil)
			policy := scopes.Check("h", time.Second, func(_ context.Context, _ *validator.Token, operation scopes.Operation) error {
				seen = append(seen, operation.Value("tenant"))
				row.hook(func() { seen = append(seen, operation.Value("tenant")) })
				return nil
			})
			operation := scopes.Operation{Value: func(string) string { return memory }}
			same(t, policy.String(), name, policy.Decide(at(0), token, operation), refused(row.want))
			memory = "of another request" // like a router that reuses a context
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			if len(seen) != 2 || seen[0] != "own" || seen[1] != "" {
				t.Errorf("%s: the hook has read %q", name, seen)
			}
			if operation.Value("tenant") != memory {
				t.Errorf("%s: the caller's Operation was changed", name)
			}
		})
	}
}

// TestValueBeingRead shows, under the race detector, that a decision waits for a call
// of Value that its hook has made, so that the router may then reuse the memory.
func TestValueBeingRead(t *testing.T) {
	memory, seen := "own", make(chan string)
	ctx, cancel := context.WithCancel(at(0))
	policy := scopes.Check("h", time.Minute, func(_ context.Context, _ *validator.Token, operation scopes.Operation) error {
		seen <- operation.Value("tenant")
		return nil
	})
	refusal := policy.Decide(ctx, minted(t, ""), scopes.Operation{Value: func(string) string {
		cancel() // the client hangs up while the value is read
		return memory
	}})
	memory = "of another request"
	if refusal == nil || refusal.Reason != validator.Unavailable {
		t.Errorf("%v", refusal)
	}
	if got := <-seen; got != "own" {
		t.Errorf("the hook has read %q", got)
	}
}

// TestOperationWithoutValue shows that a hook can tell that there are no values.
func TestOperationWithoutValue(t *testing.T) {
	policy := scopes.Check("h", 0, func(_ context.Context, _ *validator.Token, operation scopes.Operation) error {
		if operation.Value != nil || operation.Name != "GET /" {
			return scopes.ErrForbidden
		}
		return nil
	})
	if refusal := policy.Decide(at(0), minted(t, ""), scopes.Operation{Name: "GET /"}); refusal != nil {
		t.Error(refusal)
	}
}
