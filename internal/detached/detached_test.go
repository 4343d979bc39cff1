package detached_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/internal/zero"
)

var errWork = errors.New("from the work")

type key struct{}

// TestDo shows that Do returns the result of work, or an error if work panics, ends
// its goroutine or does not end.
func TestDo(t *testing.T) {
	for name, row := range map[string]struct {
		work  func(context.Context) (int, error)
		value int
		err   error
	}{
		"a value":  {func(context.Context) (int, error) { return 7, nil }, 7, nil},
		"an error": {func(context.Context) (int, error) { return 0, errWork }, 0, errWork},
		"a panic":  {func(context.Context) (int, error) { panic("injected") }, 0, detached.ErrPanic},
		"panic(nil)": {func(context.Context) (int, error) {
			panic(nil) // what a careless caller may do
		}, 0, detached.ErrPanic},
		"the end of its goroutine": {func(context.Context) (int, error) { runtime.Goexit(); return 0, nil }, 0, detached.ErrPanic},
		"its time is over": {func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}, 0, context.DeadlineExceeded},
		"none of the caller's values": {func(ctx context.Context) (int, error) {
			value, _ := ctx.Value(key{}).(int)
			return value, nil
		}, 0, nil},
		"the caller's clock": {func(ctx context.Context) (int, error) { return int(clock.Now(ctx).Unix()), nil }, 7, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.WithValue(clock.At(t.Context(), time.Unix(7, 0)), key{}, 3))
			cancel() // which must not matter
			value, over, err := detached.Do(ctx, time.Second, row.work)
			if value != row.value || !errors.Is(err, row.err) {
				t.Errorf("%s: %d, %v", name, value, err)
			}
			<-over
		})
	}
}

// TestBadValues shows that a context that cannot be used affects only the caller
// that passed it, and that an error of work whose methods panic is replaced.
func TestBadValues(t *testing.T) {
	for name, ctx := range zero.Contexts() {
		synctest.Test(t, func(t *testing.T) {
			value, over, err := detached.Do(ctx, time.Second, func(ctx context.Context) (any, error) {
				_, timed := ctx.Deadline()
				return timed && ctx.Value(key{}) == nil, nil
			})
			if value != true || err != nil {
				t.Errorf("%s: %v, %v", name, value, err)
			}
			<-over
			f := detached.NewFlight()
			if err := f.Wait(ctx, 1); !errors.Is(err, hook.ErrContext) || f.Waiting() != 0 {
				t.Errorf("%s: waiting: %v, %d wait", name, err, f.Waiting())
			}
		})
	}
	_, over, err := detached.Do(t.Context(), time.Second, func(context.Context) (int, error) { return 0, zero.Error() })
	if err == nil || errors.Is(err, errWork) || !strings.Contains(err.Error(), "*zero.silent") {
		t.Errorf("an error that cannot be asked: %v", err)
	}
	<-over
}

// TestAbandoned shows that work which ignores its context is abandoned, and that
// over is closed when it ends.
func TestAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		start := time.Now()
		_, over, err := detached.Do(t.Context(), time.Second, func(context.Context) (int, error) {
			<-stuck
			return 1, nil
		})
		if !errors.Is(err, detached.ErrAbandoned) || time.Since(start) != detached.Longest(time.Second) {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		synctest.Wait()
		select {
		case <-over:
			t.Error("over before it is")
		default:
		}
		close(stuck)
		<-over
	})
}

// TestFlight shows that each caller leaves when the work has ended or its own
// context ends.
func TestFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := detached.NewFlight()
		ctx, cancel := context.WithCancelCause(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if err := f.Wait(ctx, 2); !errors.Is(err, errWork) || errors.Is(err, context.Canceled) {
				t.Errorf("who gave up: %v", err)
			}
		})
		all.Go(func() {
			if err := f.Wait(t.Context(), 2); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who waited: %v", err)
			}
		})
		synctest.Wait()
		if err := f.Wait(t.Context(), 2); !errors.Is(err, detached.ErrWaiters) || f.Waiting() != 2 {
			t.Errorf("one too many: %v, %d wait", err, f.Waiting())
		}
		cancel(errWork)
		synctest.Wait()
		if f.Waiting() != 1 {
			t.Errorf("%d wait", f.Waiting())
		}
		f.Land(context.DeadlineExceeded)
		<-f.Done()
		all.Wait()
		if err := f.Wait(t.Context(), 2); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who came late: %v", err)
		}
	})
}
