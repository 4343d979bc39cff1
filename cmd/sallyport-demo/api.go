package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// audience is the identifier of the API.
const audience = "https://api.demo"

// demo is an issuer and an API that trusts it.
type demo struct {
	issuer *testissuer.Issuer
	server *http.Server
	client *http.Client
	url    string
	ended  sync.WaitGroup
	cancel context.CancelFunc

	mu      sync.Mutex
	reasons map[string]validator.Reason // of refusals, by request id
	last    int                         // request id
}

var errNotLoopback = errors.New("the address is not a loopback address: the demo's tokens are for anybody to take")

func start(ctx context.Context, address string) (*demo, error) {
	if endpoint, err := netip.ParseAddrPort(address); err != nil || !endpoint.Addr().IsLoopback() {
		return nil, errNotLoopback
	}
	issuer, err := testissuer.Start(testissuer.Config{Audience: audience}) //nolint:contextcheck // ends with close
	if err != nil {
		return nil, err
	}
	d := &demo{
		issuer:  issuer,
		client:  &http.Client{Timeout: 30 * time.Second},
		reasons: make(map[string]validator.Reason),
	}
	handler, guard, err := d.api()
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
	if err := guard.Warm(ctx); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// api is the protected API: what an application would write, but for the hook
// that lets the demo print the reasons. Clients never see those.
func (d *demo) api() (http.Handler, *middleware.Guard, error) {
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{{
		URL:       d.issuer.URL(), // its keys are discovered
		Audiences: []string{audience},
	}}})
	if err != nil {
		return nil, nil, err
	}
	guard, err := middleware.New(middleware.Config{Validator: v, Trace: &middleware.Trace{Denied: d.noteReason}})
	if err != nil {
		return nil, nil, err
	}
	mux := guard.NewMux()
	mux.HandleFunc("GET /orders/{id}", scopes.All("orders:read"), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "order %s for %s\n", r.PathValue("id"), middleware.TokenFrom(r.Context()).Subject()) //nolint:gosec // plain text
	})
	mux.HandleFunc("POST /orders", scopes.All("orders:write"), func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
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
	d.issuer.Close()
	d.ended.Wait()
}

// idField carries the id by which the demo finds a request's reason again.
const idField = "X-Demo-Request"

type idKey struct{}

func withID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), idKey{}, r.Header.Get(idField))))
	})
}

func (d *demo) noteReason(ctx context.Context, denial *middleware.Denial) {
	id, _ := ctx.Value(idKey{}).(string)
	if id == "" {
		return // a visitor's request
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reasons[id] = denial.Reason
}

// answer is what one request got.
type answer struct {
	status    int
	reason    validator.Reason // "" if it was let through
	challenge string
	took      time.Duration
	err       error
}

// send makes a request with these Authorization fields.
func (d *demo) send(ctx context.Context, method, path string, authorization ...string) answer {
	d.mu.Lock()
	d.last++
	id := fmt.Sprint(d.last)
	d.mu.Unlock()
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
	d.mu.Lock()
	defer d.mu.Unlock()
	return answer{response.StatusCode, d.reasons[id], response.Header.Get("WWW-Authenticate"), took, err}
}
