package grpcauth_test

import (
	"context"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	gzipcodec "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
)

// BenchmarkUnary measures a unary call over loopback with a token that was seen before,
// behind the gate and without one. The client sends the same metadata in both.
func BenchmarkUnary(b *testing.B) {
	a := start(b, setup{})
	open := grpc.NewServer()
	open.RegisterService(description(), new(service))
	without := &api{t: b, client: dial(b, serve(b, open))}
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", a.bearer("read"))
	for _, row := range []struct {
		name string
		api  *api
	}{{"without", without}, {"gate", a}} {
		b.Run(row.name, func(b *testing.B) {
			in, out := wrapperspb.String("hello"), new(text)
			b.ReportAllocs()
			for b.Loop() {
				if err := row.api.client.Invoke(ctx, methodGet, in, out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// transportStream is the stream of a call without a transport.
type transportStream struct{ grpc.ServerTransportStream }

func (transportStream) Method() string { return methodGet }

// BenchmarkInterceptor measures what the interceptor of unary calls adds, with a token
// that was seen before.
func BenchmarkInterceptor(b *testing.B) {
	issuer := issuertest.New(b)
	gate, err := grpcauth.New(issuer.Guard(b, middleware.Config{}), policies())
	if err != nil {
		b.Fatal(err)
	}
	ctx := peer.NewContext(b.Context(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}})
	ctx = metadata.NewIncomingContext(ctx, metadata.MD{
		"authorization": {"Bearer " + issuer.Token(issuertest.Claims{"scope": "read"})}, ":authority": {"x"}, "content-type": {"application/grpc"}, "user-agent": {"x"},
		"grpc-accept-encoding": {"gzip"}, "x-request-id": {"x"},
	})
	ctx = grpc.NewContextWithServerTransportStream(ctx, transportStream{})
	intercept := gate.Unary()
	info := &grpc.UnaryServerInfo{FullMethod: methodGet}
	handler := func(context.Context, any) (any, error) { return nil, nil } //nolint:nilnil // nothing is measured there
	b.ReportAllocs()
	for b.Loop() {
		if _, err := intercept(ctx, nil, info, handler); err != nil {
			b.Fatal(err)
		}
	}
}

// TestCost covers the bound of the part on a unary call: the medians of calls behind the
// gate and without one, in turn over loopback, and the allocations of both. It prints the
// times, which depend on the machine, and fails if the gate allocates more than 6 times.
func TestCost(t *testing.T) {
	a := start(t, setup{})
	open := grpc.NewServer()
	open.RegisterService(description(), new(service))
	without := dial(t, serve(t, open))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", a.bearer("read"))
	in, out := wrapperspb.String("hello"), new(text)
	call := func(client *grpc.ClientConn) time.Duration {
		began := time.Now()
		if err := client.Invoke(ctx, methodGet, in, out); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	const calls = 2000
	var plain, gated []time.Duration
	for range calls {
		plain, gated = append(plain, call(without)), append(gated, call(a.client))
	}
	slices.Sort(plain)
	slices.Sort(gated)
	count := func(client *grpc.ClientConn) float64 { return testing.AllocsPerRun(calls, func() { call(client) }) }
	added := count(a.client) - count(without)
	t.Logf("a unary call takes %v, behind the gate %v (medians of %d), and has %.1f more allocations", plain[calls/2], gated[calls/2], calls, added)
	if added > 6 {
		t.Errorf("the gate has %.1f allocations", added)
	}
}

// countingListener counts the bytes that a server reads.
type countingListener struct {
	net.Listener

	read *atomic.Int64
}

func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return countingConn{conn, l.read}, err
}

type countingConn struct {
	net.Conn

	read *atomic.Int64
}

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// TestCostOfStrangers covers A24 of the situations: it prints what a caller without a token
// makes the server read and allocate before it is refused: grpc-go calls interceptors of
// unary calls after the message was read, inflated and decoded.
func TestCostOfStrangers(t *testing.T) {
	large := wrapperspb.String(strings.Repeat("x", 4<<20-64))
	bomb := wrapperspb.String(strings.Repeat("x", 64<<20))
	for _, row := range []struct {
		name    string
		message *text
		options []grpc.CallOption
		want    codes.Code
	}{
		{"4 MiB", large, nil, codes.Unauthenticated},
		{"4 MiB that inflate", large, []grpc.CallOption{grpc.UseCompressor(gzipcodec.Name)}, codes.Unauthenticated},
		{"64 MiB that inflate", bomb, []grpc.CallOption{grpc.UseCompressor(gzipcodec.Name), grpc.MaxCallSendMsgSize(1 << 30)}, codes.ResourceExhausted},
		{"a stream", large, nil, codes.Unauthenticated},
	} {
		var read atomic.Int64
		issuer := issuertest.New(t)
		gate, err := grpcauth.New(issuer.Guard(t, middleware.Config{}), policies())
		if err != nil {
			t.Fatal(err)
		}
		server := grpc.NewServer(gate.ServerOptions()...)
		server.RegisterService(description(), new(service))
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = server.Serve(countingListener{listener, &read}) }()
		t.Cleanup(server.Stop)
		client := dial(t, listener.Addr().String())
		call := func() error {
			if row.name != "a stream" {
				return client.Invoke(t.Context(), methodGet, row.message, new(text), row.options...)
			}
			stream, err := client.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, methodChat)
			if err != nil {
				return err
			}
			_ = stream.SendMsg(row.message)
			return stream.RecvMsg(new(text))
		}
		_ = call()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		from := read.Load()
		err = call()
		runtime.ReadMemStats(&after)
		if status.Code(err) != row.want {
			t.Errorf("%s: %v", row.name, err)
		}
		t.Logf("%s, no token: %v after %d KiB were read, %d KiB allocated by client and server", row.name, status.Code(err), (read.Load()-from)>>10, (after.TotalAlloc-before.TotalAlloc)>>10)
	}
}

// TestCostOfEnding covers R-GR-07: it prints what an open stream costs without a gate,
// behind the gate, and behind the gate on a transport that cannot write a status by itself.
// Only the last one has a goroutine more.
func TestCostOfEnding(t *testing.T) {
	const streams = 1000
	measure := func(server *grpc.Server, token string, started *atomic.Int64) (goroutines int, bytes int64) {
		client := dial(t, serve(t, server))
		ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), "authorization", token))
		defer cancel()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		from := runtime.NumGoroutine()
		for range streams {
			if _, err := client.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, methodChat); err != nil {
				t.Fatal(err)
			}
		}
		deadline := time.After(20 * time.Second)
		for ticks := time.Tick(time.Millisecond); started.Load() < streams; {
			select {
			case <-ticks:
			case <-deadline:
				t.Fatalf("%d streams have started", started.Load())
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		goroutines = runtime.NumGoroutine() - from
		cancel()
		server.Stop()
		for ticks := time.Tick(time.Millisecond); runtime.NumGoroutine() > from; { // so that the next server is measured alone
			select {
			case <-ticks:
			case <-deadline:
				t.Fatalf("%d goroutines go on, and %d ran before the streams", runtime.NumGoroutine(), from)
			}
		}
		return goroutines, int64(after.HeapAlloc+after.StackInuse) - int64(before.HeapAlloc+before.StackInuse)
	}
	var counts []int
	for _, row := range []string{"without a gate", "behind the gate", "behind the gate, in a goroutine of its own"} {
		var started atomic.Int64
		implementation := &service{stream: func(_ string, stream grpc.ServerStream) error {
			started.Add(1)
			<-stream.Context().Done()
			return nil
		}}
		s := setup{service: implementation}
		if strings.HasSuffix(row, "its own") {
			s.before = []grpc.ServerOption{grpc.ChainStreamInterceptor(hideTransport)}
		}
		a := start(t, s)
		var options []grpc.ServerOption
		if row != "without a gate" {
			options = slices.Concat(s.before, a.gate.ServerOptions())
		}
		server := grpc.NewServer(options...)
		server.RegisterService(description(), implementation)
		goroutines, bytes := measure(server, a.bearer("read"), &started)
		t.Logf("%s: %.2f goroutines and %d bytes a stream, of client and server", row, float64(goroutines)/streams, bytes/streams)
		counts = append(counts, goroutines)
	}
	if counts[1] > counts[0]+streams/10 || counts[2] < counts[0]+streams*9/10 {
		t.Errorf("goroutines: %v", counts)
	}
}
