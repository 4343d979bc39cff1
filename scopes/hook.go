package scopes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/validator"
)

// Hook decides what a token alone does not tell, such as whether its subject may
// see this object. It returns nil to permit, [ErrForbidden] (or an error that
// wraps it) to forbid, and any other error if it could not tell, which is
// answered with 503. ctx is the request's and ends when the hook's time is over;
// what a hook returns after that does not permit. A hook runs in a goroutine of
// its own, and may still run when its request was answered if it does not heed
// ctx: a principal with 100 such runs of one hook gets 503, without asking it
// again, until one of them has ended.
//
// operation.Value returns "" once the decision no longer waits for the hook:
// routers reuse the memory of a request for the next one. The same goes for what
// a router keeps in ctx, which a hook must not read after ctx has ended.
type Hook func(ctx context.Context, token *validator.Token, operation Operation) error

// ErrForbidden is what a [Hook] returns to forbid.
var ErrForbidden = errors.New("scopes: forbidden")

const defaultHookTimeout = time.Second

var (
	errHookEnded   = errors.New("the hook ended its goroutine")
	errHookLate    = errors.New("the hook did not answer in time")
	errHookUnasked = errors.New("the request ended before the hook was asked")
	errOwnStrays   = errors.New("too many runs of the hook for this principal go on after their request ended; does it heed its context?")
	errHookStrays  = errors.New("too many runs of the hook go on after their request ended; does it heed its context?")
)

// Check permits a token if hook does. It is asked when everything else in its
// And permits, and no other part of its Or does. The name stands for the hook in
// print and in [Policy.Equal]. A timeout of 0 is one second. A hook that fails,
// panics or does not answer in time does not permit: that is Unavailable.
func Check(name string, timeout time.Duration, hook Hook) Policy {
	var faults []error
	if name == "" {
		faults = append(faults, errors.New("scopes: Check without a name"))
	}
	if timeout < 0 {
		faults = append(faults, fmt.Errorf("scopes: Check(%q): the timeout is negative", name))
	}
	if hook == nil {
		faults = append(faults, fmt.Errorf("scopes: Check(%q): the hook is nil", name))
	}
	if len(faults) > 0 {
		return faulty(faults...)
	}
	if timeout == 0 {
		timeout = defaultHookTimeout
	}
	return compiled(&rule{asks: true, clause: &check{name: name, timeout: timeout, hook: hook, strays: newStrays()}})
}

// check is the clause of Check.
type check struct {
	name    string
	timeout time.Duration
	hook    Hook
	strays  *strays
}

func (c *check) String() string { return fmt.Sprintf("Check(%q, %s)", c.name, c.timeout) }

func (c *check) judge(ctx context.Context, q question) *Refusal {
	if !q.hooks {
		return unasked
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

// run asks the hook, and waits no longer than its timeout.
func (c *check) run(ctx context.Context, q question) error {
	if err := hook.CheckContext(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil { // the client has hung up
		return fmt.Errorf("%w: %w", errHookUnasked, context.Cause(ctx))
	}
	if err := c.strays.admit(q.token); err != nil {
		return err
	}
	operation, revoke := revocable(q.operation)
	defer revoke()
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	answer, abandoned := make(chan error), make(chan uint64, 1)
	go func() {
		err := errHookEnded // stays if the goroutine ends in there
		defer func() {
			if cause := recover(); cause != nil { // its text may hold what must not be logged
				err = fmt.Errorf("the hook panicked with a %T", cause)
			}
			select {
			case answer <- err:
			case principal := <-abandoned:
				c.strays.add(principal, -1)
			}
		}()
		err = hook.CheckError(c.hook(ctx, q.token, operation))
	}()
	var err error
	select {
	case err = <-answer:
	case <-ctx.Done():
		principal := c.strays.principal(q.token)
		c.strays.add(principal, 1)
		abandoned <- principal
	}
	cause := context.Cause(ctx)
	if deadline, _ := ctx.Deadline(); cause == nil && !time.Now().Before(deadline) { // the timer may be late on a busy machine
		cause = context.DeadlineExceeded
	}
	if cause != nil {
		return fmt.Errorf("%w: %w", errHookLate, cause)
	}
	return err
}
