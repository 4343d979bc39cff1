package gatewayauth_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport-auth/sallyport/middleware/gatewayauth"
	"github.com/sallyport-auth/sallyport/validator"
)

// copies is an annotator that copies the Authorization field, which the gateway
// forwards already.
func copies(_ context.Context, r *http.Request) metadata.MD {
	return metadata.Pairs("authorization", r.Header.Get("Authorization"))
}

// last returns the last refusal of the guard, or nil if it permitted the call.
func (b *backend) last() (reason validator.Reason, cause string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.denials[len(b.denials)-1]
	if d == nil {
		return "", ""
	}
	return d.Reason, d.Cause().Error()
}

// TestCopiedCredentials covers R-GR-01: an annotator that adds the token again makes the
// call fail, and the operator's cause says how many values came and what to do.
func TestCopiedCredentials(t *testing.T) {
	b := newBackend(t)
	if got := call(t, http.MethodGet, b.front(t, gatewayauth.Config{})+"/v1/orders/1", "", b.signed()...); got.status != http.StatusOK || b.calls.Load() != 1 {
		t.Errorf("without the annotator: %+v", got)
	}
	for name, front := range map[string]string{
		"with our options":           b.front(t, gatewayauth.Config{}, runtime.WithMetadata(copies)),
		"two annotators and no ours": b.bare(t, runtime.WithMetadata(copies), runtime.WithMetadata(copies)),
	} {
		got := call(t, http.MethodGet, front+"/v1/orders/1", "", b.signed()...)
		reason, cause := b.last()
		if got.status/100 != 4 || strings.Contains(got.body, "gateway") || b.calls.Load() != 1 {
			t.Errorf("%s: %+v", name, got)
		}
		if reason != validator.MalformedRequest || !strings.Contains(cause, "2 Authorization fields") || !strings.Contains(cause, "a gateway that forwards the field") {
			t.Errorf("%s: %s, %s", name, reason, cause)
		}
	}
}

// TestReplacedCredentials covers R-GR-01: without our options, a single annotator replaces
// the field of the client, so that a client without a token has the annotator's.
func TestReplacedCredentials(t *testing.T) {
	b := newBackend(t)
	own := runtime.WithMetadata(func(context.Context, *http.Request) metadata.MD {
		return metadata.Pairs("authorization", b.signed()[1])
	})
	if got := call(t, http.MethodGet, b.bare(t, own)+"/v1/orders/1", ""); got.status != http.StatusOK {
		t.Errorf("a client without a token: %+v", got)
	}
	if got := call(t, http.MethodGet, b.bare(t, own)+"/v1/orders/1", "", "Authorization", "Bearer x"); got.status != http.StatusOK {
		t.Errorf("a client with a bad token: %+v", got)
	}
	if got := call(t, http.MethodGet, b.front(t, gatewayauth.Config{}, own)+"/v1/orders/1", "", "Authorization", "Bearer x"); got.status/100 != 4 {
		t.Errorf("with our options: %+v", got)
	}
	if got := call(t, http.MethodGet, b.front(t, gatewayauth.Config{}, own)+"/v1/orders/1", ""); got.status != http.StatusOK {
		t.Errorf("with our options, a client without a token: %+v", got)
	}
}

