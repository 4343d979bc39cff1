package middleware_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// Bodies of the response classes.
const (
	body400 = `{"type":"about:blank","title":"Bad Request","status":400}` + "\n"
	body401 = `{"type":"about:blank","title":"Unauthorized","status":401}` + "\n"
	body403 = `{"type":"about:blank","title":"Forbidden","status":403}` + "\n"
	body503 = `{"type":"about:blank","title":"Service Unavailable","status":503}` + "\n"
)

const (
	metadataURL = "https://api.test/.well-known/oauth-protected-resource"
	metadata    = `, resource_metadata="` + metadataURL + `"`

	wantPlain   = `Bearer realm="api"`
	wantRequest = `Bearer realm="api", error="invalid_request", error_description="The request is malformed"`
	wantInvalid = `Bearer realm="api", error="invalid_token", error_description="The access token is invalid"` + metadata
	wantExpired = `Bearer realm="api", error="invalid_token", error_description="The access token expired"` + metadata
	wantScope   = `Bearer realm="api", error="insufficient_scope", error_description="The access token lacks a scope"`
	wantStepUp  = `Bearer realm="api", error="insufficient_user_authentication", error_description="Stronger or more recent authentication is required"`
)

// refusalRow is one refusal and the whole answer to it.
type refusalRow struct {
	name          string
	policy        scopes.Policy
	authorization []string
	want          validator.Reason
	status        int
	challenge     string
	body          string
}

