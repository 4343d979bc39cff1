package apart_test

import (
	"errors"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/sallyport-auth/sallyport/internal/apart"
)

var errOfCall = errors.New("of the call")

// settled settles an outcome in a goroutine of its own, and says how that ended.
func settled(o apart.Outcome) (panicked any, exited bool, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		exited = true
		defer func() {
			if panicked = recover(); panicked != nil {
				exited = false
			}
		}()
		err = o.Settle()
		exited = false
	}()
	<-done
	return panicked, exited, err
}

// TestSettle checks that the caller ends as the function did, and that last was called.
func TestSettle(t *testing.T) {
	for _, test := range []struct {
		name     string
		f        func() error
		err      error
		panicked any
		exited   bool
	}{
		{name: "returns", f: func() error { return nil }},
		{name: "fails", f: func() error { return errOfCall }, err: errOfCall},
		{name: "panics", f: func() error { panic("of the call") }, panicked: "of the call"},
		{name: "exits", f: func() error { runtime.Goexit(); return nil }, exited: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			last := false
			outcome := <-apart.Go(test.f, func() { last = true })
			panicked, exited, err := settled(outcome)
			if !errors.Is(err, test.err) || panicked != test.panicked || exited != test.exited || !last {
				t.Errorf("error %v, panic %v, exited %t, last %t", err, panicked, exited, last)
			}
		})
	}
	if _, exited, _ := settled(apart.Outcome{}); !exited {
		t.Error("the zero Outcome does not exit")
	}
}

// TestNobodyWaits checks that the goroutine ends without a receiver, also after a panic.
func TestNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
		ended := 0
		apart.Go(func() error { panic("of the call") }, func() { ended++ })
		synctest.Wait()
		if ended != 1 {
			t.Errorf("last was called %d times", ended)
		}
	})
}
