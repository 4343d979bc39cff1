package validator_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/validator"
)

// allReasons is the closed set, as the values that metrics and
// logs carry.
var allReasons = []struct {
	reason validator.Reason
	value  string
}{
	{validator.NoCredentials, "no_credentials"},
	{validator.MalformedRequest, "malformed_request"},
	{validator.MalformedToken, "malformed_token"},
	{validator.TooLarge, "too_large"},
	{validator.AlgorithmNotAllowed, "algorithm_not_allowed"},
	{validator.UnknownKey, "unknown_key"},
	{validator.BadSignature, "bad_signature"},
	{validator.WrongType, "wrong_type"},
	{validator.UnknownIssuer, "unknown_issuer"},
	{validator.WrongAudience, "wrong_audience"},
	{validator.Expired, "expired"},
	{validator.NotYetValid, "not_yet_valid"},
	{validator.BadClaims, "bad_claims"},
	{validator.Inactive, "inactive"},
	{validator.Revoked, "revoked"},
	{validator.BindingMismatch, "binding_mismatch"},
	{validator.BadProof, "bad_proof"},
	{validator.ProofReplayed, "proof_replayed"},
	{validator.NonceRequired, "nonce_required"},
	{validator.InsufficientScope, "insufficient_scope"},
	{validator.StepUpRequired, "step_up_required"},
	{validator.Forbidden, "forbidden"},
	{validator.Unavailable, "unavailable"},
	{validator.Canceled, "canceled"},
}

// TestReasons: stable values, each with a sentence of its own.
func TestReasons(t *testing.T) {
	sentence := regexp.MustCompile(`^[a-z][a-z' ]{10,}$`)
	seen := map[string]validator.Reason{}
	for _, row := range allReasons {
		if string(row.reason) != row.value || row.reason.Error() != row.value {
			t.Errorf("%q prints %q, want %q", string(row.reason), row.reason.Error(), row.value)
		}
		text := row.reason.Description()
		if !sentence.MatchString(text) {
			t.Errorf("%s is described as %q", row.value, text)
		}
		if other, ok := seen[text]; ok {
			t.Errorf("%s and %s have one description", row.value, other)
		}
		seen[text] = row.reason
	}
	if len(seen) != 24 {
		t.Errorf("%d descriptions, want 24", len(seen))
	}
	var all []validator.Reason
	for _, row := range allReasons {
		all = append(all, row.reason)
	}
	if got := validator.Reasons(); !slices.Equal(got, all) {
		t.Errorf("Reasons: %q", got)
	}
}

func TestRefuse(t *testing.T) {
	cause := errors.New("the cause")
	for _, row := range allReasons {
		refusal := validator.Refuse(row.reason, cause)
		if refusal.Reason() != row.reason || validator.ReasonOf(refusal) != row.reason {
			t.Errorf("%s: the reason is %s", row.value, refusal.Reason())
		}
		if want := "sallyport: " + row.value + ": " + row.reason.Description(); refusal.Error() != want {
			t.Errorf("%s: the text is %q", row.value, refusal)
		}
		if !errors.Is(refusal, cause) || errors.Is(refusal.Unwrap(), row.reason) {
			t.Errorf("%s: the cause is lost", row.value)
		}
		for _, other := range allReasons {
			if errors.Is(refusal, other.reason) != (other.reason == row.reason) {
				t.Errorf("%s: Is(%s) is wrong", row.value, other.value)
			}
		}
	}
	if plain := validator.Refuse(validator.Revoked, nil); plain.Unwrap() != nil || !errors.Is(plain, validator.Revoked) {
		t.Error("no cause makes one")
	}
}