// refusalRows has each Reason that a request can have, under each kind of policy that
// makes a difference.
func refusalRows(issuer *issuertest.Issuer) []refusalRow {
	sign := func(token testissuer.Token) []string { return []string{"Bearer " + issuer.Sign(token)} }
	claims := func(name string, value any) []string {
		return sign(testissuer.Token{Scope: "read", Claims: map[string]any{name: value}})
	}
	good := sign(testissuer.Token{Scope: "read"})
	read := scopes.All("read")
	says := func(err error) scopes.Policy {
		return scopes.Check("says", time.Second, func(context.Context, *validator.Token, scopes.Operation) error { return err })
	}
	acr, age := scopes.ACR("urn:mfa", "urn:hw"), scopes.MaxAuthAge(5*time.Minute)
	now := time.Now().Unix()
	recent := sign(testissuer.Token{Claims: map[string]any{"auth_time": now, "acr": "urn:mfa"}})
	return []refusalRow{
		{"no token, All", scopes.All("read", "write"), nil, validator.NoCredentials, 401, wantPlain + `, scope="read write"` + metadata, body401},
		{"no token, Any", scopes.Any("a", "b"), nil, validator.NoCredentials, 401, wantPlain + `, scope="a"` + metadata, body401},
		{"no token, And", scopes.And(read, acr), nil, validator.NoCredentials, 401, wantPlain + `, scope="read"` + metadata, body401},
		{"no token, offline_access", scopes.All("offline_access", "read"), nil, validator.NoCredentials, 401, wantPlain + `, scope="read"` + metadata, body401},
		{"no token, Authenticated", scopes.Authenticated(), nil, validator.NoCredentials, 401, wantPlain + metadata, body401},
		{"no token, no ACR in the challenge", acr, nil, validator.NoCredentials, 401, wantPlain + metadata, body401},
		{"Basic", read, []string{"Basic dTpw"}, validator.NoCredentials, 401, wantPlain + `, scope="read"` + metadata, body401},
		{"two fields", read, []string{good[0], good[0]}, validator.MalformedRequest, 400, wantRequest, body400},
		{"bad grammar", read, []string{"Bearer a b"}, validator.MalformedRequest, 400, wantRequest, body400},
		{"too large", read, []string{"Bearer " + strings.Repeat("a", 1<<17)}, validator.TooLarge, 400, wantRequest, body400},
		{"no JWS", read, []string{"Bearer abc"}, validator.MalformedToken, 401, wantInvalid, body401},
		{"HMAC with the public key", read, sign(testissuer.Token{Forgery: testissuer.HMACWithPublicKey}), validator.AlgorithmNotAllowed, 401, wantInvalid, body401},
		{"key of another issuer", read, sign(testissuer.Token{Forgery: testissuer.ForeignKey}), validator.BadSignature, 401, wantInvalid, body401},
		{"unknown kid", read, sign(testissuer.Token{Header: map[string]any{"kid": "x"}}), validator.UnknownKey, 401, wantInvalid, body401},
		{"ID token", read, sign(testissuer.Token{Header: map[string]any{"typ": "JWT"}}), validator.WrongType, 401, wantInvalid, body401},
		{"unknown issuer", read, claims("iss", "https://evil.test"), validator.UnknownIssuer, 401, wantInvalid, body401},
		{"wrong audience", read, claims("aud", "https://other.test"), validator.WrongAudience, 401, wantInvalid, body401},
		{"audience of another route", scopes.And(read, scopes.Audience("https://b.test")), good, validator.WrongAudience, 401, wantInvalid, body401},
		{"expired", read, claims("exp", now-600), validator.Expired, 401, wantExpired, body401},
		{"expired, no ACR in the challenge", acr, claims("exp", now-600), validator.Expired, 401, wantExpired, body401},
		{"not yet", read, claims("nbf", now+600), validator.NotYetValid, 401, wantInvalid, body401},
		{"no subject", read, claims("sub", nil), validator.BadClaims, 401, wantInvalid, body401},
		{"lives too long", scopes.And(read, scopes.MaxLifetime(time.Second)), good, validator.BadClaims, 401, wantInvalid, body401},
		{"bound", read, claims("cnf", map[string]any{"jkt": "x"}), validator.BindingMismatch, 401, wantInvalid, body401},
		{"not bound", scopes.SenderConstrained(), good, validator.BindingMismatch, 401, wantInvalid, body401},
		{"All", scopes.All("read", "write"), good, validator.InsufficientScope, 403, wantScope + `, scope="read write"` + metadata, body403},
		{"Any", scopes.Any("a", "b"), good, validator.InsufficientScope, 403, wantScope + `, scope="a"` + metadata, body403},
		{"And of scopes", scopes.And(read, scopes.Any("a", "b")), good, validator.InsufficientScope, 403, wantScope + `, scope="read a"` + metadata, body403},
		{"only offline_access", scopes.All("offline_access"), good, validator.InsufficientScope, 403, wantScope + metadata, body403},
		{"ACR", acr, good, validator.StepUpRequired, 401, wantStepUp + `, acr_values="urn:mfa urn:hw"` + metadata, body401},
		{"MaxAuthAge", age, good, validator.StepUpRequired, 401, wantStepUp + `, max_age="300"` + metadata, body401},
		{"ACR and MaxAuthAge", scopes.And(acr, age), good, validator.StepUpRequired, 401, wantStepUp + `, acr_values="urn:mfa urn:hw", max_age="300"` + metadata, body401},
		{"step-up and scopes", scopes.And(scopes.All("read", "write"), acr), good, validator.StepUpRequired, 401, wantStepUp + `, scope="read write", acr_values="urn:mfa urn:hw"` + metadata, body401},
		{"only scopes after step-up", scopes.And(scopes.All("write"), acr, age), recent, validator.InsufficientScope, 403, wantScope + `, scope="write"` + metadata, body403},
		{"hook forbids", scopes.And(read, says(scopes.ErrForbidden)), good, validator.Forbidden, 403, "", body403},
		{"actor", scopes.NotDelegated(), claims("act", map[string]any{"sub": "robot"}), validator.Forbidden, 403, "", body403},
		{"tenant", scopes.Issuers("https://other.test"), good, validator.Forbidden, 403, "", body403},
		{"hook fails", says(errors.New("the database is down")), good, validator.Unavailable, 503, "", body503},
	}
}

