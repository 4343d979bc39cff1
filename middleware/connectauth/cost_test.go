package connectauth_test

import (
	"context"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/connectauth"
)

// TestCostOfStreams covers R-GR-07: it prints what an open stream costs without a gate and
// behind the gate, which runs its handler in a goroutine of its own.
func TestCostOfStreams(t *testing.T) {
	const streams = 500
	issuer := issuertest.New(t)
	token := issuer.Token(issuertest.Claims{"scope": "orders:read"})
	for _, d := range []dialect{dialects()[1], dialects()[4]} {
		var goroutines [2]int
		for row, name := range []string{"without a gate", "behind the gate"} {
			var started atomic.Int64
			service := &orders{watch: func(ctx context.Context, _ *connect.Request[text], _ *connect.ServerStream[text]) error {
				started.Add(1)
				<-ctx.Done()
				return nil
			}}
			_, handler := newOrders(service)
			if row == 1 {
				_, handler = connectauth.Gated(gateOf(t, issuer.Guard(t, middleware.Config{})), newOrders)(service)
			}
			var bytes int64
			goroutines[row], bytes = costOf(t, d, handler, token, streams, &started)
			t.Logf("%s, %s: %.2f goroutines and %d bytes a stream, of client and server", d.name, name, float64(goroutines[row])/streams, bytes/streams)
		}
		if goroutines[1] > goroutines[0]+streams*11/10 {
			t.Errorf("%s: goroutines: %v", d.name, goroutines)
		}
	}
}

// costOf returns what the streams need while nothing happens.
func costOf(t *testing.T, d dialect, handler http.Handler, token string, streams int64, started *atomic.Int64) (goroutines int, bytes int64) {
	t.Helper()
	c := dial(t, d, listen(t, handler), watch, token)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var before, after runtime.MemStats
	collect(&before)
	from := runtime.NumGoroutine()
	for range streams {
		go func() {
			if stream, err := c.CallServerStream(ctx, connect.NewRequest(wrapperspb.String("?"))); err == nil {
				stream.Receive()
			}
		}()
	}
	settled := func(done func() bool) {
		for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) { // of the real clock: sockets
			if time.Now().After(deadline) {
				t.Fatalf("%d streams have started, %d goroutines", started.Load(), runtime.NumGoroutine())
			}
		}
	}
	settled(func() bool { return started.Load() == streams })
	collect(&after)
	goroutines = runtime.NumGoroutine() - from
	cancel()
	// So that the next row is measured alone.
	settled(func() bool { return runtime.NumGoroutine() < from+int(streams)/10 })
	return goroutines, int64(after.HeapAlloc+after.StackInuse) - int64(before.HeapAlloc+before.StackInuse)
}

// collect frees what nobody uses, pools too, and reads the figures.
func collect(figures *runtime.MemStats) {
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(figures)
}
