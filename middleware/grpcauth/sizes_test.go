package grpcauth_test

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
)

// TestHeaderSizes covers A11 of the situations: tokens that are too large get a status, and
// what is larger still ends one stream and not the connection.
func TestHeaderSizes(t *testing.T) {
	a := start(t, setup{service: &service{stream: func(_ string, stream grpc.ServerStream) error { return stream.RecvMsg(new(text)) }}})
	padded := func(size int) string {
		const around = 400 // what a token is longer than its padding, times 4/3
		return "Bearer " + a.Token(issuertest.Claims{"scope": "read", "pad": strings.Repeat("x", size*3/4-around)})
	}
	open := a.open(a.with("authorization", a.bearer("read")), methodChat) // lives on
	for _, row := range []struct {
		token string
		code  codes.Code
	}{
		{padded(15 << 10), codes.OK},
		{padded(17 << 10), codes.Unauthenticated},
		{padded(60 << 10), codes.Unauthenticated},
		{padded(1 << 20), codes.Internal}, // by the client, which knows the limit
		{a.bearer("read"), codes.OK},
	} {
		if got := a.get(a.with("authorization", row.token)); status.Code(got.err) != row.code {
			t.Errorf("a token of %d bytes: %.200v, want %v", len(row.token), got.err, row.code)
		}
	}
	if err := open.SendMsg(wrapperspb.String("still here")); err != nil {
		t.Errorf("another call of the connection: %v", err)
	}

	raw := dialRaw(t, a.addr)
	var fields []hpack.HeaderField // 70 KiB
	for _, key := range []string{"x-1", "x-2", "x-3", "x-4", "x-5"} {
		fields = append(fields, hpack.HeaderField{Name: key, Value: strings.Repeat("a", 14<<10)})
	}
	large := raw.call(methodGet, fields...)
	good := raw.call(methodGet, hpack.HeaderField{Name: "authorization", Value: a.bearer("read")})
	if end := raw.ends(large); end.reset != http2.ErrCodeFrameSize {
		t.Errorf("70 KiB of metadata: %+v", end)
	}
	if end := raw.ends(good); end.header["grpc-status"] != "0" {
		t.Errorf("the next call of the connection: %+v", end)
	}
	checkFlood(t, a)
}

// checkFlood sends metadata of a megabyte over many connections: memory stays bounded, and
// the calls of others are not slowed.
func checkFlood(t *testing.T, a *api) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	field := hpack.HeaderField{Name: "authorization", Value: strings.Repeat("a", 1<<20)}
	for range 50 {
		raw := dialRaw(t, a.addr)
		raw.call(methodGet, field)
	}
	token := a.bearer("read")
	var took []time.Duration
	for range 200 {
		began := time.Now()
		if got := a.get(a.with("authorization", token)); got.err != nil {
			t.Fatal(got.err)
		}
		took = append(took, time.Since(began))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	slices.Sort(took)
	t.Logf("during 50 MiB of metadata: calls of others p50 %v p99 %v; heap %+d KiB", took[100], took[198], (int64(after.HeapAlloc)-int64(before.HeapAlloc))>>10)
	if took[100] > 50*time.Millisecond {
		t.Errorf("calls of others take %v", took[100])
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}
