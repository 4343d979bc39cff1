package validator

import (
	"context"
	"errors"
	"sync"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Warm fetches the keys of every configured issuer that has no usable keys, finds the
// introspection endpoints that are not configured, and waits for them, but no longer than
// ctx. It sends no introspection request. The error names all issuers for which something
// could not be fetched. Tokens of the other issuers can be validated all the same, so a
// program need not end: Run tries again, and [Validator.Ready] says when it can serve.
func (v *Validator) Warm(ctx context.Context) error {
	if err := v.usable(ctx); err != nil {
		return err
	}
	v.lines.attend()
	failures := make([]error, len(v.issuers))
	v.each(func(i int, is *checkedIssuer) { failures[i] = is.warm(ctx) })
	return errors.Join(failures...)
}

// Run keeps the keys of every issuer fresh until ctx ends, and then returns nil. It also
// finds the introspection endpoints that are not configured, and tries again while that
// fails. Without Run, both are fetched when a token needs them. A nil ctx is an error.
func (v *Validator) Run(ctx context.Context) error {
	if err := v.usable(ctx); err != nil {
		return err
	}
	v.lines.attend()
	defer v.lines.end() //nolint:contextcheck // lines are written later
	var all sync.WaitGroup
	if v.resolved != nil {
		all.Go(func() { v.resolved.run(ctx) })
	}
	v.each(func(_ int, is *checkedIssuer) { is.run(ctx) })
	all.Wait()
	return nil
}

// ForbidKey forbids a key of an issuer from now on. Tokens that were signed with it are
// refused with [UnknownKey], even if the issuer publishes the key again. With
// Config.SnapshotDir the key stays forbidden after a restart; an error then means that
// the file could not be written, and the key is forbidden until the process ends.
// Answers of introspection are forgotten, since the key may have signed them. A key of
// introspect.Client.AnswerKeys stays forbidden until the process ends: name it in
// Issuer.ForbiddenKeys, too.
// For a resolved issuer that is not known at present, ForbidKey calls
// Config.ResolveIssuer; the key is forbidden even if that fails.
func (v *Validator) ForbidKey(ctx context.Context, issuer string, key jwkscache.KeyName) error {
	is, err := v.issuerOfKey(ctx, issuer, key, true)
	if err != nil {
		return err
	}
	err = is.keys.Forbid(ctx, key)
	if o := is.opaque; o != nil {
		if o.answerKeys != nil {
			err = errors.Join(err, o.answerKeys.Forbid(ctx, key))
		}
		v.ForgetAnswers(AnswersAbout{Issuer: issuer}) // the key may have signed them
	}
	return is.failure(err)
}

// PermitKey undoes [Validator.ForbidKey].
func (v *Validator) PermitKey(ctx context.Context, issuer string, key jwkscache.KeyName) error {
	is, err := v.issuerOfKey(ctx, issuer, key, false)
	if err != nil {
		return err
	}
	err = is.keys.Permit(ctx, key)
	if o := is.opaque; o != nil && o.answerKeys != nil {
		err = errors.Join(err, o.answerKeys.Permit(ctx, key))
	}
	return is.failure(err)
}

// issuerOfKey returns the issuer for which a key is to be forbidden or permitted.
func (v *Validator) issuerOfKey(ctx context.Context, issuer string, key jwkscache.KeyName, forbid bool) (*checkedIssuer, error) {
	if !v.initialized() {
		return nil, errNotMade
	}
	if is := v.byURL[issuer]; is != nil {
		return is, nil
	}
	if v.resolved == nil {
		return nil, ErrUnknownIssuer
	}
	if err := issuerkeys.CheckName(key); err != nil {
		return nil, err
	}
	v.resolved.forbid(issuer, key, forbid)
	if is := v.resolved.known.Known(issuer); is != nil { // also if ResolveIssuer fails
		return is, nil
	}
	return v.resolved.get(ctx, issuer)
}

// ForgetIssuer drops what Config.ResolveIssuer returned for an issuer, with its keys.
// The next token of the issuer calls Config.ResolveIssuer again, and is refused if that
// does not know the issuer any more.
func (v *Validator) ForgetIssuer(issuer string) {
	if v != nil && v.resolved != nil {
		v.resolved.forget(issuer)
	}
}

// Ready returns nil if tokens of one issuer at least can be validated now: an issuer that
// is down must not take the tokens of the others out of service. Otherwise the error names
// every configured issuer with what it lacks, usable keys or an introspection endpoint, and
// with the last error. [Validator.Status] and [Validator.Warnings] say which issuers cannot
// be judged while others can, and so does the error of [Validator.Warm].
//
// Whether an issuer answers is not asked. Stale keys that are still used count as ready.
// With Config.ResolveIssuer, the resolved issuers that are known count like configured ones.
// Without configured issuers, a Validator is always ready.
//
// A Validator for which neither Warm nor Run was called has fetched nothing, and is not
// ready before the first token. A program that gets no requests before it is ready must
// call one of them: Warm waits for what is fetched, and Run tries until it is there, and
// keeps the keys fresh.
func (v *Validator) Ready() error {
	if !v.initialized() {
		return errNotMade
	}
	var failures []error
	for _, is := range v.issuers {
		err := is.ready()
		if err == nil {
			return nil
		}
		failures = append(failures, err)
	}
	if v.resolved.anyReady() {
		return nil
	}
	return errors.Join(failures...)
}

// each calls do for all configured issuers at once, and waits for the calls.
func (v *Validator) each(do func(int, *checkedIssuer)) {
	var all sync.WaitGroup
	for i, is := range v.issuers {
		all.Go(func() { do(i, is) })
	}
	all.Wait()
}
