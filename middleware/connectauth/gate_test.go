package connectauth_test

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestPermitted checks that calls of every kind reach the handler in all protocols,
// with the token.
func TestPermitted(t *testing.T) {
	issuer := issuertest.New(t)
	service := new(orders)
	url := listen(t, mounted(t, issuer.Guard(t, middleware.Config{}), service))
	token := issuer.Token(issuertest.Claims{"scope": "orders:read orders:write", "acr": "mfa", "sub": "alice"})
	for _, d := range dialects() {
		t.Run(d.name, func(t *testing.T) {
			for procedure := range policies() {
				if procedure == chat && d.http == 1 {
					continue // Connect has no bidi streams over HTTP/1.1
				}
				want := "for alice"
				if procedure == listShops {
					want = "for "
				}
				if answer, err := do(t.Context(), dial(t, d, url, procedure, token), procedure); err != nil || answer != want {
					t.Errorf("%s: %q, %v", procedure, answer, err)
				}
			}
			if d.http == 2 { // anonymous
				if answer, err := do(t.Context(), dial(t, d, url, chat, ""), chat); err != nil || answer != "for " {
					t.Errorf("anonymous: %q, %v", answer, err)
				}
			}
		})
	}
}

// TestDenied covers R-GR-02, R-GR-03, R-GR-04, R-GR-05, R-GR-06 and R-GR-07 for Connect: each
// refusal has the code, the details and the challenge in every protocol and for every
// kind of call, and no handler runs.
func TestDenied(t *testing.T) {
	issuer := issuertest.New(t)
	service := new(orders)
	guard := issuer.Guard(t, middleware.Config{ResourceMetadata: "https://api.test/.well-known/oauth-protected-resource"})
	url := listen(t, mounted(t, guard, service))
	const metadata = `, resource_metadata="https://api.test/.well-known/oauth-protected-resource"`
	for _, test := range []struct {
		name, procedure, token string
		code                   connect.Code
		info                   *errdetails.ErrorInfo
		challenge              string
	}{
		{
			"no credentials", getOrder, "", connect.CodeUnauthenticated,
			&errdetails.ErrorInfo{Reason: "NO_CREDENTIALS", Metadata: map[string]string{"scope": "orders:read"}},
			`Bearer realm="api", scope="orders:read"` + metadata,
		},
		{
			"no credentials, server stream", watch, "", connect.CodeUnauthenticated,
			&errdetails.ErrorInfo{Reason: "NO_CREDENTIALS", Metadata: map[string]string{"scope": "orders:read"}},
			`Bearer realm="api", scope="orders:read"` + metadata,
		},
		{
			"malformed", placeOrder, "a b", connect.CodeUnauthenticated,
			&errdetails.ErrorInfo{Reason: "INVALID_REQUEST"},
			`Bearer realm="api", error="invalid_request", error_description="The request is malformed"`,
		},
		{
			"too large", placeOrder, strings.Repeat("x", 17<<10), connect.CodeUnauthenticated,
			&errdetails.ErrorInfo{Reason: "INVALID_REQUEST"},
			`Bearer realm="api", error="invalid_request", error_description="The request is malformed"`,
		},
		{
			"expired, client stream", upload, issuer.Token(issuertest.Claims{"scope": "orders:write", "exp": 1}), connect.CodeUnauthenticated,
			&errdetails.ErrorInfo{Reason: "EXPIRED_TOKEN"},
			`Bearer realm="api", error="invalid_token", error_description="The access token expired"` + metadata,
		},
		{
			"forged, bidi stream", chat, issuer.Sign(testissuer.Token{Forgery: testissuer.ForeignKey}), connect.CodeUnauthenticated,
			&errdetails.ErrorInfo{Reason: "INVALID_TOKEN"},
			`Bearer realm="api", error="invalid_token", error_description="The access token is invalid"` + metadata,
		},
		{
			"read scope for a mutation", placeOrder, issuer.Token(issuertest.Claims{"scope": "orders:read"}), connect.CodePermissionDenied,
			&errdetails.ErrorInfo{Reason: "INSUFFICIENT_SCOPE", Metadata: map[string]string{"scope": "orders:write"}},
			`Bearer realm="api", error="insufficient_scope", error_description="The access token lacks a scope", scope="orders:write"` + metadata,
		},
		{
			"step-up", shipOrder, issuer.Token(issuertest.Claims{"scope": "orders:write"}), connect.CodeUnauthenticated,
			&errdetails.ErrorInfo{Reason: "INSUFFICIENT_USER_AUTHENTICATION", Metadata: map[string]string{"acrValues": "mfa"}},
			`Bearer realm="api", error="insufficient_user_authentication", error_description="Stronger or more recent authentication is required", acr_values="mfa"` + metadata,
		},
	} {
		for _, d := range dialects() {
			if test.procedure == chat && d.http == 1 {
				continue
			}
			t.Run(test.name+"/"+d.name, func(t *testing.T) {
				_, err := do(t.Context(), dial(t, d, url, test.procedure, test.token), test.procedure)
				if code := connect.CodeOf(err); code != test.code {
					t.Fatalf("code %v (%v), want %v", code, err, test.code)
				}
				info, retry := info(t, err)
				if info.GetReason() != test.info.GetReason() || info.GetDomain() != middleware.ErrorDomain || retry != nil {
					t.Errorf("details %v, %v", info, retry)
				}
				want := map[string]string{"realm": "api"}
				maps.Copy(want, test.info.GetMetadata())
				if strings.HasSuffix(test.challenge, metadata) {
					want["resourceMetadata"] = "https://api.test/.well-known/oauth-protected-resource"
				}
				if got := info.GetMetadata(); !maps.Equal(got, want) {
					t.Errorf("metadata %v, want %v", got, want)
				}
				failed, _ := errors.AsType[*connect.Error](err)
				if got := failed.Meta().Values("WWW-Authenticate"); !slices.Equal(got, []string{test.challenge}) {
					t.Errorf("challenges %q, want %q", got, test.challenge)
				}
				if got := failed.Meta().Get("Cache-Control"); got != "no-store" {
					t.Errorf("Cache-Control %q", got)
				}
			})
		}
	}
	if ran := service.ran.Load(); ran != 0 {
		t.Errorf("%d calls reached the handler", ran)
	}
}

