package grpcauth_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"

	"google.golang.org/protobuf/types/known/wrapperspb"
)

// operation is the one of calls by hand.
var operation = scopes.Operation{}

// TestPaths covers R-GR-06, R-GR-08 and A6 of the situations: only the exact full method
// reaches a handler, also over net/http. Any other path gets what an unlisted method gets,
// also from callers who have a good token, and never a public policy.
func TestPaths(t *testing.T) {
	var ran atomic.Int64
	table := policies()
	table[methodGet] = scopes.Public()
	a := start(t, setup{
		gate: grpcauth.Config{Methods: table},
		service: &service{
			get:    func(_ context.Context, in *text) (*text, error) { ran.Add(1); return in, nil },
			stream: func(string, grpc.ServerStream) error { ran.Add(1); return nil },
		},
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: a.gate.Handler(a.server), Protocols: &protocols, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })

	good := hpack.HeaderField{Name: "authorization", Value: a.bearer("read")}
	for name, addr := range map[string]string{"grpc": a.addr, "net/http": listener.Addr().String()} {
		for _, path := range []string{
			"svc.S/Get", "//svc.S/Get", "/svc.S/Get/", "/svc.S//Get", "/svc.s/Get", "/svc.S/get", "/svc.S/Get?x", "/svc.S%2FGet", "/svc.S/%47et", "/svc.S/Get%00",
			"/./svc.S/Get", "/x/../svc.S/Get", "/svc.S/Get#x", "/SVC.S/GET", "/svc.S/Get ", "/", "", "*", "/svc.S", "/svc.S/", "/svc.S/None", "/no.S/None", "/svc.S/Chat/", "//svc.S/Chat",
		} {
			for _, fields := range [][]hpack.HeaderField{nil, {good}} {
				ran.Store(0)
				raw := dialRaw(t, addr)
				end := raw.ends(raw.call(path, fields...))
				if ran.Load() != 0 {
					t.Errorf("%s %q: the handler ran", name, path)
				}
				code := end.header["grpc-status"]
				want := "16"
				if fields != nil {
					want = "12"
				}
				if malformed := end.gone || end.reset != 0 || strings.HasPrefix(end.header[":status"], "4") || code == "12" && strings.Contains(end.header["grpc-message"], "malformed method name"); code != want && !malformed {
					t.Errorf("%s %q with %d tokens: %+v", name, path, len(fields), end)
				}
			}
		}
		raw := dialRaw(t, addr)
		if end := raw.ends(raw.call(methodGet)); end.header["grpc-status"] != "0" || ran.Load() != 1 {
			t.Errorf("%s: the public method: %+v", name, end)
		}
		raw = dialRaw(t, addr)
		if end := raw.ends(raw.call(methodChat)); end.header["grpc-status"] != "16" || end.header[":status"] != "200" || name == "grpc" && end.blocks != 1 {
			t.Errorf("%s: a refusal is not trailers only: %+v", name, end)
		}
	}
}

// TestUnknownMethods covers R-GR-08: for a caller without a token, methods that exist,
// methods that nobody listed and methods that nobody registered are alike.
func TestUnknownMethods(t *testing.T) {
	var decisions recorded
	table := policies()
	delete(table, methodWatch)
	a := start(t, setup{guard: middleware.Config{HideScopes: true, Trace: decisions.trace()}, gate: grpcauth.Config{Methods: table}})
	var first answer
	for i, method := range []string{methodChat, methodWatch, "/svc.S/None", "/no.S/None"} {
		got := a.stream(a.with(), method)
		if i == 0 {
			first = got
			continue
		}
		details, _ := info(t, got.err)
		firstDetails, _ := info(t, first.err)
		if got.err.Error() != first.err.Error() || details.String() != firstDetails.String() || strings.Join(got.trailer["www-authenticate"], "") != strings.Join(first.trailer["www-authenticate"], "") {
			t.Errorf("%s: %v %v, the listed method: %v", method, got.err, got.trailer, first.err)
		}
	}
	for _, d := range decisions.take()[1:] {
		if d.Route != "unlisted" || d.Denial.Reason != validator.NoCredentials {
			t.Errorf("decided %q %v", d.Route, d.Denial)
		}
	}
	for _, method := range []string{methodWatch, "/svc.S/None", "/no.S/None"} {
		if got := a.stream(a.with("authorization", a.bearer("read")), method); grpcCode(got.err) != codes.Unimplemented.String() {
			t.Errorf("%s with a token: %v", method, got.err)
		}
	}
}

// TestProxy checks that a handler for unknown methods gets calls of listed methods only.
func TestProxy(t *testing.T) {
	table := policies()
	table["/other.S/Get"] = scopes.All("read")
	a := start(t, setup{gate: grpcauth.Config{Methods: table, Unknown: func(_ any, stream grpc.ServerStream) error {
		if err := stream.RecvMsg(new(text)); err != nil {
			return err
		}
		return stream.SendMsg(wrapperspb.String(middleware.TokenFrom(stream.Context()).Subject()))
	}}})
	if got := a.stream(a.with("authorization", a.bearer("read")), "/other.S/Get"); got.out == "" {
		t.Errorf("%v", got.err)
	}
	for method, pairs := range map[string][]string{"/other.S/Get": nil, "/other.S/Put": {"authorization", a.bearer("read")}, "/other.S/None": nil} {
		if got := a.stream(a.with(pairs...), method); got.out != "" || grpcCode(got.err) == "OK" {
			t.Errorf("%s: %q %v", method, got.out, got.err)
		}
	}
}
