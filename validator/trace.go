package validator

import (
	"context"
	"time"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Trace is a set of hooks, each optional, like the one of net/http/httptrace.
// Hooks run inside the call that they report, possibly from many goroutines at
// once, and must be quick. They never get bytes of a token. A hook changes no
// verdict, and its panics are dropped.
type Trace struct {
	// ValidateStart is called before a token is looked at. The context it
	// returns is used until the call ends, unless it is nil or its
	// methods panic: then the context before is used.
	ValidateStart func(context.Context) context.Context
	// ValidateDone is called with the verdict.
	ValidateDone func(context.Context, ValidateDone)
	// Keys gets the hooks for the issuers' keys. It may be nil.
	Keys *jwkscache.Trace
	// Introspection gets the hooks for asking issuers about tokens. It may be nil.
	Introspection *introspect.Trace
}

// ValidateDone is a verdict of [Validator.Validate]. Issuer, Source and Reason
// are safe as metric labels.
type ValidateDone struct {
	// Issuer is the URL of the selected issuer, or "" if no issuer was selected.
	// It is "resolved" for every issuer that Config.ResolveIssuer found, so that a
	// metric does not get a label for each of them.
	Issuer string
	Source Source    // where the facts about the token came from; "" if there were none
	Reason Reason    // "" if the token was accepted
	Err    error     // an [*Error] with its cause, or nil
	Token  *Token    // nil unless accepted
	Start  time.Time // when the check of the token began; zero if it was refused before
}

// Source is where the facts about a token came from in one call of Validate. The
// set is closed.
type Source string

// The sources.
const (
	Verified     Source = "verified"     // the signature was verified in this call
	Cached       Source = "cached"       // they were had in an earlier call
	Introspected Source = "introspected" // the issuer was asked in this call (RFC 7662)
)

// Join returns hooks that call those of t and then those of next. Either may
// be nil.
func (t *Trace) Join(next *Trace) *Trace {
	if t == nil {
		return next
	}
	if next == nil {
		return t
	}
	return &Trace{
		ValidateStart: func(ctx context.Context) context.Context {
			return next.validateStart(t.validateStart(ctx))
		},
		ValidateDone: func(ctx context.Context, done ValidateDone) {
			t.validateDone(ctx, done)
			next.validateDone(ctx, done)
		},
		Keys:          t.Keys.Join(next.Keys),
		Introspection: t.Introspection.Join(next.Introspection),
	}
}

// clone returns a copy of t, so that later changes have no effect.
func (t *Trace) clone() *Trace {
	if t == nil {
		return nil
	}
	hooks := *t
	return &hooks
}

// validateStart returns the hook's context, or ctx if that cannot be used.
func (t *Trace) validateStart(ctx context.Context) (next context.Context) {
	if t == nil || t.ValidateStart == nil {
		return ctx
	}
	defer hook.Recover()
	next = ctx // remains if the hook panics
	if returned := t.ValidateStart(ctx); hook.CheckContext(returned) == nil {
		next = returned
	}
	return next
}

// validateDone calls the hook with the verdict.
func (t *Trace) validateDone(ctx context.Context, done ValidateDone) {
	if t != nil && t.ValidateDone != nil {
		defer hook.Recover()
		t.ValidateDone(ctx, done)
	}
}

// introspection returns a copy of the hooks for asking issuers.
func (t *Trace) introspection() *introspect.Trace {
	if t == nil || t.Introspection == nil {
		return nil
	}
	hooks := *t.Introspection
	return &hooks
}

// keys returns a copy of the hooks for keys.
func (t *Trace) keys() *jwkscache.Trace {
	if t == nil || t.Keys == nil {
		return nil
	}
	hooks := *t.Keys
	return &hooks
}
