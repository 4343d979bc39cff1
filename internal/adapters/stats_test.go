package adapters

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
	"github.com/sallyport-auth/sallyport/redact"
	"github.com/sallyport-auth/sallyport/scopes"
)

// printingStats is a stats handler that logs the metadata of calls, as some tracing libraries do. It sees what the gate removes.
type printingStats struct{ logger *slog.Logger }

func (printingStats) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (printingStats) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (printingStats) HandleConn(context.Context, stats.ConnStats) {}

func (p printingStats) HandleRPC(ctx context.Context, event stats.RPCStats) {
	if in, ok := event.(*stats.InHeader); ok {
		p.logger.InfoContext(ctx, fmt.Sprintf("header %v", in.Header), "md", in.Header, "event", in, "text", fmt.Sprintf("%+v", in.Header),
			"map", map[string][]string(in.Header), "printed", fmt.Sprint(map[string][]string(in.Header))) // MD prints redacted itself in recent versions
	}
}

// TestStatsHandler (A1): what a stats handler of gRPC logs of the metadata has no credentials behind the redacting handler.
func TestStatsHandler(t *testing.T) {
	out, secrets := &sinks{}, pieces{}
	handler, err := redact.New(redact.Config{Handler: slog.NewTextHandler(out, nil)})
	if err != nil {
		t.Fatal(err)
	}
	guard := issuertest.New(t).Guard(t, middleware.Config{Logger: slog.New(slog.DiscardHandler)})
	gate, err := grpcauth.New(guard, grpcauth.Methods{"/x.Y/Z": scopes.Authenticated()})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(append(gate.ServerOptions(), grpc.StatsHandler(printingStats{slog.New(handler)}))...)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	md := metadata.MD{}
	for i, key := range []string{"authorization", "dpop", "proxy-authorization", "cookie", "grpcgateway-authorization", "grpcgateway-cookie", "x-auth-token", "dpop-bin"} {
		secret := fmt.Sprintf("%s%s", rand.Text(), rand.Text())
		secrets.add(key, []byte(secret))
		if i == 0 {
			secret = "Bearer " + secret
		}
		md.Append(key, secret)
	}
	if err := conn.Invoke(metadata.NewOutgoingContext(t.Context(), md), "/x.Y/Z", new(emptypb.Empty), new(emptypb.Empty)); err == nil {
		t.Error("the call passes")
	}
	_ = conn.Close()
	server.GracefulStop()
	<-done
	text := out.text.String()
	if len(text) < 100 {
		t.Errorf("nothing was written: %q", text)
	}
	if name, at := secrets.find(text); name != "" {
		t.Errorf("a piece of %s is in …%s…", name, text[max(0, at-300):min(len(text), at+100)])
	}
}
