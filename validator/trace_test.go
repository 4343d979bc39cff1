package validator_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// recording keeps the verdicts.
func recording(into *[]validator.ValidateDone) *validator.Trace {
	return &validator.Trace{ValidateDone: func(_ context.Context, done validator.ValidateDone) { *into = append(*into, done) }}
}

// TestTraceDone: what the hook is told is what Validate answers.
func TestTraceDone(t *testing.T) {
	var dones []validator.ValidateDone
	config := baseConfig()
	config.Trace = recording(&dones)
	config.Issuers[0].Grants = allScopes
	d := newDirectory()
	d.set(resolvedA, answering(validator.Issuer{URL: resolvedA, Audiences: []string{testAudience}, Keys: keysOf(testKey), Grants: allScopes}))
	config.ResolveIssuer = d.find
	v := issuertest.Validator(t, config)
	for _, row := range []struct {
		name   string
		p      validator.Presentation
		issuer string
		source validator.Source
		want   validator.Reason
	}{
		{"accepted", bearer(testKey.token(baseClaims)), testIssuer, validator.Verified, ""},
		{"accepted again", bearer(testKey.token(baseClaims)), testIssuer, validator.Cached, ""},
		{"no credentials", validator.Presentation{}, "", "", validator.NoCredentials},
		{"malformed", bearer("a b"), "", "", validator.MalformedRequest},
		{"unknown issuer", bearer(testKey.token(baseClaims.with("iss", `"https://attacker.example"`))), "", "", validator.UnknownIssuer},
		{"resolved", bearer(testKey.token(baseClaims.with("iss", `"`+resolvedA+`"`))), "resolved", validator.Verified, ""},
		{"resolved again", bearer(testKey.token(baseClaims.with("iss", `"`+resolvedA+`"`))), "resolved", validator.Cached, ""},
		{"resolved, bad signature", bearer(foreignKey.token(baseClaims.with("iss", `"`+resolvedA+`"`))), "resolved", "", validator.BadSignature},
		{"bad signature", bearer(foreignKey.token(baseClaims)), testIssuer, "", validator.BadSignature},
		{"demands", demanding(testKey.token(baseClaims.with("sub", `"other"`))), testIssuer, validator.Verified, validator.WrongAudience},
		{"demands again", demanding(testKey.token(baseClaims.with("sub", `"other"`))), testIssuer, validator.Cached, validator.WrongAudience},
	} {
		t.Run(row.name, func(t *testing.T) {
			dones = nil
			token, err := v.Validate(at(0), row.p)
			if len(dones) != 1 {
				t.Fatalf("%d calls", len(dones))
			}
			done := dones[0]
			if done.Token != token || !errors.Is(done.Err, err) || done.Reason != row.want ||
				done.Issuer != row.issuer || done.Source != row.source {
				t.Errorf("told %+v, answered %v, %v", done, token, err)
			}
			if validator.ReasonOf(done.Err) != done.Reason || (done.Token == nil) != (done.Err != nil) {
				t.Errorf("%+v contradicts itself", done)
			}
		})
	}
}

// TestInspect: Inspect returns what the hook is told, also if nothing could be
// looked at.
func TestInspect(t *testing.T) {
	var dones []validator.ValidateDone
	config := baseConfig()
	config.Trace = recording(&dones)
	v := issuertest.Validator(t, config)
	var noContext context.Context
	for _, ctx := range []context.Context{at(0), at(2 * time.Hour), noContext} {
		dones = nil
		if done := v.Inspect(ctx, bearer(testKey.token(baseClaims))); len(dones) != 1 || dones[0] != done {
			t.Errorf("told %+v, answered %+v", dones, done)
		}
	}
	var none *validator.Validator
	if done := none.Inspect(at(0), validator.Presentation{}); done.Reason != validator.Unavailable || done.Token != nil || done.Err == nil {
		t.Errorf("nil Validator: %+v", done)
	}
}

type ctxKey string

// TestTraceStart: the context that the hook returns is the one that the rest
// of the call uses.
func TestTraceStart(t *testing.T) {
	var seen any
	config := baseConfig()
	config.Trace = &validator.Trace{
		ValidateStart: func(ctx context.Context) context.Context {
			if ctx.Value(ctxKey("caller")) != "c" {
				t.Error("the hook did not get the caller's context")
			}
			return context.WithValue(clock.At(ctx, time.Unix(testNow+7200, 0)), ctxKey("span"), 1)
		},
		ValidateDone: func(ctx context.Context, _ validator.ValidateDone) { seen = ctx.Value(ctxKey("span")) },
	}
	v := issuertest.Validator(t, config)
	ctx := context.WithValue(at(0), ctxKey("caller"), "c")
	if _, err := v.Validate(ctx, bearer(testKey.token(baseClaims))); !errors.Is(err, validator.Expired) {
		t.Errorf("%v: the clock of the hook's context was not used", err)
	}
	if seen != 1 {
		t.Errorf("ValidateDone got the value %v", seen)
	}
}

