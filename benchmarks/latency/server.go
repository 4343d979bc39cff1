package latency

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/sallyport-auth/sallyport/benchmarks"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// noAuth is the name of the server without a middleware.
const noAuth = "no auth"

// serverOrder says what a server in a child serves.
type serverOrder struct {
	Protocol string `json:"protocol"`
	// Door is the name of one of [benchmarks.HTTPDoors] or [benchmarks.Doors], or noAuth.
	Door string `json:"door"`
	// Seen is whether tokens come again; see [benchmarks.Door].
	Seen   bool                 `json:"seen"`
	Issuer benchmarks.Published `json:"issuer"`
	// Live is an issuer that is asked for keys and about opaque tokens. nil means that
	// the server has the keys of Issuer.
	Live *liveIssuer `json:"live,omitempty"`
	// Delay is how long the middleware sleeps before each request. It is for tests.
	Delay time.Duration `json:"delay,omitempty"`
}

// liveIssuer says where an issuer is.
type liveIssuer struct {
	URL           string `json:"url"`
	Introspection string `json:"introspection,omitempty"` // "" if tokens are JWTs
	// Strict accepts no token after its exp, and keeps fetched keys no longer than the
	// issuer says, down to ten seconds.
	Strict bool `json:"strict,omitempty"`
}

// server is a server in a child.
type server struct {
	order serverOrder
	http  *http.Server
	grpc  *grpc.Server
	stop  func() // what runs beside the middleware in use

	handler atomic.Pointer[http.Handler]
	unary   atomic.Pointer[grpc.UnaryServerInterceptor]
}

// newServer starts a server on a loopback address, and returns the address.
func newServer(o serverOrder) (*server, string, error) {
	s := &server{order: o, stop: func() {}}
	if err := s.renew(); err != nil {
		return nil, "", err
	}
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", fmt.Errorf("latency: a server on loopback: %w", err)
	}
	if o.Protocol == GRPC {
		s.grpc = grpc.NewServer(s.interceptors()...)
		benchmarks.RegisterCall(s.grpc)
		go func() { _ = s.grpc.Serve(listener) }() // ends when the server is stopped
	} else {
		s.http = &http.Server{ReadHeaderTimeout: time.Minute, Handler: s.indirect(), Protocols: new(http.Protocols)}
		s.http.Protocols.SetHTTP1(o.Protocol == HTTP1)
		s.http.Protocols.SetUnencryptedHTTP2(o.Protocol == HTTP2)
		go func() { _ = s.http.Serve(listener) }() // ends when the server is closed
	}
	return s, listener.Addr().String(), nil
}

// indirect returns the handler in use. Only a server with a live issuer is renewed, so
// only that one looks it up for each request.
func (s *server) indirect() http.Handler {
	if s.order.Live == nil {
		return *s.handler.Load()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*s.handler.Load()).ServeHTTP(w, r) })
}

func (s *server) interceptors() []grpc.ServerOption {
	unary := s.unary.Load()
	switch {
	case unary == nil:
		return nil
	case s.order.Live == nil:
		return []grpc.ServerOption{grpc.ChainUnaryInterceptor(*unary)}
	default:
		return []grpc.ServerOption{grpc.ChainUnaryInterceptor(func(ctx context.Context, in any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			return (*s.unary.Load())(ctx, in, info, next)
		})}
	}
}

func (s *server) ask(what string) reply {
	if what == askRenew {
		if err := s.renew(); err != nil {
			return reply{Error: err.Error()}
		}
	}
	return reply{}
}

func (s *server) close() {
	s.stop()
	if s.http != nil {
		_ = s.http.Close()
	}
	if s.grpc != nil {
		s.grpc.Stop()
	}
}

// renew makes the middleware anew.
func (s *server) renew() error {
	if s.order.Door == noAuth {
		h := http.Handler(http.HandlerFunc(answerHTTP))
		s.handler.Store(&h)
		return nil
	}
	var err error
	if s.order.Live != nil {
		err = s.renewLive()
	} else {
		err = s.renewStatic()
	}
	return err
}