// TestUnavailable covers R-GR-05 for Connect: an outage is UNAVAILABLE with the delay of the
// HTTP answer, in every protocol.
func TestUnavailable(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuertest.Guard(t, middleware.Config{Validator: issuertest.Validator(t, validator.Config{
		Issuers: []validator.Issuer{issuer.Config(issuer.Fetched)},
	})})
	token := issuer.Token(issuertest.Claims{"scope": "orders:read"})
	issuer.Close()
	url := listen(t, mounted(t, guard, new(orders)))
	for _, d := range dialects() {
		for _, procedure := range []string{getOrder, watch} {
			t.Run(d.name+procedure, func(t *testing.T) {
				_, err := do(t.Context(), dial(t, d, url, procedure, token), procedure)
				if code := connect.CodeOf(err); code != connect.CodeUnavailable {
					t.Fatal(err)
				}
				info, retry := info(t, err)
				if info.GetReason() != "UNAVAILABLE" || retry.GetRetryDelay().AsDuration() <= 0 {
					t.Errorf("details %v, %v", info, retry)
				}
				failed, _ := errors.AsType[*connect.Error](err)
				delay := int64(retry.GetRetryDelay().AsDuration() / time.Millisecond)
				pushback, after := "", ""
				switch {
				case !strings.HasPrefix(d.name, "connect"):
					pushback = strconv.FormatInt(delay, 10)
				case procedure == getOrder:
					after = strconv.FormatInt(delay/1000, 10)
				}
				if got := failed.Meta().Get("Grpc-Retry-Pushback-Ms"); !isPushback(got, pushback) {
					t.Errorf("pushback %q, want %q", got, pushback)
				}
				if got := failed.Meta().Get("Retry-After"); got != after && pushback == "" && procedure == getOrder {
					t.Errorf("Retry-After %q, want %q", got, after)
				}
			})
		}
	}
}

// isPushback reports whether got is a pushback of want milliseconds with some spread, or,
// if want is empty, none.
func isPushback(got, want string) bool {
	if want == "" {
		return got == ""
	}
	milliseconds, err := strconv.Atoi(got)
	least, _ := strconv.Atoi(want)
	return err == nil && milliseconds >= least && milliseconds < least+500
}
