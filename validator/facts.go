package validator

import (
	"time"
	"weak"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// facts is what was verified about a token, and what that depends on. It does not
// change. Whether the token is accepted now is decided from it by [checks.hold].
type facts struct {
	// issuer and the fields up to isBound are read for every use of the token, so they
	// stand together.
	issuer   *checkedIssuer              // that was configured; nil for a resolved issuer, so that forgetting it frees its keys
	resolved weak.Pointer[checkedIssuer] // the resolved issuer; zero for a configured one
	key      issuerkeys.Handle           // the key that verified the signature, if signed
	// from and until are seconds since 1970. At from and later, and before until, the
	// times have nothing to refuse, even without leeway.
	from, until int64
	isBound     bool         // there is a cnf
	isDPoP      bool         // the issuer says that the token is for the DPoP scheme only
	signed      bool         // key verified a signature; if not, the issuer was asked
	answer      *answerFacts // what the issuer said when it was asked; nil if it was not

	terms      *terms
	claims     tokenClaims
	payload    string
	keyID      string // of the key, not of the token's header; "" if the key has none
	thumbprint string // of the key
}

// setIssuer records that the facts were verified with the configuration of is.
func (f *facts) setIssuer(is *checkedIssuer) {
	if is.resolved {
		f.resolved = is.self
	} else {
		f.issuer = is
	}
	f.terms = is.terms
}

// isOf reports whether the facts were verified with the configuration of is.
func (f *facts) isOf(is *checkedIssuer) bool {
	if is.resolved {
		return f.resolved == is.self
	}
	return f.issuer == is
}

// isInTime reports whether the times have nothing to refuse at instant, without any
// leeway. If not, [claims.checkTimes] decides.
func (f *facts) isInTime(instant time.Time) bool {
	second := instant.Unix()
	return f.from <= second && second < f.until
}

// keyNames returns the names of the key for [Validator.ForbidKey] and deny lists.
func (f *facts) keyNames() (byID, byThumbprint jwkscache.KeyName) {
	return jwkscache.KeyName{KeyID: f.keyID}, jwkscache.KeyName{Thumbprint: f.thumbprint}
}