// answerHTTP is the handler behind all middlewares.
func answerHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"order":17,"state":"shipped"}`) // a failure shows in the client
}

// renewStatic prepares one of the compared middlewares.
func (s *server) renewStatic() error {
	m, err := s.order.Issuer.Material()
	if err != nil {
		return err
	}
	if s.order.Protocol == GRPC {
		i := slices.IndexFunc(benchmarks.Doors, func(d benchmarks.Door) bool { return d.Name == s.order.Door })
		if i < 0 {
			return fmt.Errorf("latency: there is no interceptor %q", s.order.Door)
		}
		unary, err := benchmarks.Doors[i].Prepare(m, s.order.Seen)
		if err != nil {
			return err
		}
		s.useGRPC(unary)
		return nil
	}
	i := slices.IndexFunc(benchmarks.HTTPDoors, func(d benchmarks.HTTPDoor) bool { return d.Name == s.order.Door })
	if i < 0 {
		return fmt.Errorf("latency: there is no middleware %q", s.order.Door)
	}
	h, err := benchmarks.HTTPDoors[i].Prepare(m, s.order.Seen, http.HandlerFunc(answerHTTP))
	if err != nil {
		return err
	}
	s.useHTTP(h)
	return nil
}

// renewLive prepares Sallyport with an issuer that it asks.
func (s *server) renewLive() error {
	guard, err := newLiveGuard(s.order.Live)
	if err != nil {
		return err
	}
	policy := scopes.All("orders:read")
	if s.order.Protocol == GRPC {
		gate, err := grpcauth.New(guard, grpcauth.Methods{benchmarks.CallMethod: policy})
		if err != nil {
			return fmt.Errorf("latency: %w", err)
		}
		s.useGRPC(gate.Unary())
	} else {
		s.useHTTP(guard.Require(policy, http.HandlerFunc(answerHTTP)))
	}
	s.stop()
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() { _ = guard.Run(ctx) }() // refreshes keys until the context ends
	return nil
}

func newLiveGuard(live *liveIssuer) (*middleware.Guard, error) {
	issuer := validator.Issuer{URL: live.URL, Audiences: []string{benchmarks.Audience}, Keys: jwkscache.Discovered()}
	if live.Introspection != "" {
		issuer.Keys = nil
		issuer.Opaque = &introspect.Client{
			Endpoint: live.Introspection, ID: testissuer.ClientID,
			Authentication: introspect.ClientSecretBasic{Secret: introspect.SecretText(testissuer.ClientSecret)},
			Cache:          introspect.Cache{TTL: 5 * time.Minute},
		}
	}
	config := validator.Config{Logger: slog.New(slog.DiscardHandler)}
	if live.Strict {
		config.Leeway.Expiry = validator.NoLeeway
		issuer.KeyLimits.MinFresh = 10 * time.Second
	}
	config.Issuers = []validator.Issuer{issuer}
	v, err := validator.New(config)
	if err != nil {
		return nil, fmt.Errorf("latency: %w", err)
	}
	guard, err := middleware.New(middleware.Config{Validator: v})
	if err != nil {
		return nil, fmt.Errorf("latency: %w", err)
	}
	return guard, nil
}

func (s *server) useHTTP(h http.Handler) {
	if delay := s.order.Delay; delay > 0 {
		next := h
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(delay)
			next.ServeHTTP(w, r)
		})
	}
	s.handler.Store(&h)
}

func (s *server) useGRPC(unary grpc.UnaryServerInterceptor) {
	if delay := s.order.Delay; delay > 0 {
		next := unary
		unary = func(ctx context.Context, in any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			time.Sleep(delay)
			return next(ctx, in, info, handler)
		}
	}
	s.unary.Store(&unary)
}

var errWarm = errors.New("latency: a server refuses a good token")
