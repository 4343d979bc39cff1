package validator_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/internal/zero"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// transport is an http.RoundTripper of one function.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// fetching makes the keys of config's issuer be fetched, on first use, by a
// goroutine of which no caller could catch a panic.
func fetching(config *validator.Config) {
	config.Issuers[0].Keys = jwkscache.URL("https://as.example.com/jwks")
	config.Issuers[0].HTTPClient = &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
		body := io.NopCloser(strings.NewReader(string(jwks(testKey.jwk()))))
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}, nil
	})}
}

// TestNilContext covers R-OP-04: a context that cannot be used is an error of
// the call it was passed to, ends nothing, and costs nobody else anything.
func TestNilContext(t *testing.T) {
	resolved := strings.Replace(testIssuer, "as.", "issuer.", 1)
	name := jwkscache.KeyName{KeyID: "x"}
	for how, ctx := range zero.Contexts() {
		synctest.Test(t, func(t *testing.T) {
			config := baseConfig()
			fetching(&config)
			config.Issuers[0].Grants = allScopes
			config.ResolveIssuer = func(context.Context, string) (validator.Issuer, error) {
				return validator.Issuer{}, validator.ErrUnknownIssuer
			}
			var dones []validator.ValidateDone
			config.Trace = recording(&dones)
			v := issuertest.Validator(t, config)
			good := bearer(testKey.token(baseClaims))
			validate := func(p validator.Presentation) error {
				token, err := v.Validate(ctx, p)
				if token != nil {
					t.Errorf("%s: accepted", how)
				}
				return err
			}
			for call, err := range map[string]error{
				"Validate":            validate(good),
				"Validate of another": validate(bearer(testKey.token(baseClaims.with("iss", `"`+resolved+`"`)))),
				"Warm":                v.Warm(ctx),
				"Run":                 v.Run(ctx),
				"ForbidKey":           v.ForbidKey(ctx, testIssuer, name),
				"PermitKey":           v.PermitKey(ctx, testIssuer, name),
				"ForbidKey of issuer": v.ForbidKey(ctx, resolved, name),
			} {
				if !errors.Is(err, validator.Unavailable) && !errors.Is(err, issuerkeys.ErrUnavailable) && !errors.Is(err, hook.ErrContext) {
					t.Errorf("%s: %s: %v", how, call, err)
				}
				if ctx == nil && !errors.Is(err, hook.ErrContext) {
					t.Errorf("%s: %s: the error does not say so: %v", how, call, err)
				}
			}
			if len(dones) != 2 || dones[0].Reason != validator.Unavailable {
				t.Errorf("%s: the hook is told %+v", how, dones)
			}
			expect(t, v, good, 0, "", "") //nolint:contextcheck // it has a context of its own
			err := validate(good)
			if !errors.Is(err, validator.Unavailable) || ctx == nil && !errors.Is(err, hook.ErrContext) {
				t.Errorf("%s: of a token that is kept: %v", how, err)
			}
		})
	}
}

// TestHooksChangeNoVerdict covers R-OP-04: whatever a hook does, Validate answers
// as it does without, for tokens whose keys must be fetched too.
func TestHooksChangeNoVerdict(t *testing.T) {
	hooks := map[string]*validator.Trace{
		"start panics": {ValidateStart: func(context.Context) context.Context { panic("injected") }},
		"done panics":  {ValidateDone: func(context.Context, validator.ValidateDone) { panic("injected") }},
		"done panics with nil": {ValidateDone: func(context.Context, validator.ValidateDone) {
			panic(nil) // what a careless caller may do
		}},
		"done overwrites": {ValidateDone: func(_ context.Context, done validator.ValidateDone) {
			if done.Token != nil {
				done.Token, done.Err = nil, validator.Forbidden
			}
		}},
		"keys panic": {Keys: &jwkscache.Trace{
			FetchStart: func(string, string) { panic("injected") },
			FetchDone:  func(string, jwkscache.FetchDone) { panic("injected") },
			UnknownKid: func(string, jwkscache.UnknownKid) { panic("injected") },
			Moved:      func(string, string, string) { panic("injected") },
			Stored:     func(string, jwkscache.Stored) { panic("injected") },
		}},
	}
	for how, ctx := range zero.Contexts() {
		hooks["start returns "+how] = &validator.Trace{ValidateStart: func(context.Context) context.Context { return ctx }}
	}
	for name, trace := range hooks {
		synctest.Test(t, func(t *testing.T) {
			var dones []validator.ValidateDone
			observed := &validator.Trace{ValidateDone: func(ctx context.Context, done validator.ValidateDone) {
				if err := hook.CheckContext(ctx); err != nil {
					t.Errorf("%s: ValidateDone gets a context: %v", name, err)
				}
				dones = append(dones, done)
			}}
			config := baseConfig()
			fetching(&config)
			config.Trace = trace.Join(observed)
			v := issuertest.Validator(t, config)
			for range 2 { // fetched, then kept
				token := expect(t, v, bearer(testKey.token(baseClaims)), 0, "", "")
				if token.Subject() != "user-1" {
					t.Errorf("%s: the token is %v", name, token)
				}
			}
			expect(t, v, bearer(foreignKey.token(baseClaims)), 0, validator.BadSignature, "")
			expect(t, v, bearer(testKey.token(baseClaims.with("exp", "1"))), 0, validator.Expired, "")
			if len(dones) != 4 || dones[1].Token == nil || dones[3].Reason != validator.Expired {
				t.Errorf("%s: the next hook is told %+v", name, dones)
			}
		})
	}
}

