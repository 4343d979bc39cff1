package validator

import (
	"context"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Trace is a set of hooks, each optional, in the manner of
// net/http/httptrace. Hooks run inside the call they report, possibly from
// many goroutines at once, and must be quick. What they get never holds bytes
// of a token. A hook changes no verdict: its panic is dropped.
type Trace struct {
	// ValidateStart is called before a token is looked at. The context it
	// returns is used for the rest of the call, unless it is nil or its
	// methods panic: then the context before is used.
	ValidateStart func(context.Context) context.Context
	// ValidateDone is called with the verdict.
	ValidateDone func(context.Context, ValidateDone)
	// Keys gets the hooks for what becomes of the issuers' keys. It may be
	// nil.
	Keys *jwkscache.Trace
}

// ValidateDone is a verdict. Issuer is a configured issuer's URL, or empty if
// none was selected; it and Reason are safe as metric labels.
type ValidateDone struct {
	Issuer string
	Reason Reason // "" if the token was accepted
	Err    error  // an [*Error] with its cause, or nil
	Token  *Token // nil unless accepted
}

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
		Keys: t.Keys.Join(next.Keys),
	}
}

// clone keeps the hooks as they are now. A nil Trace has none.
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
	next = ctx // stays if the hook panics
	if made := t.ValidateStart(ctx); hook.CheckContext(made) == nil {
		next = made
	}
	return next
}

func (t *Trace) validateDone(ctx context.Context, done ValidateDone) {
	if t != nil && t.ValidateDone != nil {
		defer hook.Recover()
		t.ValidateDone(ctx, done)
	}
}

// keys are the hooks for keys, as they are now.
func (t *Trace) keys() *jwkscache.Trace {
	if t == nil || t.Keys == nil {
		return nil
	}
	hooks := *t.Keys
	return &hooks
}
