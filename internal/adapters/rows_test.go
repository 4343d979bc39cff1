package adapters

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// row is a presentation under a policy.
type row struct {
	name          string
	policy        scopes.Policy
	authorization []string
	dpop          []string
	want          validator.Reason // empty: permitted
	unlisted      bool             // the operation has no policy
}

// fields returns the credentials of r as names and values of fields.
func (r *row) fields() [][2]string {
	var all [][2]string
	for _, value := range r.authorization {
		all = append(all, [2]string{"Authorization", value})
	}
	for _, value := range r.dpop {
		all = append(all, [2]string{"DPoP", value})
	}
	return all
}

// issuers are those whose tokens the rows present.
type issuers struct {
	jwt, opaque, down *issuertest.Issuer
}

func newIssuers(t *testing.T) *issuers {
	t.Helper()
	all := &issuers{
		issuertest.At(t, "https://jwt.test"), issuertest.At(t, "https://opaque.test"), issuertest.At(t, "https://down.test"),
	}
	all.down.Down(true)
	return all
}

// guard returns a Guard that takes tokens of all issuers.
func (is *issuers) guard(t *testing.T, config middleware.Config) *middleware.Guard {
	t.Helper()
	jwt := is.jwt.Config(func(c *validator.Issuer) {
		c.Grants = []string{validator.AllScopes}
		c.ACRs, c.MultiFactor = []string{"urn:mfa"}, []string{"mfa"}
		c.Tenant = validator.TenantRule{Claim: "tid", Owned: []string{"t1", "t2"}}
	})
	opaque := is.opaque.OpaqueConfig(func(c *validator.Issuer) { c.Grants, c.Opaque.Prefix = []string{"read"}, "op_" })
	down := is.down.OpaqueConfig(func(c *validator.Issuer) { c.Grants, c.Opaque.Prefix = []string{"read"}, "down_" })
	config.Validator = issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{jwt, opaque, down}})
	return issuertest.Guard(t, config)
}

const otherAudience = "https://other.test"