// TestTraceIgnoredKeys: static keys that are not used are told during New, in
// order.
func TestTraceIgnoredKeys(t *testing.T) {
	type told struct {
		issuer  string
		index   int
		id      string
		private bool
	}
	var all []told
	config := baseConfig()
	config.Issuers[0].Keys = someIgnored()
	config.Trace = &validator.Trace{Keys: &jwkscache.Trace{FetchDone: func(issuer string, done jwkscache.FetchDone) {
		for _, key := range done.Ignored {
			if !errors.Is(key.Reason, jose.ErrUnusableKey) {
				t.Errorf("key %d: %v", key.Index, key.Reason)
			}
			all = append(all, told{issuer, key.Index, key.KeyID, key.Private})
		}
	}}}
	v := issuertest.Validator(t, config)
	want := []told{{testIssuer, 0, "enc", false}, {testIssuer, 2, "leaked\n", true}}
	if !slices.Equal(all, want) {
		t.Errorf("told %v, want %v", all, want)
	}
	expect(t, v, bearer(testKey.token(baseClaims)), 0, "", "")
	if len(all) != 2 {
		t.Error("told again")
	}
}

// TestTraceOptional: each hook may be nil.
func TestTraceOptional(t *testing.T) {
	none := func(context.Context, validator.ValidateDone) {}
	for name, trace := range map[string]*validator.Trace{
		"nil": nil, "none": {}, "joined": (&validator.Trace{}).Join(&validator.Trace{}),
		"start": {ValidateStart: func(ctx context.Context) context.Context { return ctx }},
		"done":  {ValidateDone: none}, "keys": {Keys: &jwkscache.Trace{}},
	} {
		t.Run(name, func(t *testing.T) {
			config := baseConfig()
			config.Trace = trace
			config.Issuers[0].Keys = someIgnored()
			v := issuertest.Validator(t, config)
			expect(t, v, bearer(testKey.token(baseClaims)), 0, "", "")
			expect(t, v, bearer(foreignKey.token(baseClaims)), 0, validator.BadSignature, "")
		})
	}
}

// TestEveryHookIsJoined checks that Join calls the hooks of both Traces for every
// field of Trace, also for fields to come.
func TestEveryHookIsJoined(t *testing.T) {
	fields := reflect.TypeFor[validator.Trace]()
	for i := range fields.NumField() {
		field := fields.Field(i)
		calls := 0
		counting := func() *validator.Trace {
			trace := new(validator.Trace)
			switch hook := reflect.ValueOf(trace).Elem().Field(i); {
			case field.Type == reflect.TypeFor[*jwkscache.Trace]():
				hook.Set(reflect.ValueOf(&jwkscache.Trace{FetchDone: func(string, jwkscache.FetchDone) { calls++ }}))
			case field.Type == reflect.TypeFor[*introspect.Trace]():
				hook.Set(reflect.ValueOf(&introspect.Trace{AskDone: func(string, introspect.AskDone) { calls++ }}))
			case field.Type.Kind() == reflect.Func:
				hook.Set(reflect.MakeFunc(field.Type, func(args []reflect.Value) []reflect.Value {
					calls++
					return args[:field.Type.NumOut()] // a context, if anything
				}))
			default:
				t.Fatalf("%s is a %s: tell this test how to call it", field.Name, field.Type)
			}
			return trace
		}
		joined := reflect.ValueOf(counting().Join(counting())).Elem().Field(i)
		if keys, ok := reflect.TypeAssert[*jwkscache.Trace](joined); ok {
			keys.FetchDone("issuer", jwkscache.FetchDone{})
		} else if asked, ok := reflect.TypeAssert[*introspect.Trace](joined); ok {
			asked.AskDone("issuer", introspect.AskDone{})
		} else {
			args := []reflect.Value{reflect.ValueOf(t.Context())}
			for n := 1; n < field.Type.NumIn(); n++ {
				args = append(args, reflect.Zero(field.Type.In(n)))
			}
			joined.Call(args)
		}
		if calls != 2 {
			t.Errorf("%s: %d hooks are called, want 2", field.Name, calls)
		}
	}
}

// TestTraceJoin: first the receiver's hooks, then the argument's; contexts
// pass through both.
func TestTraceJoin(t *testing.T) {
	var calls []string
	named := func(name string) *validator.Trace {
		return &validator.Trace{
			ValidateStart: func(ctx context.Context) context.Context {
				calls = append(calls, name+" start")
				path, _ := ctx.Value(ctxKey("path")).(string)
				return context.WithValue(ctx, ctxKey("path"), path+name)
			},
			ValidateDone: func(ctx context.Context, done validator.ValidateDone) {
				path, _ := ctx.Value(ctxKey("path")).(string)
				calls = append(calls, name+" done "+path+" "+string(done.Reason))
			},
			Keys: &jwkscache.Trace{FetchDone: func(_ string, done jwkscache.FetchDone) { calls = append(calls, name+" keys "+done.Cause) }},
		}
	}
	config := baseConfig()
	config.Issuers[0].Keys = someIgnored()
	config.Trace = named("a").Join(nil).Join(&validator.Trace{}).Join(named("b")).Join(named("c"))
	v := issuertest.Validator(t, config)
	expect(t, v, bearer(foreignKey.token(baseClaims)), 0, validator.BadSignature, "")
	want := []string{
		"a keys start", "b keys start", "c keys start",
		"a start", "b start", "c start", "a done abc bad_signature", "b done abc bad_signature", "c done abc bad_signature",
	}
	if !slices.Equal(calls, want) {
		t.Errorf("calls are %q, want %q", calls, want)
	}
	one := named("x")
	var none *validator.Trace
	if none.Join(one) != one || one.Join(none) != one || none.Join(nil) != nil {
		t.Error("Join with nil is not the other one")
	}
}
