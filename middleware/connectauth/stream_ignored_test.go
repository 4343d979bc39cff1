package connectauth_test

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
)

// ignoring are handlers that go on when their context ends, until resume is closed.
var ignoring = []struct {
	name string
	sent bool // messages
	run  func(ctx context.Context, receive, send func() error, resume <-chan struct{})
}{
	{"before the first message", false, func(_ context.Context, _, _ func() error, resume <-chan struct{}) { <-resume }},
	{"after a message", true, func(_ context.Context, _, send func() error, resume <-chan struct{}) {
		_ = send()
		<-resume
	}},
	{"sending", true, func(_ context.Context, _, send func() error, resume <-chan struct{}) {
		repeat(resume, func() { _ = send() })
	}},
	{"receiving", false, func(_ context.Context, receive, _ func() error, resume <-chan struct{}) {
		repeat(resume, func() { _ = receive() })
	}},
	{"writing fields", false, func(ctx context.Context, _, _ func() error, resume <-chan struct{}) {
		call, _ := connect.CallInfoForHandlerContext(ctx)
		header, trailer := call.ResponseHeader(), call.ResponseTrailer()
		repeat(resume, func() {
			header.Set("Shop", "north")
			trailer.Set("Stock", "none")
			call.ResponseHeader().Set("Shop", "south")
			call.ResponseTrailer().Set("Stock", "one")
		})
	}},
}

// repeat calls f until stop is closed.
func repeat(stop <-chan struct{}, f func()) {
	for {
		select {
		case <-stop:
			return
		default:
			f()
			runtime.Gosched()
		}
	}
}

// TestStreamIgnored covers R-GR-07 and situation A18: the client of a handler that ignores
// its context gets the class with its details within a second, over both versions of HTTP,
// while the handler goes on. Nothing that the handler does later reaches the client.
func TestStreamIgnored(t *testing.T) {
	t.Parallel()
	for _, test := range ignoring {
		for _, procedure := range []string{watch, chat} {
			for _, d := range dialects() {
				if procedure == chat && d.http == 1 || procedure == watch && test.name == "receiving" {
					continue
				}
				t.Run(test.name+procedure+"/"+d.name, func(t *testing.T) {
					t.Parallel()
					testIgnored(t, d, procedure, test.sent, test.run)
				})
			}
		}
	}
}

func testIgnored(t *testing.T, d dialect, procedure string, sent bool, run func(context.Context, func() error, func() error, <-chan struct{})) {
	t.Helper()
	s := newStreaming(t)
	s.sent = sent && strings.HasPrefix(d.name, "gRPC") && !strings.HasPrefix(d.name, "gRPC-Web")
	resume := make(chan struct{})
	release := sync.OnceFunc(func() { close(resume) })
	defer release()
	var late []error
	s.handle(func(ctx context.Context, receive, send func() error) error {
		run(ctx, receive, send, resume)
		if receive != nil {
			late = append(late, receive())
		}
		late = append(late, send())
		if call, ok := connect.CallInfoForHandlerContext(ctx); ok {
			call.ResponseHeader().Set("Shop", "east")
			call.ResponseTrailer().Set("Stock", "two")
		}
		return nil
	})
	result := s.open(t.Context(), d, procedure)
	s.wantEnd(result, s.end(), "INVALID_TOKEN")
	if long := s.guard.LongRequests(); long.Overdue != 1 {
		t.Errorf("%+v", long)
	}
	release()
	_ = s.returned()
	for _, err := range late {
		if connect.CodeOf(err) != connect.CodeUnauthenticated {
			t.Errorf("the handler got %v after the end", err)
		}
	}
	if long := s.guard.LongRequests(); long != (middleware.LongStatus{}) {
		t.Errorf("%+v", long)
	}
}

