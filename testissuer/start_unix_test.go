//go:build unix

package testissuer_test

import (
	"errors"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"github.com/sallyport-auth/sallyport/testissuer"
)

// failed is a test that Fatal ends.
type failed struct {
	testing.TB

	fatal any
}

func (*failed) Helper() {}

func (f *failed) Fatal(args ...any) {
	f.fatal = args[0]
	runtime.Goexit()
}

// TestStartCannotListen checks that Start returns the error of the system, and that
// New fails the test with it.
func TestStartCannotListen(t *testing.T) {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	_, startErr := testissuer.Start(testissuer.Config{})
	var tb failed
	var ended sync.WaitGroup
	ended.Go(func() { testissuer.New(&tb) })
	ended.Wait()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(startErr, syscall.EMFILE) {
		t.Errorf("Start: %v", startErr)
	}
	if err, ok := tb.fatal.(error); !ok || !errors.Is(err, syscall.EMFILE) {
		t.Errorf("New: %v", tb.fatal)
	}
}