// TestHookKeepsContext shows that a start hook which fails costs the call
// nothing of its context.
func TestHookKeepsContext(t *testing.T) {
	for name, start := range map[string]func(context.Context) context.Context{
		"nil":   func(context.Context) context.Context { return nil },
		"panic": func(context.Context) context.Context { panic("injected") },
	} {
		var seen any
		config := baseConfig()
		config.Trace = &validator.Trace{
			ValidateStart: start,
			ValidateDone:  func(ctx context.Context, _ validator.ValidateDone) { seen = ctx.Value(ctxKey("caller")) },
		}
		ctx := context.WithValue(at(0), ctxKey("caller"), name) // its clock too: the token has expired otherwise
		if _, err := issuertest.Validator(t, config).Validate(ctx, bearer(testKey.token(baseClaims))); err != nil || seen != name {
			t.Errorf("%s: %v, with the value %v", name, causeOf(err), seen)
		}
	}
}

// TestNilErrors covers R-OP-04: a nil pointer that hooks and transports return as
// an error is an error like any other, though nobody can ask it anything.
func TestNilErrors(t *testing.T) {
	for name, err := range map[string]error{
		"foreign": zero.Error(), "of this package": (*validator.Error)(nil), "without a reason": &validator.Error{},
		"joined": errors.Join(errors.New("first"), zero.Error()),
	} {
		synctest.Test(t, func(t *testing.T) {
			config := baseConfig()
			config.Issuers[0].Grants = allScopes
			config.Issuers[0].Keys = jwkscache.URL("https://as.example.com/jwks")
			config.Issuers[0].HTTPClient = &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { return nil, err })}
			config.ResolveIssuer = func(context.Context, string) (validator.Issuer, error) { return validator.Issuer{}, err }
			v := issuertest.Validator(t, config)
			for who, issuer := range map[string]string{"transport": testIssuer, "ResolveIssuer": "https://resolved.example.com"} {
				_, refusal := v.Validate(at(0), bearer(testKey.token(baseClaims.with("iss", `"`+issuer+`"`))))
				if !errors.Is(refusal, validator.Unavailable) || errors.Is(refusal, validator.UnknownIssuer) {
					t.Errorf("%s from %s: %v", name, who, refusal)
				}
			}
		})
	}
	for name, err := range map[string]*validator.Error{"nil": nil, "zero": {}} {
		if err.Reason() != validator.Unavailable || validator.ReasonOf(err) != validator.Unavailable || !errors.Is(err, validator.Unavailable) ||
			err.Unwrap() != nil || err.Error() != validator.Refuse(validator.Unavailable, nil).Error() {
			t.Errorf("the %s Error reads as %v", name, err)
		}
	}
}

// TestZeroValues shows that no method panics on a value that no constructor
// made, and that a Validator that New did not make says so.
func TestZeroValues(t *testing.T) {
	values := []any{
		(*validator.Validator)(nil), new(validator.Validator), (*validator.Token)(nil), new(validator.Token), (*validator.Error)(nil), new(validator.Error),
		(*validator.Trace)(nil), new(validator.Trace),
		validator.Presentation{},
		new(validator.Presentation),
		validator.Scheme(0), validator.Reason(""),
		validator.ClaimRule{},
		validator.Sealed{},
		new(validator.Sealed),
	}
	for _, args := range [][]any{{t.Context()}, nil} {
		for _, line := range zero.Panics(args, values...) {
			t.Error(line)
		}
	}
	for name, v := range map[string]*validator.Validator{"nil": nil, "zero": {}} {
		token, refused := v.Validate(t.Context(), bearer("a.b.c"))
		key := jwkscache.KeyName{KeyID: "a"}
		for call, err := range map[string]error{
			"Validate": refused, "Warm": v.Warm(t.Context()), "Run": v.Run(t.Context()), "Ready": v.Ready(),
			"ForbidKey": v.ForbidKey(t.Context(), testIssuer, key), "PermitKey": v.PermitKey(t.Context(), testIssuer, key),
		} {
			if token != nil || !errors.Is(err, validator.Unavailable) || !strings.Contains(causeOf(err).Error(), "not made by New") {
				t.Errorf("%s: %s: %v", name, call, err)
			}
		}
	}
}

// TestNoContextNoTrace checks that a nil context is refused without hooks too.
func TestNoContextNoTrace(t *testing.T) {
	var noContext context.Context
	_, err := issuertest.Validator(t, baseConfig()).Validate(noContext, bearer(testKey.token(baseClaims)))
	if !errors.Is(err, validator.Unavailable) {
		t.Errorf("%v, want %q", err, validator.Unavailable)
	}
}
