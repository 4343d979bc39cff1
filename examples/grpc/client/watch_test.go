package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-auth/sallyport/examples/grpc/ordersv1"
)

// played is a stream of the API under test: what it does before it ends with err.
type played struct {
	header bool   // the API accepts the token
	item   string // and sends this order, unless it is empty
	err    error
}

// apiUnderTest plays one stream after the other, and notes their tokens.
type apiUnderTest struct {
	ordersv1.UnimplementedOrderServiceServer

	mu      sync.Mutex
	streams []played
	tokens  []string
}

var errPlayedOut = status.Error(codes.Unimplemented, "no more streams")

func (a *apiUnderTest) WatchOrders(_ *ordersv1.WatchOrdersRequest, stream grpc.ServerStreamingServer[ordersv1.WatchOrdersResponse]) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tokens = append(a.tokens, metadata.ValueFromIncomingContext(stream.Context(), "authorization")...)
	if len(a.streams) == 0 {
		return errPlayedOut
	}
	next := a.streams[0]
	a.streams = a.streams[1:]
	if next.header {
		_ = stream.SendHeader(nil)
	}
	if next.item != "" {
		_ = stream.Send(&ordersv1.WatchOrdersResponse{Order: &ordersv1.Order{Item: next.item}})
	}
	return next.err
}

// numbered is a source of the tokens 1, 2, 3 and so on.
type numbered struct{ asked int }

func (n *numbered) Token() (*oauth2.Token, error) {
	n.asked++
	return &oauth2.Token{AccessToken: fmt.Sprint(n.asked), Expiry: time.Now().Add(time.Hour)}, nil
}

// fixed adds the tokens of a watcher to calls over loopback without TLS.
type fixed struct{ tokens *renewable }

func (f fixed) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := f.tokens.Token()
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": token.AccessToken}, nil
}

func (fixed) RequireTransportSecurity() bool { return false }

// TestWatch shows when the client renews its token, how long it waits, and when it gives
// up.
func TestWatch(t *testing.T) {
	expired := status.Error(codes.Unauthenticated, "expired")
	down := status.Error(codes.Unavailable, "down")
	busy, err := status.New(codes.Unavailable, "busy").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(7 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	const s = time.Second
	for _, row := range []struct {
		name    string
		streams []played
		want    codes.Code
		tokens  []string
		longest []time.Duration // of each wait; the shortest is half of it
	}{
		{
			"ends with its token",
			[]played{{header: true, item: "tea", err: expired}, {header: true, item: "milk", err: expired}, {err: status.Error(codes.PermissionDenied, "")}},
			codes.PermissionDenied,
			[]string{"1", "2", "3"},
			[]time.Duration{s / 2, s / 2},
		},
		{"a fresh token is refused", []played{{err: expired}, {err: expired}}, codes.Unauthenticated, []string{"1", "2"}, []time.Duration{s / 2}},
		{
			"the API restarts before it looks at the fresh token",
			[]played{{err: expired}, {err: down}, {err: expired}},
			codes.Unauthenticated,
			[]string{"1", "2", "2"},
			[]time.Duration{s / 2, s},
		},
		{
			"the API is down",
			slices.Concat(slices.Repeat([]played{{err: down}}, 8), []played{{header: true}, {err: down}, {err: status.Error(codes.PermissionDenied, "")}}),
			codes.PermissionDenied,
			slices.Repeat([]string{"1"}, 11),
			[]time.Duration{s / 2, s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s, s / 2, s},
		},
		{"the API says how long", []played{{err: busy.Err()}, {err: errPlayedOut}}, codes.Unimplemented, []string{"1", "1"}, []time.Duration{7 * s}},
		{"the scope is missing", []played{{err: status.Error(codes.PermissionDenied, "")}}, codes.PermissionDenied, []string{"1"}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			service := &apiUnderTest{streams: row.streams}
			w, _ := watching(t, service)
			var waits []time.Duration
			w.pause = func(_ context.Context, d time.Duration) error {
				waits = append(waits, d)
				return nil
			}
			if err := w.watch(t.Context()); status.Code(err) != row.want {
				t.Errorf("%v, want %v", err, row.want)
			}
			if !slices.Equal(service.tokens, row.tokens) {
				t.Errorf("tokens %q, want %q", service.tokens, row.tokens)
			}
			if len(waits) != len(row.longest) {
				t.Fatalf("waits %v, want at most %v", waits, row.longest)
			}
			for i, longest := range row.longest {
				if waits[i] > longest || waits[i] < longest/2 {
					t.Errorf("wait %d is %v, want %v to %v", i, waits[i], longest/2, longest)
				}
			}
		})
	}
}

