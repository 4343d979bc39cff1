package scopes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/validator"
)

// ErrForbidden is what a hook returns to forbid; see [Check].
var ErrForbidden = errors.New("scopes: forbidden")

const defaultHookTimeout = time.Second

var (
	errHookEnded     = errors.New("the hook ended its goroutine with runtime.Goexit; make it return")
	errHookLate      = errors.New("the hook did not return in time")
	errHookNotCalled = errors.New("the request ended before the hook was called")
)

// Check permits a token if hook does. A hook decides what a token alone cannot, such
// as whether its subject may see this object. It returns nil to permit,
// [ErrForbidden] or an error that wraps it to forbid, and any other error if it
// could not decide, which is answered with 503. So is a hook that panics or does not
// return in time. It is called if everything else in its And permits, and no other
// part of its Or does.
//
// [Policy.String] and [Policy.Equal] know the hook by name. A timeout of 0 means one
// second.
//
// The ctx of a hook is that of the request, and ends at the timeout. What a hook
// returns after that does not permit. A hook runs in its own goroutine. If it does
// not return when ctx ends, it continues after its request was answered. While a
// principal has 100 such runs of one hook, its requests get 503 without a call of
// the hook.
//
// operation.Value returns "" once the decision no longer waits for the hook, since
// routers reuse the memory of a request for the next one. For the same reason a hook
// must not read what a router stores in ctx after ctx has ended.
func Check(name string, timeout time.Duration, hook func(ctx context.Context, token *validator.Token, operation Operation) error) Policy {
	faults := faultsOf(call("Check", name))
	if name == "" {
		faults.Add("has no name", "name the hook, so that policies can be compared and printed")
	}
	if timeout < 0 {
		faults.Addf("use a positive timeout, or 0 for one second", "has the timeout %s", timeout)
	}
	if hook == nil {
		faults.Add("has no hook", "give the function that decides")
	}
	if err := faults.Err(); err != nil {
		return faulty(err)
	}
	if timeout == 0 {
		timeout = defaultHookTimeout
	}
	return compiled(&rule{asks: true, clause: &check{name: name, timeout: timeout, hook: hook, late: newLateRuns()}})
}

// check is the clause of Check.
type check struct {
	single

	name    string
	timeout time.Duration
	hook    func(ctx context.Context, token *validator.Token, operation Operation) error
	late    *lateRuns
}

func (c *check) String() string { return fmt.Sprintf("Check(%q, %s)", c.name, c.timeout) }

func (c *check) title() string { return c.String() }

func (c *check) requirement() Requirement { return Requirement{Others: []string{c.String()}} }

func (c *check) everyWay(func(*Refusal) bool) bool { return false }

func (c *check) decide(ctx context.Context, q question) *Refusal {
	if !q.hooks {
		return undecided
	}
	err := c.run(ctx, q)
	if err == nil {
		return nil
	}
	refusal := &Refusal{Reason: validator.Unavailable, cause: fmt.Errorf("scopes: %s: %w", c, err)}
	if errors.Is(err, ErrForbidden) {
		refusal.Reason = validator.Forbidden
	}
	return refusal
}

// run calls the hook, and waits no longer than its timeout.
func (c *check) run(ctx context.Context, q question) error {
	if err := hook.CheckContext(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil { // the client has hung up
		return fmt.Errorf("%w: %w: %w", errHookNotCalled, detached.ErrLeft, context.Cause(ctx))
	}
	if err := c.late.admit(q.token); err != nil {
		return err
	}
	operation, revoke := revocable(q.operation)
	defer revoke()
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	answer, abandoned := make(chan error), make(chan uint64, 1)
	go func() {
		err := errHookEnded // unless the hook returns or panics
		defer func() {
			if cause := recover(); cause != nil { // its text may contain what must not be logged
				err = fmt.Errorf("the hook panicked with a %T", cause)
			}
			select {
			case answer <- err:
			case principal := <-abandoned:
				c.late.add(principal, -1)
			}
		}()
		err = hook.CheckError(c.hook(ctx, q.token, operation))
	}()
	var err error
	select {
	case err = <-answer:
	case <-ctx.Done():
		principal := c.late.principal(q.token)
		c.late.add(principal, 1)
		abandoned <- principal
	}
	cause := context.Cause(ctx)
	if deadline, _ := ctx.Deadline(); cause == nil && !time.Now().Before(deadline) { // the timer may be late on a busy machine
		cause = context.DeadlineExceeded
	}
	switch {
	case cause != nil && caller.Err() != nil:
		return fmt.Errorf("%w: %w: %w", errHookLate, detached.ErrLeft, cause)
	case cause != nil:
		return fmt.Errorf("%w: %w", errHookLate, cause)
	}
	return err
}
