package grpcauth_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
)

// headers is a stats handler that keeps the metadata of calls.
type headers struct {
	mu   sync.Mutex
	seen []metadata.MD
}

func (*headers) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*headers) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*headers) HandleConn(context.Context, stats.ConnStats)                       {}

func (h *headers) HandleRPC(_ context.Context, event stats.RPCStats) {
	if in, ok := event.(*stats.InHeader); ok {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.seen = append(h.seen, in.Header)
	}
}

func (h *headers) take() []metadata.MD {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := h.seen
	h.seen = nil
	return seen
}

// TestOutgoingMetadata covers R-GR-09, A10 of the situations and the case http-130: a
// handler of each of the four kinds that copies its metadata to a call of another service
// does not pass on credentials, and finds its caller by the token.
func TestOutgoingMetadata(t *testing.T) {
	var second headers
	other := grpc.NewServer(grpc.StatsHandler(&second))
	other.RegisterService(description(), new(service))
	onward := dial(t, serve(t, other))
	forward := func(ctx context.Context) error {
		if token := middleware.TokenFrom(ctx); token.Subject() == "" || token.Subject() == "admin" {
			t.Errorf("the caller is %q", token.Subject())
		}
		md, _ := metadata.FromIncomingContext(ctx)
		if values := metadata.ValueFromIncomingContext(ctx, "x-user"); len(values) != 1 || values[0] != "admin" {
			t.Errorf("x-user %q", values)
		}
		return onward.Invoke(metadata.NewOutgoingContext(ctx, md), methodGet, wrapperspb.String(""), new(text))
	}
	implementation := &service{
		get:    func(ctx context.Context, in *text) (*text, error) { return in, forward(ctx) },
		stream: func(_ string, stream grpc.ServerStream) error { return forward(stream.Context()) },
	}
	for name, row := range map[string]struct {
		config  grpcauth.Config
		arrives []string
	}{
		"default":      {grpcauth.Config{}, []string{"x-api-key", "x-user"}},
		"further keys": {grpcauth.Config{RemoveKeys: []string{"X-API-Key"}}, []string{"x-user"}},
		"all kept":     {grpcauth.Config{InsecureKeepCredentials: true}, []string{"authorization", "dpop", "grpcgateway-authorization", "grpcgateway-dpop", "proxy-authorization", "x-api-key", "x-user"}},
	} {
		t.Run(name, func(t *testing.T) {
			var first headers
			a := start(t, setup{gate: row.config, service: implementation, before: []grpc.ServerOption{grpc.StatsHandler(&first)}})
			token := a.bearer("read")
			for _, method := range []string{methodGet, methodUp, methodWatch, methodChat} {
				ctx := a.with("authorization", token, "dpop", "proof", "grpcgateway-authorization", token, "grpcgateway-dpop", "proof", "proxy-authorization", "Basic dTpw", "x-api-key", "key", "x-user", "admin")
				var got answer
				if method == methodGet {
					got = a.get(ctx)
				} else if got = a.stream(ctx, method); errors.Is(got.err, io.EOF) {
					got.err = nil
				}
				if got.err != nil {
					t.Fatalf("%s: %v", method, got.err)
				}
				seen := second.take()
				if len(seen) != 1 {
					t.Fatalf("%s: %d calls of the second service", method, len(seen))
				}
				var arrived []string
				for _, key := range slices.Sorted(maps.Keys(seen[0])) {
					if strings.HasPrefix(key, "x-") || strings.Contains(key, "auth") && key != ":authority" || strings.Contains(key, "dpop") {
						arrived = append(arrived, key)
					}
				}
				if !slices.Equal(arrived, row.arrives) {
					t.Errorf("%s: %q arrives, want %q", method, arrived, row.arrives)
				}
				if seen := first.take(); len(seen) != 1 || len(seen[0]["authorization"]) != 1 || len(seen[0]["dpop"]) != 1 {
					t.Errorf("%s: the metadata of the transport was changed: %v", method, seen)
				}
			}
		})
	}
}
