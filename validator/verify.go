package validator

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/internal/cause"
	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/jose"
)

var (
	errReplicated = refusal(BadClaims, "the header replicates iss, sub or aud with another value (RFC 7519 §5.3)")
	errAlgorithm  = refusal(AlgorithmNotAllowed, "alg is not in the issuer's list")
	errAudience   = refusal(WrongAudience, "aud is missing or names none of the configured audiences")
)

// verify returns the facts about a token of the issuer, or a refusal. It checks
// everything that does not change: the signature, the type and the claims. members
// are the claims. What can change is checked by [checks.hold].
//
// The times can change, and are checked here all the same: a token that expired
// and has another fault, such as the audience, is refused as expired.
func (is *checkedIssuer) verify(
	ctx context.Context, now time.Time, unverified *jose.Unverified, members []strictjson.Member,
) (*draft, *Error) {
	key, handle, refused := is.authenticate(ctx, now, unverified, nil)
	if refused != nil {
		return nil, refused
	}
	d := &draft{facts: facts{payload: unverified.UnverifiedPayload(), key: handle}}
	f := &d.facts
	f.signed = true
	f.keyID, _ = key.ID()
	f.thumbprint = key.Thumbprint()
	f.setIssuer(is)
	if refused := is.readClaims(ctx, &f.claims, unverified.UnverifiedHeader(), members, nil); refused != nil {
		return nil, refused
	}
	f.from, f.until = f.claims.span()
	f.isBound = f.claims.isBound
	d.mint()
	return d, nil
}

// authenticate returns the key with which the issuer signed the token as an access
// token. With a report, it returns no key and no refusal for a token that is refused.
func (is *checkedIssuer) authenticate(
	ctx context.Context, now time.Time, unverified *jose.Unverified, r *report,
) (*jose.Key, issuerkeys.Handle, *Error) {
	header := unverified.UnverifiedHeader()
	if refused := r.judge(checkAlgorithm, is.checkAlgorithm(header)); refused != nil {
		return nil, issuerkeys.Handle{}, refused
	}
	if refused := r.judge(checkType, is.checkType(header)); refused != nil {
		return nil, issuerkeys.Handle{}, refused
	}
	if r.failed(checkAlgorithm) { // no signature is verified with an algorithm that is not allowed
		return nil, issuerkeys.Handle{}, nil
	}
	found, err := is.keys.Find(ctx, now, header)
	if err != nil {
		return nil, issuerkeys.Handle{}, r.judge(checkKey, keyRefusal(is.URL, err))
	}
	key, err := jwtclaims.VerifyWith(found.Keys, unverified)
	if errors.Is(err, jose.ErrSignature) { // the issuer may have changed the key
		if again, ok := is.keys.FindAgain(ctx, header, found); ok {
			found = again
			key, err = jwtclaims.VerifyWith(found.Keys, unverified)
		}
	}
	if err != nil {
		return nil, issuerkeys.Handle{}, r.judge(checkSignature, refusalFor(err))
	}
	return key, found.Handle(key), nil
}

// checkAlgorithm returns the refusal of a token whose alg is not in the issuer's list.
func (is *checkedIssuer) checkAlgorithm(header jose.Header) *Error {
	if is.allowed[header.Algorithm()] {
		return nil
	}
	return is.refuseAlgorithm(header)
}

func (is *checkedIssuer) refuseAlgorithm(header jose.Header) *Error {
	copied := new(header) // the closure would put every header on the heap
	return errAlgorithm.because(func() cause.Details { return is.seenAlgorithm(*copied) })
}

// readClaims reads and checks the claims that the signature vouches for.
func (is *checkedIssuer) readClaims(ctx context.Context, c *tokenClaims, header jose.Header, members []strictjson.Member, r *report) *Error {
	if refused := is.readMembers(c, members, false, r); refused != nil {
		return refused
	}
	c.algorithm = header.Algorithm()
	if refused := r.judge(checkReplicas, checkReplicated(header, members)); refused != nil {
		return refused
	}
	if refused := r.judge(checkKind, is.checkKind(header, c, members)); refused != nil {
		return refused
	}
	if refused := r.judge(checkRequired, is.hinted(is.checkRequired(c))); refused != nil {
		return refused
	}
	now := clock.Now(ctx) // the keys may have taken time
	if refused := r.judge(checkExpiry, c.checkExpiry(now, is.terms.leeway)); refused != nil {
		return refused
	}
	if refused := r.judge(checkStart, c.checkStart(now, is.terms.leeway)); refused != nil {
		return refused
	}
	if refused := r.judge(checkAudience, is.checkAudience(c, members)); refused != nil {
		return refused
	}
	if refused := r.judge(checkDeclared, is.checkDeclared(members)); refused != nil {
		return refused
	}
	return r.judge(checkDerived, is.derive(c, members))
}

// checkReplicated returns the refusal of a token whose header repeats a claim with another
// value.
func checkReplicated(header jose.Header, members []strictjson.Member) *Error {
	if jwtclaims.CheckReplicated(header, members) == nil {
		return nil
	}
	return errReplicated.with(jwtclaims.DescribeReplica(header, members))
}

// checkAudience returns the refusal of a token that is not for this API.
func (is *checkedIssuer) checkAudience(c *tokenClaims, members []strictjson.Member) *Error {
	if is.judgesByClient(c) {
		return is.checkClientIDs(members)
	}
	if c.namesAny(is.Audiences) {
		return nil
	}
	refused := is.refuseAudience(c)
	if c.audience.Kind() == strictjson.Absent {
		return is.hinted(refused)
	}
	return refused
}

// textBytes returns how many bytes of the token, of its claims and of what was
// derived from them stay in memory with the facts.
func (is *checkedIssuer) textBytes(f *facts, token *jose.Unverified) int {
	n := token.Retained()
	if strings.IndexByte(f.payload, '\\') >= 0 {
		n += len(f.payload) // strings with escapes are copies
	}
	return n + is.derivedBytes(&f.claims)
}

var errRule = refusal(BadClaims, "a claim that the issuer's configuration declares is missing or not as declared")

// checkDeclared returns the refusal of a token without a claim that the configuration
// declares (R-CL-14).
func (is *checkedIssuer) checkDeclared(members []strictjson.Member) *Error {
	for i := range is.Claims {
		if !is.Claims[i].holds(members) {
			return is.Claims[i].refuse(errRule, members)
		}
	}
	return nil
}