func TestReasonOf(t *testing.T) {
	refusal := validator.Refuse(validator.Expired, validator.Revoked)
	for _, row := range []struct {
		name string
		err  error
		want validator.Reason
	}{
		{"nil", nil, ""},
		{"a refusal", refusal, validator.Expired}, // not its cause's
		{"a wrapped refusal", fmt.Errorf("guard: %w", fmt.Errorf("x: %w", refusal)), validator.Expired},
		{"a joined refusal", errors.Join(errors.New("x"), refusal), validator.Expired},
		{"a reason", validator.Forbidden, validator.Forbidden},
		{"a wrapped reason", fmt.Errorf("x: %w", validator.Forbidden), validator.Forbidden},
		{"a foreign error", errors.New("expired"), validator.Unavailable},
		{"an error of another room", jose.ErrSignature, validator.Unavailable},
		{"a cancelled context", context.Canceled, validator.Unavailable},
		{"the zero refusal", &validator.Error{}, validator.Unavailable},
		{"the empty reason", validator.Reason(""), validator.Unavailable},
		{"a refusal for no reason", validator.Refuse("", nil), validator.Unavailable},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := validator.ReasonOf(row.err); got != row.want {
				t.Errorf("%q, want %q", string(got), string(row.want))
			}
		})
	}
}

// canary stands in every part of a token; nothing of it may be seen.
const canary = "CANARY-5f0c"

// canaryTokens are refused tokens, with the canary in all that is theirs.
func canaryTokens() map[string]string {
	header := testKey.header().with("x", `"`+canary+`"`)
	claims := baseClaims.with("sub", `"`+canary+`"`).with("client_id", `"`+canary+`"`).with("jti", `"`+canary+`"`).
		with("scope", `"`+canary+`"`).with("x", `"`+canary+`"`)
	withClaim := func(name, raw string) string { return testKey.Sign(header.text(), claims.with(name, raw).text()) }
	withHeader := func(name, raw string) string { return testKey.Sign(header.with(name, raw).text(), claims.text()) }
	text := `"` + canary + `"`
	return map[string]string{
		"grammar":       canary + " " + canary,
		"opaque":        canary,
		"size":          strings.Repeat(canary, 2000),
		"segments":      canary + "." + canary + "." + canary + "." + canary,
		"base64":        canary + "=." + canary + "." + canary,
		"header JSON":   testKey.Sign(canary, claims.text()),
		"header dup":    testKey.Sign(`{"`+canary+`":1,"`+canary+`":2}`, claims.text()),
		"payload JSON":  testKey.Sign(header.text(), canary),
		"payload dup":   testKey.Sign(header.text(), `{"`+canary+`":1,"`+canary+`":2}`),
		"crit":          withHeader("crit", `["`+canary+`"]`),
		"alg":           withHeader("alg", text),
		"typ":           withHeader("typ", text),
		"kid":           withHeader("kid", text),
		"kid type":      withHeader("kid", `["`+canary+`"]`),
		"replica":       withHeader("sub", `"other `+canary+`"`),
		"signature":     foreignKey.Sign(header.text(), claims.text()),
		"iss":           withClaim("iss", text),
		"sub":           withClaim("sub", `{"a":"`+canary+`"}`),
		"sub control":   withClaim("sub", `"`+canary+`\u0000"`),
		"aud":           withClaim("aud", text),
		"aud type":      withClaim("aud", `{"`+canary+`":1}`),
		"exp":           withClaim("exp", text),
		"expired":       withClaim("exp", "1"),
		"nbf":           withClaim("nbf", "1800000000"),
		"scope":         withClaim("scope", `"`+canary+`\"`+canary+`"`),
		"act":           withClaim("act", text),
		"act of client": withClaim("act", `{"client_id":["`+canary+`"]}`),
		"amr":           withClaim("amr", text),
		"cnf":           testKey.Sign(header.text(), claims.with("tenant", `"one"`).with("cnf", `{"jkt":"`+canary+`"}`).text()),
		"declared":      withClaim("tenant", text),
		"accepted":      withClaim("tenant", `"one"`), // and refused by the route
	}
}

// shownFields are the canaries in fields that causes show (docs/adr/0042). All others are
// in fields that they do not show.
var shownFields = []string{"alg", "typ", "kid", "iss", "aud", "scope"}