// TestForwardedCredentials covers R-GR-01 and R-GR-09: the server gets the credentials as they came and once, and decides as the guard of net/http does.
func TestForwardedCredentials(t *testing.T) {
	b := newBackend(t)
	front := b.front(t, gatewayauth.Config{})
	direct := serve(t, b.guard.Require(policies()["Browse"], http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	good := b.signed()[1]
	for name, fields := range map[string][]string{
		"none":                         {},
		"a token":                      {"Authorization", good},
		"two":                          {"Authorization", good, "Authorization", good},
		"another scheme":               {"Authorization", "Basic dTpw"},
		"empty":                        {"Authorization", ""},
		"not printable":                {"Authorization", "Bearer \xff"},
		"not printable, a good prefix": {"Authorization", good + "\xe9"},
		"a tab":                        {"Authorization", "Bearer\t" + strings.TrimPrefix(good, "Bearer ")},
		"no scheme":                    {"Authorization", "\xc3\xa9 abc"},
		"a proof and no token":         {"Dpop", "abc"},
		"a proof and a bearer token":   {"Dpop", "abc", "Authorization", good},
		"a DPoP token":                 {"Dpop", "abc", "Authorization", "DPoP abc"},
	} {
		before := b.calls.Load()
		got, want := call(t, http.MethodGet, front+"/v1/browse/1", "", fields...), call(t, http.MethodGet, direct, "", fields...)
		if got.status != want.status || strings.Join(got.header["Www-Authenticate"], "") != strings.Join(want.header["Www-Authenticate"], "") || (b.calls.Load() == before) != (want.status != 200) {
			t.Errorf("%s: %d %q, want %d %q", name, got.status, got.header["Www-Authenticate"], want.status, want.header["Www-Authenticate"])
		}
	}
}

// TestKeysOfCredentials shows that no field but Authorization and DPoP becomes a key
// of credentials, whatever the matcher says.
func TestKeysOfCredentials(t *testing.T) {
	b := newBackend(t)
	all := func(field string) (string, bool) {
		if field == "X-Token" {
			return "Authorization", true
		}
		return runtime.LegacyHeaderMatcher(field)
	}
	for name, config := range map[string]gatewayauth.Config{"default": {}, "own matcher": {MatchHeader: all}} {
		front := b.front(t, config)
		for _, field := range []string{"Grpc-Metadata-Authorization", "Grpc-Metadata-Dpop", "Grpc-Metadata-Grpcgateway-Authorization", "X-Token"} {
			if got := call(t, http.MethodGet, front+"/v1/browse/1", "", field, b.signed()[1]); got.status != http.StatusOK || !strings.Contains(compact(got.body), `"owner":""`) {
				t.Errorf("%s, %s is taken for credentials: %+v", name, field, got)
			}
			fields := append(b.signed(), field, "Bearer other", "Accept", "*/*")
			if got := call(t, http.MethodGet, front+"/v1/browse/1", "", fields...); got.status != http.StatusOK || strings.Contains(compact(got.body), `"owner":""`) {
				t.Errorf("%s, %s besides a token: %+v", name, field, got)
			}
		}
	}
	b.gate.mu.Lock()
	defer b.gate.mu.Unlock()
	accepts := 0
	for _, md := range b.gate.seen {
		accepts += len(md["grpcgateway-accept"])
		if len(md["authorization"]) > 1 || len(md["dpop"]) > 0 || len(md["grpcgateway-authorization"]) > 0 {
			t.Errorf("the server got %v", md)
		}
	}
	if accepts == 0 {
		t.Error("other fields are not forwarded")
	}
}

// TestPrivate covers R-CH-11: answers to requests with credentials are not for shared
// caches, unless the service says so, and refusals are not stored.
func TestPrivate(t *testing.T) {
	b := newBackend(t)
	front := b.front(t, gatewayauth.Config{})
	public := b.front(t, gatewayauth.Config{}, runtime.WithForwardResponseOption(func(_ context.Context, w http.ResponseWriter, _ proto.Message) error {
		w.Header().Set("Cache-Control", "public")
		return nil
	}))
	for _, path := range []string{"/v1/orders/1", "/v1/orders/1/watch"} {
		b.sends = 1
		for want, got := range map[string]answer{
			"private":  call(t, http.MethodGet, front+path, "", b.signed()...),
			"public":   call(t, http.MethodGet, public+path, "", b.signed()...),
			"no-store": call(t, http.MethodGet, front+path, "", "Authorization", "Bearer a.b.c"),
			"":         call(t, http.MethodGet, front+"/v1/status/1", ""),
		} {
			if cache := got.header.Get("Cache-Control"); cache != want {
				t.Errorf("%s: %d with Cache-Control %q, want %q", path, got.status, cache, want)
			}
		}
	}
}
