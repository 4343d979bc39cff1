// Package hook protects the library from functions and values of its user: from
// hooks that panic, and from contexts and errors that are nil pointers.
package hook

import (
	"context"
	"errors"
	"fmt"
)

// ErrContext means that a context cannot be used.
var ErrContext = errors.New("the context is nil, or its methods panic; use the request's context or context.Background()")

// Recover ends the panic of a hook that only observes. Defer it directly, in the
// function that calls the hook.
func Recover() { _ = recover() }

// CheckContext returns [ErrContext] if ctx is nil or one of its methods panics, as
// methods of a nil pointer do.
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

var errProbe = errors.New("hook: compared with errors, equal to none")

// CheckError returns err. If a method of an error in the chain of err panics, as
// methods of a nil pointer do, it returns an error that names the type of err
// instead. The result can be printed and compared by [errors.Is].
func CheckError(err error) (checked error) {
	if err == nil {
		return nil
	}
	defer func() {
		if recover() != nil { // the value of the panic may be secret
			checked = fmt.Errorf("an error of type %T whose methods panic", err)
		}
	}()
	_ = err.Error()
	_ = errors.Is(err, errProbe)
	return err
}