// TestErrorsAreConstant (R-OB-01, R-OB-07): the text of a refusal is constant, and its
// causes show the value of no field that is not in the closed list, under any verb.
func TestErrorsAreConstant(t *testing.T) {
	config := baseConfig()
	config.Issuers[0].Claims = rules{{Name: "tenant", Equals: "one"}}
	v := issuertest.Validator(t, config)
	reasons := map[validator.Reason]bool{}
	for name, token := range canaryTokens() {
		t.Run(name, func(t *testing.T) {
			p := demanding(token)
			got, err := v.Validate(at(0), p)
			if got != nil || err == nil {
				t.Fatal("accepted")
			}
			reason := validator.ReasonOf(err)
			reasons[reason] = true
			if want := "sallyport: " + string(reason) + ": " + reason.Description(); err.Error() != want {
				t.Errorf("the text is %q", err)
			}
			segments, shown := strings.Split(token, "."), 0
			for ; err != nil; err = errors.Unwrap(err) {
				for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
					text := fmt.Sprintf(verb, err)
					if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
						if shown++; slices.Contains(shownFields, name) {
							continue
						}
						t.Errorf("%s shows the canary: %s", verb, text)
					}
					for _, segment := range segments {
						if len(segment) > len(canary) && strings.Contains(text, segment) {
							t.Errorf("%s shows a segment: %s", verb, text)
						}
					}
				}
			}
			if (shown > 0) != slices.Contains(shownFields, name) {
				t.Errorf("the value is shown %d times", shown)
			}
		})
	}
	// Every reason that Validate has today was among them.
	for _, reason := range []validator.Reason{
		validator.MalformedRequest, validator.MalformedToken, validator.TooLarge, validator.AlgorithmNotAllowed, validator.UnknownKey,
		validator.BadSignature, validator.WrongType, validator.UnknownIssuer, validator.WrongAudience, validator.Expired,
		validator.NotYetValid, validator.BadClaims, validator.BindingMismatch,
	} {
		if !reasons[reason] {
			t.Errorf("no canary was refused as %s", reason)
		}
	}
}

// TestErrorType: what Validate refuses with is an *Error, and nil is nil.
func TestErrorType(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	if _, err := v.Validate(at(0), bearer(testKey.token(baseClaims))); err != nil {
		t.Errorf("accepted with %v", err)
	}
	_, err := v.Validate(at(2*time.Hour), bearer(testKey.token(baseClaims)))
	refusal, ok := errors.AsType[*validator.Error](err)
	if !ok || refusal.Reason() != validator.Expired || !errors.Is(err, validator.Expired) || errors.Is(err, validator.Revoked) {
		t.Errorf("refused with %T %v", err, err)
	}
	if cause := refusal.Unwrap(); cause == nil || errors.Unwrap(errors.Unwrap(cause)) != nil || errors.Is(cause, validator.Expired) {
		t.Errorf("the cause is %v", cause)
	}
	_, err = v.Validate(at(0), bearer(foreignKey.token(baseClaims)))
	if !errors.Is(err, jose.ErrSignature) || !errors.Is(err, validator.BadSignature) {
		t.Errorf("the cause of a bad signature is lost: %v", causeOf(err))
	}
}

// refusalOfBoth is an error like the Denial of an adapter, which wraps the refusal
// of a policy and the error of the validator.
type refusalOfBoth struct{ errs []error }

func (r refusalOfBoth) Error() string   { return "denied" }
func (r refusalOfBoth) Unwrap() []error { return r.errs }

// TestReasonOfWrapped checks that ReasonOf and errors.As find the *Error in an
// error that wraps several.
func TestReasonOfWrapped(t *testing.T) {
	expired := validator.Refuse(validator.Expired, nil)
	other := errors.New("other")
	for _, row := range []struct {
		errs []error
		want validator.Reason
	}{
		{[]error{expired}, validator.Expired},
		{[]error{other, expired}, validator.Expired},
		{[]error{fmt.Errorf("wrapped: %w", expired), other}, validator.Expired},
		{[]error{validator.Forbidden, expired}, validator.Expired}, // the *Error, not the bare Reason
		{[]error{other, validator.Forbidden}, validator.Forbidden},
		{[]error{other}, validator.Unavailable},
		{nil, validator.Unavailable},
	} {
		err := fmt.Errorf("adapter: %w", refusalOfBoth{row.errs})
		if got := validator.ReasonOf(err); got != row.want {
			t.Errorf("%v: %q, want %q", row.errs, got, row.want)
		}
		if _, found := errors.AsType[*validator.Error](err); found != (row.want == validator.Expired) {
			t.Errorf("%v: an *Error is found: %t", row.errs, found)
		}
	}
}
