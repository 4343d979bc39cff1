package middleware

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

func newGuard(t *testing.T, realm string) *Guard {
	t.Helper()
	g, err := New(Config{Validator: AnyValidator(), Realm: realm})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// newRoute makes a route of any valid token.
func newRoute(t *testing.T, realm string) *Route {
	t.Helper()
	route, err := newGuard(t, realm).Route("GET /", scopes.Authenticated())
	if err != nil {
		t.Fatal(err)
	}
	return route
}

// TestAnswers has the answer for every Reason. It covers R-AT-09, R-CH-03, R-CH-04,
// R-CH-06, R-CH-08 and R-CH-13.
func TestAnswers(t *testing.T) {
	const (
		plain   = `Bearer realm="api"`
		request = `Bearer realm="api", error="invalid_request", error_description="The request is malformed"`
		token   = `Bearer realm="api", error="invalid_token", error_description="The access token is invalid"`
		expired = `Bearer realm="api", error="invalid_token", error_description="The access token expired"`
		scope   = `Bearer realm="api", error="insufficient_scope", error_description="The access token lacks a scope"`
		stepUp  = `Bearer realm="api", error="insufficient_user_authentication", ` +
			`error_description="Stronger or more recent authentication is required"`
		proof = `DPoP realm="api", error="invalid_dpop_proof", error_description="The DPoP proof is invalid"`
		nonce = `DPoP realm="api", error="use_dpop_nonce", error_description="The DPoP proof needs a nonce"`
	)
	table := map[validator.Reason]struct {
		status    int
		challenge string
	}{
		validator.NoCredentials:       {401, plain},
		validator.MalformedRequest:    {400, request},
		validator.TooLarge:            {400, request},
		validator.MalformedToken:      {401, token},
		validator.AlgorithmNotAllowed: {401, token},
		validator.UnknownKey:          {401, token},
		validator.BadSignature:        {401, token},
		validator.WrongType:           {401, token},
		validator.UnknownIssuer:       {401, token},
		validator.WrongAudience:       {401, token},
		validator.Expired:             {401, expired},
		validator.NotYetValid:         {401, token},
		validator.BadClaims:           {401, token},
		validator.Inactive:            {401, token},
		validator.Revoked:             {401, token},
		validator.BindingMismatch:     {401, token},
		validator.BadProof:            {401, proof},
		validator.ProofReplayed:       {401, proof},
		validator.NonceRequired:       {401, nonce},
		validator.InsufficientScope:   {403, scope},
		validator.StepUpRequired:      {401, stepUp},
		validator.Forbidden:           {403, ""},
		validator.Unavailable:         {503, ""},
		validator.Canceled:            {503, ""},
	}
	if len(table) != len(classOf) {
		t.Errorf("%d reasons are answered, %d are tested", len(classOf), len(table))
	}
	route := newRoute(t, "")
	for reason, want := range table {
		denial := route.deny(validator.Refuse(reason, errors.New("secret cause")), nil)
		if denial.Reason != reason || denial.Status != want.status {
			t.Errorf("%s: %s %d, want %d", reason, denial.Reason, denial.Status, want.status)
		}
		if got := only(denial.Challenges); got != want.challenge {
			t.Errorf("%s: challenge %s, want %s", reason, got, want.challenge)
		}
		if wait := reason == validator.Unavailable; (denial.RetryAfter >= time.Second) != wait {
			t.Errorf("%s: Retry-After %v", reason, denial.RetryAfter)
		}
		if denial.Error() != "sallyport: denied: "+string(reason) || !errors.Is(denial, reason) {
			t.Errorf("%s: the denial does not carry its reason: %v", reason, denial)
		}
	}
}

// only returns the only challenge, or "" if there is none.
func only(challenges []string) string {
	switch len(challenges) {
	case 0:
		return ""
	case 1:
		return challenges[0]
	default:
		return "more than one"
	}
}

// TestVerdictWithBoth shows that a Verdict with a Denial returns no token, even if a
// mistake in the package put one into it.
func TestVerdictWithBoth(t *testing.T) {
	verdict := Verdict{token: new(validator.Token)}
	if verdict.Token() != nil || verdict.Denial() == nil {
		t.Errorf("%v, %v", verdict.Token(), verdict.Denial())
	}
}

// TestErrorWithoutReason shows that an error without a Reason is answered with 503
// and does not count against the token.
func TestErrorWithoutReason(t *testing.T) {
	denial := newRoute(t, "").deny(errors.New("odd"), nil)
	if denial.Reason != validator.Unavailable || denial.Status != 503 {
		t.Errorf("%s %d, want unavailable 503", denial.Reason, denial.Status)
	}
	denial = newRoute(t, "").deny(validator.Reason("new_reason"), nil)
	if denial.Status != 503 {
		t.Errorf("a reason outside the table: %d, want 503", denial.Status)
	}
}

func TestChallengeParts(t *testing.T) {
	g := newRoute(t, `a "quoted\ realm`)
	got := only(g.deny(validator.InsufficientScope, &scopes.Refusal{Scopes: []string{"a", "b:c"}}).Challenges)
	want := `Bearer realm="a \"quoted\\ realm", error="insufficient_scope", ` +
		`error_description="The access token lacks a scope", scope="a b:c"`
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestUnwritable covers R-CH-05: a value that the constructors should have refused
// still cannot split a challenge.
func TestUnwritable(t *testing.T) {
	for _, text := range []string{"a\r\nSet-Cookie: b", "\x00", "é", "\x7f"} {
		got := only(newRoute(t, "").deny(validator.StepUpRequired, &scopes.Refusal{Scopes: []string{text}, ACRValues: []string{"b", text}, MaxAuthAge: time.Minute}).Challenges)
		if want := ClassStepUp.Code(); !strings.Contains(got, want) || strings.Contains(got, "scope") || strings.Contains(got, "acr_values") || checkChallenge(t, got)["max_age"] != "60" {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, realm := range []string{"a\nb", "a\rb", "é", "\x7f", "\x00"} {
		if _, err := New(Config{Validator: AnyValidator(), Realm: realm}); err == nil {
			t.Errorf("realm %q is taken", realm)
		}
	}
	_, err := New(Config{Realm: "\n"})
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); !ok || len(joined.Unwrap()) != 2 {
		t.Errorf("the error does not have both faults: %v", err)
	}
}

// TestAmbiguousPath covers R-BT-15's rules on single paths.
func TestAmbiguousPath(t *testing.T) {
	for _, path := range []string{
		"/", "/a", "/a/", "/a/b", "/a.b", "/...", "/a..b", "/%41", "/%c3%a9", "/a~b", "/a%20b", "/a:b@c", "/.well-known/x",
	} {
		if ambiguousPath(path) {
			t.Errorf("%s is refused", path)
		}
	}
	for _, path := range []string{
		"", "a", "*", "//", "/a//b", "/.", "/..", "/a/./b", "/a/../b", "/a/..", "/a/.", "/a/.../../b",
		"/a%2Fb", "/a%2fb", "/%2e%2e/a", "/%2E", "/a%5Cb", "/a%5cb", `/a\b`, "/a;b", "/a%3Bb", "/a%3bb", "/a%00", "/a%0a", "/a%1f", "/a%7f",
		"/a%252Fb", "/a%3fb", "/a%23b", "/%c0%ae%c0%ae/a", "/%ff", "/%c3", "/a%20%c3", "/a%25", "/a%", "/a%4", "/a%zz", "/a%4z", "/a%z4", "/a b", "/a\x00", "/a\x7f", "/é", "/a?b", "/a#b",
	} {
		if !ambiguousPath(path) {
			t.Errorf("%s is let through", path)
		}
	}
}
