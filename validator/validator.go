package validator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Validator validates access tokens. It is made by [New] and safe for
// concurrent use.
type Validator struct {
	issuers  []*issuer
	byURL    map[string]*issuer
	tenants  *tenants // nil if there are none
	cache    *cache   // nil if it is off
	headers  *jose.Headers
	born     time.Time
	leeway   Leeway
	maxBytes int
	trace    *Trace
}

// New checks config and makes a Validator, or reports every fault of it at
// once. It does no I/O and starts no goroutine.
func New(config Config) (*Validator, error) {
	var f faults
	trace := config.Trace.clone()
	config.MaxTenants = checkedMaxTenants(config.MaxTenants, &f)
	common := commonParts{
		snapshotDir: config.SnapshotDir, trace: trace, shared: config.checkedShared(&f), leeway: config.Leeway.checked(&f),
		sole: len(config.Issuers) == 1 && config.Tenants == nil,
	}
	v := &Validator{
		leeway:   common.leeway,
		maxBytes: checkedTokenBytes(config.MaxTokenBytes, &f),
		issuers:  config.checkedIssuers(common, &f),
		cache:    newCache(config.Cache.checked(&f)),
		headers:  jose.NewHeaders(),
		born:     time.Now(),
		trace:    trace,
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	v.byURL = make(map[string]*issuer, len(v.issuers))
	for _, is := range v.issuers {
		v.byURL[is.url] = is
	}
	if config.Tenants != nil {
		v.tenants = newTenants(&config, common)
	}
	return v, nil
}

// Warnings tells what of the configuration works and deserves a second look:
// legacy profiles, published keys that are not used. For start-up logs.
func (v *Validator) Warnings() []string {
	if v == nil {
		return nil
	}
	var all []string
	for _, is := range v.issuers {
		all = append(all, is.warnings()...)
	}
	return all
}

// Validate judges p and answers with a Token or with an [*Error]. See the
// package comment for what is checked, in which order, and what is not. It
// does not check scopes; see package scopes.
//
// The error is [Unavailable] if ctx is nil, if [New] did not make v, and if
// anything panics on the way.
func (v *Validator) Validate(ctx context.Context, p Presentation) (*Token, error) {
	if !v.made() {
		return nil, errNotMade
	}
	if ctx == nil {
		return v.told(v.trace.validateStart(context.Background()), nil, nil, errContext) //nolint:contextcheck // there is none
	}
	ctx = v.trace.validateStart(ctx)
	token, is, refused := v.survive(ctx, &p)
	return v.told(ctx, token, is, refused)
}

// told returns the verdict after the hook was called with it.
func (v *Validator) told(ctx context.Context, token *Token, is *issuer, refused *Error) (*Token, error) {
	done := ValidateDone{Token: token}
	if is != nil {
		done.Issuer = is.url
	}
	if refused != nil {
		done.Reason, done.Err = refused.reason, refused
	}
	v.trace.validateDone(ctx, done)
	return done.Token, done.Err
}

var (
	errNotMade       = refusal(Unavailable, "the Validator was not made by New")
	errContext       = &Error{Unavailable, fmt.Errorf("validator: %w", hook.ErrContext)}
	errNoCredentials = refusal(NoCredentials, "no Authorization field of a known scheme")
	errSchemeDPoP    = refusal(BindingMismatch, "DPoP is not configured, so that the binding cannot be checked")
	errGrammar       = refusal(MalformedRequest, "the token is not a token68 (RFC 6750 §2.1)")
	errTooLarge      = refusal(TooLarge, "the token is longer than MaxTokenBytes")
	errPayload       = refusal(MalformedToken, "the payload is not one JSON object with unique member names, or exceeds its limits")
	errIssuer        = refusal(UnknownIssuer, "iss is missing, not a string, or not a configured issuer")
	errAlgorithm     = refusal(AlgorithmNotAllowed, "alg is not in the issuer's list")
	errTenantGone    = &Error{reason: Unavailable, cause: errForgotten}
	errBound         = refusal(BindingMismatch, "the token has cnf, and the binding cannot be checked")
)

// made reports whether [New] made v.
func (v *Validator) made() bool { return v != nil && v.byURL != nil }

// usable returns the error of a call that cannot be served: New did not make v,
// or ctx is nil or panics.
func (v *Validator) usable(ctx context.Context) error {
	if !v.made() {
		return errNotMade
	}
	if hook.CheckContext(ctx) != nil {
		return errContext
	}
	return nil
}

// survive calls judge, and calls it again if the issuer's configuration changed
// meanwhile. A panic, such as one in a method of ctx, is a refusal.
func (v *Validator) survive(ctx context.Context, p *Presentation) (token *Token, is *issuer, refused *Error) {
	defer func() {
		if cause := recover(); cause != nil { // its text may hold what must not be logged
			token, refused = nil, &Error{Unavailable, fmt.Errorf("validator: panic with a %T while validating", cause)}
		}
	}()
	if token, is, refused = v.judge(ctx, p); refused == errTenantGone {
		token, is, refused = v.judge(ctx, p)
	}
	return token, is, refused
}

// judge is Validate without observation. The issuer is the one selected, if it
// came so far.
func (v *Validator) judge(ctx context.Context, p *Presentation) (*Token, *issuer, *Error) {
	if refused := v.judgePresentation(p); refused != nil {
		return nil, nil, refused
	}
	now := time.Now()
	var d digest
	if v.cache != nil {
		d = v.cache.digest(p.Token)
		if token, is, refused := v.known(ctx, now, d, p); token != nil || refused != nil {
			return token, is, refused
		}
	}
	kept, is, refused := v.verify(ctx, now, p.Token)
	if refused != nil {
		return nil, is, refused
	}
	if v.cache != nil && clock.Or(ctx, now).Unix() < kept.until { // nothing is kept on the leeway
		v.cache.add(d, kept)
	}
	if refused = p.Demands.judge(ctx, &kept.facts.claims, is.audiences); refused != nil {
		return nil, is, refused
	}
	return kept.minted(), is, nil
}

// verify judges all of a token that does not depend on the request.
func (v *Validator) verify(ctx context.Context, now time.Time, token string) (*verified, *issuer, *Error) {
	unverified, err := v.headers.ParseCompact(token)
	if err != nil {
		if !isToken68(token) {
			return nil, nil, errGrammar
		}
		return nil, nil, translated(err)
	}
	var stack [24]strictjson.Member
	members, err := strictjson.ParseObject(unverified.UnverifiedPayload(), strictjson.TokenLimits, stack[:0])
	if err != nil {
		return nil, nil, errPayload
	}
	// The only claim that is used before the signature verifies: it selects
	// the configuration by exact match and goes nowhere else.
	is, refused := v.issuer(ctx, unverifiedIssuer(members))
	if refused != nil {
		return nil, nil, refused
	}
	if is.dynamic { // it may have been waited for
		now = time.Now()
	}
	key, refused := is.authenticate(ctx, now, &unverified)
	if refused != nil {
		return nil, is, refused
	}
	judged, refused := v.judgeClaims(ctx, is, &unverified, members)
	if refused != nil {
		return nil, is, refused
	}
	if is.dynamic && !v.tenants.prove(is) {
		return nil, is, errTenantGone
	}
	v.headers.Remember(&unverified)
	judged.facts.key = key
	made := &verified{draft: judged, key: key, since: v.moment(now)}
	made.rest(is, &unverified)
	return made, is, nil
}

// issuer is the one that is configured under that URL.
func (v *Validator) issuer(ctx context.Context, unverified string) (*issuer, *Error) {
	if is := v.byURL[unverified]; is != nil {
		return is, nil
	}
	if v.tenants == nil || unverified == "" {
		return nil, errIssuer
	}
	is, err := v.tenants.issuer(ctx, unverified)
	switch {
	case err == nil:
		return is, nil
	case errors.Is(err, ErrUnknownIssuer):
		return nil, errIssuer
	default:
		return nil, &Error{reason: Unavailable, cause: err}
	}
}

// judgePresentation judges what does not need the token's inside.
func (v *Validator) judgePresentation(p *Presentation) *Error {
	switch {
	case p.Scheme == DPoP:
		return errSchemeDPoP
	case p.Scheme != Bearer:
		return errNoCredentials
	case len(p.Token) > v.maxBytes:
		return errTooLarge
	default:
		return nil
	}
}

// isToken68 reports whether text follows the b64token grammar of RFC 6750
// §2.1.
func isToken68(text string) bool {
	text = strings.TrimRight(text, "=")
	for i := range len(text) {
		if !token68[text[i]] {
			return false
		}
	}
	return text != ""
}

// token68 has the bytes that may stand before the padding.
var token68 = func() (allowed [256]bool) {
	for c := range byte(utf8.RuneSelf) {
		allowed[c] = c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
	}
	for _, c := range []byte("-._~+/") {
		allowed[c] = true
	}
	return allowed
}()

func unverifiedIssuer(members []strictjson.Member) string {
	for _, m := range members {
		if m.Name == "iss" {
			text, _ := m.Value.Text()
			return text
		}
	}
	return ""
}

// authenticate answers with the key by which the issuer signed this as an access
// token.
func (is *issuer) authenticate(ctx context.Context, now time.Time, unverified *jose.Unverified) (jwkscache.Handle, *Error) {
	header := unverified.UnverifiedHeader()
	if !is.allowed[header.Algorithm()] {
		return jwkscache.Handle{}, errAlgorithm
	}
	if refused := is.judgeType(header); refused != nil {
		return jwkscache.Handle{}, refused
	}
	found, err := is.keys.Find(ctx, now, header)
	if err != nil {
		refused := translated(err)
		if refused.reason == Unavailable { // the operator will ask whose keys
			refused.cause = is.failure(err)
		}
		return jwkscache.Handle{}, refused
	}
	handle, err := verifiedBy(found, unverified)
	if errors.Is(err, jose.ErrSignature) { // the issuer may have changed the key
		if again, ok := is.keys.FindAgain(ctx, header, found); ok {
			handle, err = verifiedBy(again, unverified)
		}
	}
	if err != nil {
		return jwkscache.Handle{}, translated(err)
	}
	return handle, nil
}

// verifiedBy returns the handle of the key of found that verifies the signature.
func verifiedBy(found jwkscache.Found, unverified *jose.Unverified) (jwkscache.Handle, error) {
	err := jose.ErrUnknownKey // Find never returns an empty list without an error; if it did, the token would still be refused
	for _, key := range found.Keys {
		if err = key.Verify(unverified); err == nil {
			return found.Handle(key), nil
		}
	}
	return jwkscache.Handle{}, err
}

// judgeClaims judges what the signature vouches for, and mints the Token.
func (v *Validator) judgeClaims(
	ctx context.Context, is *issuer, verified *jose.Unverified, members []strictjson.Member,
) (*draft, *Error) {
	made := &draft{facts: facts{payload: verified.UnverifiedPayload(), terms: is.terms}}
	c := &made.facts.claims
	if refused := c.readAll(members); refused != nil {
		return nil, refused
	}
	c.algorithm = verified.UnverifiedHeader().Algorithm()
	if refused := judgeReplicated(verified.UnverifiedHeader(), members); refused != nil {
		return nil, refused
	}
	if refused := is.judgeLegacy(c, members); refused != nil {
		return nil, refused
	}
	if refused := c.judgeRequired(is.profile); refused != nil {
		return nil, refused
	}
	if refused := c.judgeTimes(clock.Now(ctx), v.leeway); refused != nil {
		return nil, refused
	}
	if !c.namesAny(is.audiences) {
		return nil, errAudience
	}
	if refused := is.judgeRules(members); refused != nil {
		return nil, refused
	}
	if refused := is.derive(c, members); refused != nil {
		return nil, refused
	}
	if c.bound {
		return nil, errBound
	}
	made.mint()
	return made, nil
}
