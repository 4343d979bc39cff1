package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// audience is the identifier of the API.
const audience = "https://api.demo"

// readScope is the scope of most methods.
const readScope = "orders:read"

// demo is an issuer and an API that accepts its tokens.
type demo struct {
	issuer *testissuer.Issuer
	server *http.Server
	client *http.Client
	url    string
	out    io.Writer // for what streams send
	ended  sync.WaitGroup
	cancel context.CancelFunc

	calls      *grpc.Server
	connection *grpc.ClientConn // to calls

	mu      sync.Mutex
	reasons map[string]validator.Reason // of refusals, by request ID
	last    int                         // the last request ID
}

var errNotLoopback = errors.New("the address is not a loopback address: the demo's tokens are for anybody to take")

func start(ctx context.Context, address string, out io.Writer) (*demo, error) {
	if endpoint, err := netip.ParseAddrPort(address); err != nil || !endpoint.Addr().IsLoopback() {
		return nil, errNotLoopback
	}
	issuer, err := testissuer.Start(testissuer.Config{Audience: audience}) //nolint:contextcheck // ends with close
	if err != nil {
		return nil, err
	}
	d := &demo{
		issuer:  issuer,
		out:     out,
		client:  &http.Client{Timeout: 30 * time.Second},
		reasons: make(map[string]validator.Reason),
	}
	handler, guard, err := d.api() //nolint:contextcheck // the logger has no request
	if err != nil {
		issuer.Close()
		return nil, err
	}
	calls, err := newServer(guard) //nolint:contextcheck // gRPC is asked how it names a key
	if err != nil {
		issuer.Close()
		return nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		issuer.Close()
		return nil, err
	}
	d.url = "http://" + listener.Addr().String()
	d.server = &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	ctx, d.cancel = context.WithCancel(ctx)
	d.ended.Go(func() { _ = d.server.Serve(listener) })
	d.ended.Go(func() { _ = guard.Run(ctx) })
	if err := errors.Join(d.listen(ctx, calls), guard.Warm(ctx)); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// api returns the protected API. An application would write the same, except for the
// hook that gives the demo the reasons of refusals. Clients never see reasons.
func (d *demo) api() (http.Handler, *middleware.Guard, error) {
	v, err := validator.New(validator.Config{
		Issuers: []validator.Issuer{{
			URL:       d.issuer.URL(),
			Audiences: []string{audience},
			Keys:      jwkscache.Discovered(), // for JWTs
			Opaque:    opaqueClient(),         // for opaque tokens, and for JWTs where a route demands it
		}},
		Leeway: validator.Leeway{Expiry: validator.NoLeeway}, // so that a stream ends in front of the viewer
		Logger: slog.New(slog.DiscardHandler),                // the table has the reasons
	})
	if err != nil {
		return nil, nil, err
	}
	trace := &middleware.Trace{Decided: d.noteReason, HeldEnded: d.noteReason}
	guard, err := middleware.New(middleware.Config{Validator: v, Trace: trace})
	if err != nil {
		return nil, nil, err
	}
	mux := guard.NewMux()
	mux.HandleFunc("GET /orders/{id}", scopes.All(readScope), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "order %s for %s\n", r.PathValue("id"), middleware.TokenFrom(r.Context()).Subject()) //nolint:gosec // plain text
	})
	mux.HandleFunc("POST /orders", scopes.All("orders:write"), func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
	})
	fresh := scopes.And(scopes.All("orders:delete"), scopes.FreshlyActive(0)) // the issuer is asked for each request
	mux.HandleFunc("DELETE /orders/{id}", fresh, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /health", scopes.Public(), func(w http.ResponseWriter, _ *http.Request) {
		if guard.Ready() != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	return withID(mux), guard, nil
}

func (d *demo) close() {
	d.cancel()
	_ = d.server.Close()
	if d.connection != nil {
		_ = d.connection.Close()
	}
	if d.calls != nil {
		d.calls.Stop()
	}
	d.issuer.Close()
	d.ended.Wait()
}

// idField is the field with the ID of a request of the demo.
const idField = "X-Demo-Request"

type idKey struct{}

func withID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), idKey{}, r.Header.Get(idField))))
	})
}

func (d *demo) noteReason(ctx context.Context, decision middleware.Decision) {
	id, _ := ctx.Value(idKey{}).(string)
	if ids := metadata.ValueFromIncomingContext(ctx, idField); len(ids) > 0 {
		id = ids[0] // of a call
	}
	if id == "" || decision.Denial == nil {
		return // not a request of the demo, or one that passed
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reasons[id] = decision.Denial.Reason
}

// nextID returns the ID of the next request.
func (d *demo) nextID() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	return fmt.Sprint(d.last)
}

// reasonOf returns why the request of that ID was refused, or "".
func (d *demo) reasonOf(id string) validator.Reason {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reasons[id]
}

// answer is the answer to one request.
type answer struct {
	status     int              // of HTTP, or the code of a gRPC call
	reason     validator.Reason // "" if it passed
	challenge  string
	retryAfter string
	took       time.Duration
	err        error
}

// send sends a request with these Authorization fields.
func (d *demo) send(ctx context.Context, method, path string, authorization ...string) answer {
	id := d.nextID()
	request, err := http.NewRequestWithContext(ctx, method, d.url+path, nil)
	if err != nil {
		return answer{err: err}
	}
	request.Header[idField] = []string{id}
	request.Header["Authorization"] = authorization
	begun := time.Now()
	response, err := d.client.Do(request)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close() //nolint:errcheck // what counts was read
	_, err = io.Copy(io.Discard, response.Body)
	took := time.Since(begun)
	return answer{
		status:     response.StatusCode,
		reason:     d.reasonOf(id),
		challenge:  response.Header.Get("WWW-Authenticate"),
		retryAfter: response.Header.Get("Retry-After"),
		took:       took,
		err:        err,
	}
}