// rows returns a presentation for every Reason that can be produced, and for every form
// of policy.
func (is *issuers) rows() []row {
	sign := func(token testissuer.Token) []string {
		claims := map[string]any{"tid": "t1"}
		maps.Copy(claims, token.Claims)
		token.Claims = claims
		return []string{"Bearer " + is.jwt.Sign(token)}
	}
	claims := func(name string, value any) []string {
		return sign(testissuer.Token{Scope: "read", Claims: map[string]any{name: value}})
	}
	good := sign(testissuer.Token{Scope: "read"})
	opaque := []string{"Bearer op_" + strings.Repeat("a", 40)}
	active := []string{"Bearer " + is.opaque.Opaque(testissuer.Token{Scope: "read", Prefix: "op_"})}
	read, anyone := scopes.All("read"), scopes.Authenticated()
	says := func(err error) scopes.Policy {
		return scopes.Check("says", time.Second, func(context.Context, *validator.Token, scopes.Operation) error { return err })
	}
	party := validator.Party{Issuer: "https://jwt.test", Subject: "robot"}
	acr, age := scopes.ACR("urn:mfa", "urn:hw"), scopes.MaxAuthAge(5*time.Minute)
	tiers := scopes.Tiers(scopes.TierTable{Tiers: map[string]scopes.Tier{"strict": {MaxLifetime: time.Second}}, Default: "strict"})
	now := time.Now().Unix()
	return []row{
		// Credentials, and what they are refused for before any policy is asked.
		{name: "no token", policy: read, want: validator.NoCredentials},
		{name: "Basic", policy: read, authorization: []string{"Basic dTpw"}, want: validator.NoCredentials},
		{name: "an empty field", policy: read, authorization: []string{""}, want: validator.MalformedRequest},
		{name: "two fields", policy: read, authorization: []string{good[0], good[0]}, want: validator.MalformedRequest},
		{name: "two tokens in a field", policy: read, authorization: []string{good[0] + ", " + good[0]}, want: validator.MalformedRequest},
		{name: "bad grammar", policy: read, authorization: []string{"Bearer a b"}, want: validator.MalformedRequest},
		{name: "too large", policy: read, authorization: []string{"Bearer " + strings.Repeat("a", 17<<10)}, want: validator.TooLarge},
		{name: "no header", policy: read, authorization: sign(testissuer.Token{RawHeader: `{"alg":"ES256","alg":"ES256"}`}), want: validator.MalformedToken},
		{name: "HMAC with the public key", policy: read, authorization: sign(testissuer.Token{Forgery: testissuer.HMACWithPublicKey}), want: validator.AlgorithmNotAllowed},
		{name: "foreign key", policy: read, authorization: sign(testissuer.Token{Forgery: testissuer.ForeignKey}), want: validator.BadSignature},
		{name: "unknown kid", policy: read, authorization: sign(testissuer.Token{Header: map[string]any{"kid": "x"}}), want: validator.UnknownKey},
		{name: "ID token", policy: read, authorization: sign(testissuer.Token{Header: map[string]any{"typ": "JWT"}}), want: validator.WrongType},
		{name: "unknown issuer", policy: read, authorization: claims("iss", "https://evil.test"), want: validator.UnknownIssuer},
		{name: "wrong audience", policy: read, authorization: claims("aud", otherAudience), want: validator.WrongAudience},
		{name: "expired", policy: read, authorization: claims("exp", now-600), want: validator.Expired},
		{name: "not yet", policy: read, authorization: claims("nbf", now+600), want: validator.NotYetValid},
		{name: "no subject", policy: read, authorization: claims("sub", nil), want: validator.BadClaims},
		{name: "bound", policy: read, authorization: claims("cnf", map[string]any{"jkt": "x"}), want: validator.BindingMismatch},
		{name: "inactive", policy: read, authorization: opaque, want: validator.Inactive},
		{name: "issuer down", policy: read, authorization: []string{"Bearer down_" + strings.Repeat("a", 40)}, want: validator.Unavailable},
		{name: "a proof and no token", policy: read, dpop: []string{"proof"}, want: validator.NoCredentials},
		{name: "a DPoP token", policy: read, authorization: []string{"DPoP " + strings.TrimPrefix(good[0], "Bearer ")}, dpop: []string{"proof"}, want: validator.BindingMismatch},
		// Forms of policies, which permit and refuse.
		{name: "All permits", policy: read, authorization: good},
		{name: "an opaque token", policy: read, authorization: active},
		{name: "All", policy: scopes.All("read", "write"), authorization: good, want: validator.InsufficientScope},
		{name: "All, no token", policy: scopes.All("read", "write", "offline_access"), want: validator.NoCredentials},
		{name: "Any", policy: scopes.Any("a", "b"), authorization: good, want: validator.InsufficientScope},
		{name: "And", policy: scopes.And(read, scopes.Any("a", "b")), authorization: good, want: validator.InsufficientScope},
		{name: "Or", policy: scopes.Or(scopes.All("a"), scopes.All("b")), authorization: good, want: validator.InsufficientScope},
		{name: "Or permits", policy: scopes.Or(scopes.All("a"), read), authorization: good},
		{name: "Authenticated", policy: anyone, want: validator.NoCredentials},
		{name: "Public", policy: scopes.Public()},
		{name: "Public ignores credentials", policy: scopes.Public(), authorization: []string{"Bearer a b", "x"}},
		{name: "Optional, nobody", policy: scopes.Optional(read)},
		{name: "Optional, a token", policy: scopes.Optional(read), authorization: good},
		{name: "Optional, a bad token", policy: scopes.Optional(read), authorization: claims("exp", now-600), want: validator.Expired},
		{name: "Optional, another scheme", policy: scopes.Optional(read), authorization: []string{"Basic dTpw"}, want: validator.NoCredentials},
		{name: "Optional, a proof", policy: scopes.Optional(read), dpop: []string{"proof"}, want: validator.NoCredentials},
		{name: "ACR", policy: acr, authorization: good, want: validator.StepUpRequired},
		{name: "ACR permits", policy: acr, authorization: claims("acr", "urn:mfa")},
		{name: "MFA", policy: scopes.MFA("urn:mfa"), authorization: good, want: validator.StepUpRequired},
		{name: "MaxAuthAge", policy: age, authorization: good, want: validator.StepUpRequired},
		{name: "step-up and scopes", policy: scopes.And(scopes.All("read", "write"), acr, age), authorization: good, want: validator.StepUpRequired},
		{name: "Privileged", policy: scopes.Privileged(scopes.And(read, acr)), authorization: good, want: validator.StepUpRequired},
		{name: "Sensitive", policy: scopes.Sensitive(scopes.And(read, age)), authorization: good, want: validator.StepUpRequired},
		{name: "ConsentWithin", policy: scopes.ConsentWithin("consent", time.Hour), authorization: good, want: validator.InsufficientScope},
		{name: "SenderConstrained", policy: scopes.SenderConstrained(), authorization: good, want: validator.BindingMismatch},
		{name: "Audience", policy: scopes.And(read, scopes.Audience(otherAudience)), authorization: good, want: validator.WrongAudience},
		{name: "MaxLifetime", policy: scopes.MaxLifetime(time.Second), authorization: good, want: validator.BadClaims},
		{name: "MaxTokenAge", policy: scopes.MaxTokenAge(time.Minute), authorization: claims("iat", now-300), want: validator.BadClaims},
		{name: "Tiers", policy: tiers, authorization: good, want: validator.BadClaims},
		{name: "FreshlyActive", policy: scopes.And(read, scopes.FreshlyActive(time.Minute)), authorization: active},
		{name: "OpaqueIssuer", policy: scopes.And(read, scopes.OpaqueIssuer("https://opaque.test")), authorization: opaque, want: validator.Inactive},
		{name: "NotDelegated", policy: scopes.NotDelegated(), authorization: claims("act", map[string]any{"sub": "robot"}), want: validator.Forbidden},
		{name: "Actors", policy: scopes.Actors(party), authorization: good, want: validator.Forbidden},
		{name: "Issuers", policy: scopes.Issuers("https://opaque.test"), authorization: good, want: validator.Forbidden},
		{name: "Clients", policy: scopes.Clients("https://jwt.test", "another"), authorization: good, want: validator.Forbidden},
		{name: "Roles", policy: scopes.Roles("admin"), authorization: good, want: validator.Forbidden},
		{name: "AnyRole", policy: scopes.AnyRole("admin", "owner"), authorization: good, want: validator.Forbidden},
		{name: "Tenants", policy: scopes.Tenants("t2"), authorization: claims("tid", "t1"), want: validator.Forbidden},
		{name: "Tenants permits", policy: scopes.Tenants("t2"), authorization: claims("tid", "t2")},
		{name: "UserOnly", policy: scopes.UserOnly(), authorization: sign(testissuer.Token{Claims: map[string]any{"sub": "c", "client_id": "c"}}), want: validator.Forbidden},
		{name: "Claim", policy: scopes.Claim(validator.ClaimRule{Name: "plan", Type: validator.ClaimString, Equals: "gold"}), authorization: good, want: validator.BadClaims},
		{name: "Check forbids", policy: says(scopes.ErrForbidden), authorization: good, want: validator.Forbidden},
		{name: "Check fails", policy: says(errors.New("down")), authorization: good, want: validator.Unavailable},
		{name: "Check permits", policy: says(nil), authorization: good},
		// Operations without a policy.
		{name: "unlisted, nobody", unlisted: true, want: validator.NoCredentials},
		{name: "unlisted, a bad token", unlisted: true, authorization: claims("exp", now-600), want: validator.Expired},
		{name: "unlisted, a token", unlisted: true, authorization: good, want: validator.Forbidden},
	}
}
