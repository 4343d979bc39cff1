package validator

import (
	"context"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

var (
	errNoOpaqueIssuer = refusal(UnknownIssuer, "the token is no JWT of a configured issuer, and no issuer of opaque tokens is selected for it: "+
		"it has none of the prefixes, and the route and Config.OpaqueIssuer name none")
	errOtherIssuer = refusal(UnknownIssuer, "the token has the prefix of another issuer than the one whose opaque tokens the route takes")
	errForeignIss  = refusal(UnknownIssuer, "iss names a configured issuer without Keys, and another issuer is selected for opaque tokens: it would learn the token")
	errNotAsked    = refusal(UnknownIssuer, "the issuer that the route or Config.OpaqueIssuer names has no Opaque")
)

// opaqueSelector says which issuer is asked about a token. It looks at the prefix of the
// token and at the configuration, and at nothing else: an issuer that is asked learns
// the token.
type opaqueSelector struct {
	byPrefix []*checkedIssuer
	sole     *checkedIssuer // the only one without a prefix, or nil
	choose   func(ctx context.Context, request *url.URL) string
	jwts     bool // there are issuers whose JWTs are validated locally
}

// newOpaqueSelector returns the selector of a Validator, or nil if only a route can select
// an issuer that is asked.
func newOpaqueSelector(config *Config, issuers []*checkedIssuer) *opaqueSelector {
	s := &opaqueSelector{choose: config.OpaqueIssuer, jwts: config.validatesJWTs()}
	without := 0
	for _, is := range issuers {
		switch {
		case is.opaque == nil:
		case is.opaque.prefix != "":
			s.byPrefix = append(s.byPrefix, is)
		default:
			s.sole = is
			without++
		}
	}
	if without > 1 {
		s.sole = nil
	}
	if without == 0 && len(s.byPrefix) == 0 && s.choose == nil {
		return nil
	}
	return s
}

// jwtBeginning is what compact JWTs begin with: {" in base64url. Only those with white space
// after the brace, which are rare, begin with something else.
const jwtBeginning = "eyJ"

// checkPrefixes adds the faults of prefixes that do not tell two issuers apart, or that
// fit JWTs. jwts is whether the JWTs of some issuer are validated locally.
func checkPrefixes(issuers []Issuer, jwts bool, f fault.List) {
	for i := range issuers {
		if o := issuers[i].Opaque; jwts && o != nil && o.Prefix != "" && fitSameTokens(o.Prefix, jwtBeginning) {
			f.Atf("[%d].Opaque.Prefix", i).Addf("give what only the opaque tokens of this issuer begin with",
				"%q fits JWTs, which begin with %s, and JWTs are validated here", o.Prefix, jwtBeginning)
		}
		for j := range issuers[:i] {
			a, b := issuers[i].Opaque, issuers[j].Opaque
			if a == nil || b == nil || a.Prefix == "" || b.Prefix == "" {
				continue
			}
			if fitSameTokens(a.Prefix, b.Prefix) {
				f.Atf("[%d].Opaque.Prefix", i).Addf("give prefixes of which none begins with another",
					"%q and that of Issuers[%d], %q, fit the same tokens", a.Prefix, j, b.Prefix)
			}
		}
	}
}

// fitSameTokens reports whether one of two prefixes begins with the other.
func fitSameTokens(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }

// validatesJWTs reports whether there are issuers whose JWTs are validated locally, or
// may be.
func (c *Config) validatesJWTs() bool {
	return c.ResolveIssuer != nil || slices.ContainsFunc(c.Issuers, func(is Issuer) bool { return is.acceptsJWTs() })
}

// isAsked reports whether the issuer of a token with this form is asked, without any try
// to read it as a JWT: it has a prefix, or it is no compact JWS (three segments), or no
// issuer has JWTs that are validated locally.
func (s *opaqueSelector) isAsked(token string) bool {
	return s != nil && (!s.jwts || strings.Count(token, ".") != 2 || s.prefixed(token) != nil)
}

// prefixed returns the issuer whose prefix the token has, or nil.
func (s *opaqueSelector) prefixed(token string) *checkedIssuer {
	if s == nil {
		return nil
	}
	for _, is := range s.byPrefix {
		if strings.HasPrefix(token, is.opaque.prefix) {
			return is
		}
	}
	return nil
}

// selectOpaque returns the issuer that is asked about the token of p, which is no JWT of
// a configured issuer.
func (v *Validator) selectOpaque(ctx context.Context, p *Presentation) (*checkedIssuer, *Error) {
	named := p.Demands.OpaqueIssuer
	if is := v.opaque.prefixed(p.Token); is != nil {
		if named != "" && named != is.URL {
			return nil, errOtherIssuer
		}
		return is, nil
	}
	if named == "" && v.opaque != nil && v.opaque.choose != nil {
		named = v.opaque.choose(ctx, p.URL)
	}
	switch {
	case named != "":
		is, refused := v.selectIssuer(ctx, named)
		if refused == nil && is.opaque == nil {
			return nil, errNotAsked
		}
		return is, refused
	case v.opaque != nil && v.opaque.sole != nil && v.opaque.choose == nil:
		return v.opaque.sole, nil
	default:
		return nil, errNoOpaqueIssuer
	}
}

// selectNamed is selectOpaque for a token that has the form of a JWT and names an issuer in
// iss, which may be nil: no other issuer may learn the token.
func (v *Validator) selectNamed(ctx context.Context, named *checkedIssuer, p *Presentation) (*checkedIssuer, *Error) {
	is, refused := v.selectOpaque(ctx, p)
	if refused == nil && named != nil && named != is {
		return nil, errForeignIss
	}
	return is, refused
}

// maySelectOpaque reports whether an issuer may be asked about the token of p.
func (v *Validator) maySelectOpaque(p *Presentation) bool {
	return v.opaque != nil || p.Demands.OpaqueIssuer != ""
}

// isForJWTs reports whether a token that cannot be parsed as a JWT counts as one all the
// same, so that no issuer is asked about it: its payload names an issuer whose JWTs are
// validated locally, or is an object that cannot be read.
func (v *Validator) isForJWTs(token string) bool {
	_, rest, _ := strings.Cut(token, ".")
	segment, _, found := strings.Cut(rest, ".")
	payload, err := base64.RawURLEncoding.DecodeString(segment)
	if !found || err != nil {
		return false
	}
	members, err := strictjson.ParseObject(string(payload), v.limits, nil)
	if err != nil {
		return strings.HasPrefix(strings.TrimLeft(string(payload), " \t\r\n"), "{")
	}
	return v.mayNameJWTIssuer(unverifiedIss(members))
}

// mayNameJWTIssuer reports whether an unverified iss names an issuer whose JWTs are
// validated locally. With Config.ResolveIssuer, it may.
func (v *Validator) mayNameJWTIssuer(unverified string) bool {
	if is := v.byURL[unverified]; is != nil {
		return is.acceptsJWTs()
	}
	return v.resolved != nil && unverified != ""
}
