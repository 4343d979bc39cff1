//go:build amd64 && !race

package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
)

const (
	stackVariable = "SALLYPORT_STACK" // in the process that checks: how many bytes callers of the handler use
	stackLimit    = 4 << 10           // bytes; the stack of a new goroutine has 2 KB and is doubled when it is full
	stackCallers  = 384               // bytes, enough for net/http and a router
)

// TestStack shows that a known token is checked on a stack of 4 KB. Over HTTP/2 each
// request has a new goroutine, and one whose stack has to grow to 8 KB takes longer than
// the check. Other processors and the race detector have other frames.
func TestStack(t *testing.T) {
	if used, err := strconv.Atoi(os.Getenv(stackVariable)); err == nil {
		checkOnSmallStack(t, used)
		return
	}
	run := func(callers int) (string, error) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestStack$")
		cmd.Env = append(os.Environ(), stackVariable+"="+strconv.Itoa(callers))
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run(stackCallers); err != nil {
		t.Errorf("the check takes more than %d bytes of stack: %v\n%.3000s", stackLimit-stackCallers, err, out)
	}
	if out, err := run(stackLimit); err == nil || !strings.Contains(out, "stack exceeds 4096-byte limit") {
		t.Errorf("the limit does not count: %v\n%.3000s", err, out)
	}
}

// checkOnSmallStack checks a known token on a new goroutine that has used some bytes of its
// stack. A goroutine whose stack grows beyond the limit ends the process.
func checkOnSmallStack(t *testing.T, used int) {
	t.Helper()
	issuer := issuertest.New(t)
	h := issuer.Guard(t, middleware.Config{}).Require(scopes.All("read"), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := request("Bearer " + issuer.Sign(testissuer.Token{Scope: "read"}))
	w := httptest.NewRecorder()
	for range 3 { // the cache moves a token when it is seen again
		h.ServeHTTP(w, r)
	}
	debug.SetGCPercent(-1) // it runs on other goroutines
	debug.SetMaxStack(stackLimit)
	done := make(chan struct{})
	go func() {
		defer close(done)
		afterUsing(used, func() { h.ServeHTTP(w, r) })
	}()
	<-done
	debug.SetMaxStack(1 << 30) // the default
}

// afterUsing calls f when that many bytes of stack are in use.
func afterUsing(bytes int, f func()) byte {
	const each = 88 // bytes of a frame of this function
	var frame [64]byte
	frame[bytes&1] = 1
	if bytes < each {
		f()
		return frame[0]
	}
	return frame[0] + afterUsing(bytes-each, f)
}