// TestRefusals has the status, all fields, the body and the reason of each
// refusal. R-CH-01, R-CH-02, R-CH-03, R-CH-04, R-CH-06, R-CH-07, R-CH-08,
// R-CH-10, R-CH-11, R-CH-13, R-SU-01, R-SU-02, R-SU-04, R-SU-07, R-PR-07,
// R-PR-11.
func TestRefusals(t *testing.T) {
	issuer := issuertest.New(t)
	for _, row := range refusalRows(issuer) {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions, "BREW"} {
			var reasons []validator.Reason
			guard := issuer.Guard(t, middleware.Config{ResourceMetadata: metadataURL, Trace: denials(func(_ context.Context, d *middleware.Denial) {
				reasons = append(reasons, d.Reason)
			})})
			r := request(row.authorization...)
			r.Method = method
			var h handler
			response := serve(guard.Require(row.policy, &h), r)
			fields := http.Header{"Cache-Control": {"no-store"}, "Content-Type": {"application/problem+json"}}
			if row.challenge != "" {
				fields["Www-Authenticate"] = []string{row.challenge}
			}
			if row.status == http.StatusServiceUnavailable {
				fields["Retry-After"] = []string{"1"}
			}
			body, _ := io.ReadAll(response.Body)
			want := row.body
			if method == http.MethodHead {
				want = ""
			}
			if response.StatusCode != row.status || string(body) != want || h.ran != 0 || !slices.Equal(reasons, []validator.Reason{row.want}) {
				t.Errorf("%s, %s: %d %q for %v, want %d %q for %s", row.name, method, response.StatusCode, body, reasons, row.status, want, row.want)
			}
			if !maps.EqualFunc(response.Header, fields, slices.Equal) {
				t.Errorf("%s, %s:\n%q, want\n%q", row.name, method, response.Header, fields)
			}
		}
	}
}

// TestGuidance covers R-CH-07: with HideScopes, the answer to a request without
// credentials names no scopes, and the answer to a valid token still does.
func TestGuidance(t *testing.T) {
	issuer := issuertest.New(t)
	hidden := issuer.Guard(t, middleware.Config{HideScopes: true}).Require(scopes.All("write"), new(handler))
	if got := serve(hidden, request()).Header.Values("WWW-Authenticate"); !slices.Equal(got, []string{wantPlain}) {
		t.Errorf("without credentials: %q", got)
	}
	got := serve(hidden, request("Bearer "+issuer.Sign(testissuer.Token{}))).Header.Values("WWW-Authenticate")
	if !slices.Equal(got, []string{wantScope + `, scope="write"`}) {
		t.Errorf("with a token: %q", got)
	}
	guard := issuer.Guard(t, middleware.Config{})
	denial := routeOf(t, guard, scopes.All("write")).Check(t.Context(), validator.Presentation{}, scopes.Operation{}).Denial()
	if denial == nil || !slices.Equal(denial.Challenges, []string{wantPlain + `, scope="write"`}) {
		t.Errorf("Check: %+v", denial)
	}
}

// TestHookCause shows that the error of a hook is the Cause of the Denial, for logs,
// and that the Reason does not depend on what the error wraps.
func TestHookCause(t *testing.T) {
	issuer := issuertest.New(t)
	secret := validator.Refuse(validator.Expired, errors.New("row 7 is locked"))
	policy := scopes.Check("orders", time.Second, func(context.Context, *validator.Token, scopes.Operation) error { return secret })
	denial := routeOf(t, issuer.Guard(t, middleware.Config{}), policy).Check(t.Context(),
		issuer.Bearer(nil), scopes.Operation{}).Denial()
	if denial == nil || denial.Reason != validator.Unavailable || denial.Status != 503 || !errors.Is(denial, secret) {
		t.Errorf("%+v", denial)
	}
}
