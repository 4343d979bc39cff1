// Package hook guards against what functions and values of the library's user
// do wrong: hooks that panic, contexts and errors that are nil pointers.
package hook

import (
	"context"
	"errors"
	"fmt"
)

// ErrContext means that a context cannot be used.
var ErrContext = errors.New("the context is nil, or its methods panic; use the request's context or context.Background()")

// Recover drops the panic of a hook that only observes. It must be deferred
// directly before the hook is called.
func Recover() { _ = recover() }

// CheckContext returns [ErrContext] if ctx is nil or one of its methods panics,
// as those of a nil pointer do.
func CheckContext(ctx context.Context) (err error) {
	if ctx == nil {
		return ErrContext
	}
	type probe struct{}
	defer func() {
		if recover() != nil {
			err = ErrContext
		}
	}()
	_, _ = ctx.Deadline()
	_ = ctx.Done()
	_ = ctx.Err()
	_ = ctx.Value(probe{})
	return nil
}

var errProbe = errors.New("hook: no other error is this one")

// CheckError returns err, or an error that names the type of err if a method in
// the chain of err panics, as those of a nil pointer do. What it returns can be
// printed and compared by [errors.Is].
func CheckError(err error) (checked error) {
	if err == nil {
		return nil
	}
	defer func() {
		if recover() != nil { // the panic's text may hold what must not be logged
			checked = fmt.Errorf("an error of type %T whose methods panic", err)
		}
	}()
	_ = err.Error()
	_ = errors.Is(err, errProbe)
	return err
}
