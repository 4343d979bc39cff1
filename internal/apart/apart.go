// Package apart calls functions in goroutines of their own, so that the caller can stop
// waiting for one that does not return.
package apart

import "runtime"

// Outcome is how a function ended. The zero Outcome is that of one whose goroutine
// exited.
type Outcome struct {
	err      error
	panicked any
	returned bool // false: it panicked, or its goroutine exited
}

// Go calls f and then last in a goroutine of their own, and sends the outcome of f. The
// goroutine does not wait for a receiver. A panic of f does not end the program:
// [Outcome.Settle] raises it again.
func Go(f func() error, last func()) <-chan Outcome {
	done := make(chan Outcome, 1)
	go func() {
		var o Outcome
		defer func() {
			if !o.returned {
				o.panicked = recover()
			}
			last()
			done <- o
		}()
		o.err = f()
		o.returned = true
	}()
	return done
}

// Settle ends the caller as f ended: it returns the error of f, panics with the value of
// the panic of f, or exits the goroutine. The stack of that panic is lost.
func (o Outcome) Settle() error {
	switch {
	case o.returned:
		return o.err
	case o.panicked != nil:
		panic(o.panicked)
	default:
		runtime.Goexit()
		return nil
	}
}