// TestStreamIgnoredBlocked covers situation A18: a stream whose handler ignores the errors
// of Send, and whose client does not read, is reset within a second.
func TestStreamIgnoredBlocked(t *testing.T) {
	t.Parallel()
	for _, d := range dialects() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := newStreaming(t)
			resume := make(chan struct{})
			release := sync.OnceFunc(func() { close(resume) })
			defer release()
			failed := make(chan error, 1)
			s.handle(func(_ context.Context, _, send func() error) error {
				err := send()
				for err == nil {
					err = send()
				}
				failed <- err
				<-resume
				return nil
			})
			stream, err := dial(t, d, s.url, watch, s.token).CallServerStream(t.Context(), connect.NewRequest(wrapperspb.String("?")))
			if err != nil {
				t.Fatal(err)
			}
			defer stream.Close()
			stream.Receive() // and no more
			began := s.end()
			if err := <-failed; connect.CodeOf(err) != connect.CodeUnauthenticated || time.Since(began) > within {
				t.Errorf("the handler got %v after %v", err, time.Since(began))
			}
			ended := make(chan error, 1)
			go func() {
				for stream.Receive() {
				}
				ended <- stream.Err()
			}()
			if s.failure(ended) == nil {
				t.Error("the client reads a good end")
			}
			release()
			_ = s.returned()
		})
	}
}

// TestStreamLeavesNothing covers situation A18: when the handlers have returned, no
// goroutine of a stream is left, whether the guard or the caller has ended it, and a panic
// after the end reaches nobody.
func TestStreamLeavesNothing(t *testing.T) { // not parallel: it counts goroutines
	for _, test := range []struct {
		name    string
		d       dialect
		cancels bool
		panics  bool
	}{
		{name: "Connect over HTTP/1.1", d: dialects()[0]},
		{name: "Connect over HTTP/2", d: dialects()[1]},
		{name: "gRPC", d: dialects()[4]},
		{name: "the caller leaves", d: dialects()[4], cancels: true},
		{name: "panic", d: dialects()[4], panics: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStreaming(t)
			resume := make(chan struct{})
			s.handle(func(context.Context, func() error, func() error) error {
				<-resume
				if test.panics {
					s.result <- nil
					panic("of the handler")
				}
				return nil
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			result := s.open(ctx, test.d, watch)
			began := s.end()
			if test.cancels {
				cancel()
			} else {
				s.wantEnd(result, began, "INVALID_TOKEN")
			}
			close(resume)
			_ = s.returned()
			for deadline := time.Now().Add(10 * time.Second); strings.Contains(stacks(), "apart.Go"); runtime.Gosched() {
				if time.Now().After(deadline) {
					t.Fatal(stacks())
				}
			}
		})
	}
}

// stacks returns the stacks of all goroutines.
func stacks() string {
	buffer := make([]byte, 1<<20)
	return string(buffer[:runtime.Stack(buffer, true)])
}

// TestStreamFields checks that a handler sees the header and the trailer of its response,
// and that what it changes before the first message, and at the end, reaches the client.
func TestStreamFields(t *testing.T) {
	for _, d := range dialects() {
		for _, sends := range []bool{true, false} {
			issuer := issuertest.New(t)
			service := &orders{watch: func(_ context.Context, _ *connect.Request[text], stream *connect.ServerStream[text]) error {
				stream.ResponseHeader().Set("Shop", "north")
				stream.ResponseHeader().Add("Removed", "x")
				stream.ResponseHeader().Del("Removed")
				if sends {
					if err := stream.Send(wrapperspb.String("?")); err != nil {
						return err
					}
				}
				stream.ResponseTrailer().Set("Stock", "none")
				return nil
			}}
			url := listen(t, mounted(t, issuer.Guard(t, middleware.Config{}), service))
			stream, err := dial(t, d, url, watch, issuer.Token(issuertest.Claims{"scope": "orders:read"})).CallServerStream(t.Context(), connect.NewRequest(wrapperspb.String("?")))
			if err != nil {
				t.Fatal(err)
			}
			for stream.Receive() {
			}
			if err := stream.Err(); err != nil {
				t.Errorf("%s, sends %t: %v", d.name, sends, err)
			}
			all := http.Header{}
			for _, fields := range []http.Header{stream.ResponseHeader(), stream.ResponseTrailer()} {
				for name, values := range fields {
					all[name] = append(all[name], values...)
				}
			}
			if all.Get("Shop") != "north" || all.Get("Stock") != "none" || all.Get("Removed") != "" || len(all["Stock"]) != 1 {
				t.Errorf("%s, sends %t: %v", d.name, sends, all)
			}
			_ = stream.Close()
		}
	}
}