// watching returns a watcher of service, over loopback, and what it has shown.
func watching(t *testing.T, service ordersv1.OrderServiceServer) (*watcher, *[]string) {
	t.Helper()
	address := serve(t, service)
	tokens := &renewable{source: &numbered{}}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(fixed{tokens}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	var shown []string
	return &watcher{
		client: ordersv1.NewOrderServiceClient(connection), tokens: tokens, pause: pause,
		show: func(order *ordersv1.Order) { shown = append(shown, order.GetItem()) },
	}, &shown
}

// serve serves service over loopback until the test ends.
func serve(t *testing.T, service ordersv1.OrderServiceServer, options ...grpc.ServerOption) (address string) {
	t.Helper()
	server := grpc.NewServer(options...)
	ordersv1.RegisterOrderServiceServer(server, service)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-ended
	})
	return listener.Addr().String()
}

// TestDial shows what becomes of tokens over TLS, and of an authorization server that
// gives none.
func TestDial(t *testing.T) {
	donor := httptest.NewTLSServer(nil)
	defer donor.Close()
	pool := x509.NewCertPool()
	pool.AddCert(donor.Certificate())
	service := &apiUnderTest{}
	address := serve(t, service, grpc.Creds(credentials.NewServerTLSFromCert(&donor.TLS.Certificates[0])))
	refused := &oauth2.RetrieveError{Response: &http.Response{StatusCode: http.StatusBadRequest}}
	for _, row := range []struct {
		name   string
		errs   []error // of the authorization server, and then it gives tokens
		want   codes.Code
		tokens []string
	}{
		{"tokens", nil, codes.Unimplemented, []string{"Bearer 1"}},
		{"the authorization server is down for a while", []error{errors.New("down"), errors.New("down")}, codes.Unimplemented, []string{"Bearer 3"}},
		{"the authorization server refuses", slices.Repeat([]error{refused}, 9), codes.Unauthenticated, nil},
	} {
		issuer, asked := &numbered{}, 0
		w, connection, err := dial(address, credentials.NewClientTLSFromCert(pool, "example.com"), asking(func() (*oauth2.Token, error) {
			token, err := issuer.Token()
			if asked++; asked <= len(row.errs) {
				err = row.errs[asked-1]
			}
			return token, err
		}))
		if err != nil {
			t.Fatal(err)
		}
		w.pause = func(context.Context, time.Duration) error { return nil }
		service.tokens = nil
		err = w.watch(t.Context())
		_ = connection.Close()
		if status.Code(err) != row.want || !slices.Equal(service.tokens, row.tokens) {
			t.Errorf("%s: %v, %q; want %v, %q", row.name, err, service.tokens, row.want, row.tokens)
		}
		if row.want == codes.Unauthenticated && asked != 2 {
			t.Errorf("%s: asked %d times, want 2", row.name, asked)
		}
	}
}

// TestWatchShows shows that orders of successive streams are shown.
func TestWatchShows(t *testing.T) {
	w, shown := watching(t, &apiUnderTest{streams: []played{{header: true, item: "tea"}, {header: true, item: "milk"}}})
	w.pause = func(context.Context, time.Duration) error { return nil }
	if err := w.watch(t.Context()); status.Code(err) != codes.Unimplemented {
		t.Error(err)
	}
	if !slices.Equal(*shown, []string{"tea", "milk"}) {
		t.Errorf("%q", *shown)
	}
}

// TestWatchStops shows that the watcher stops with its context, while it waits too.
func TestWatchStops(t *testing.T) {
	w, _ := watching(t, &apiUnderTest{streams: []played{{err: status.Error(codes.Unavailable, "down")}}})
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	w.pause = func(ctx context.Context, _ time.Duration) error {
		cancel(stopped)
		return pause(ctx, time.Hour)
	}
	if err := w.watch(ctx); !errors.Is(err, stopped) {
		t.Error(err)
	}
	if err := w.watch(ctx); !errors.Is(err, stopped) {
		t.Errorf("with an ended context: %v", err)
	}
}
