package claims

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/jose"
)

// JWT says which signed JWTs are accepted: those of one issuer, of one type, for
// this recipient. A field that is left out refuses every token, but for Leeway,
// NoExpiry, MaxAge and Limits.
type JWT struct {
	// Type is the media type that typ must name, without "application/":
	// "logout+jwt". It keeps tokens of other types out (RFC 8725 §3.11).
	Type string
	// Issuer is compared with iss byte for byte.
	Issuer string
	// Audiences are the names of the recipient. aud must have one of them.
	Audiences []string
	// Algorithms are the signature algorithms that are allowed.
	Algorithms []jose.Algorithm
	// Keys returns the issuer's keys to try for a token with header, as
	// [jose.Set.Find] does. Its error is returned as it is.
	Keys func(ctx context.Context, header jose.Header) ([]*jose.Key, error)
	// Leeway is allowed for exp, iat and nbf.
	Leeway Leeway
	// NoExpiry allows tokens without exp, such as security event tokens
	// (RFC 8417 §2.2). An exp that is present is checked all the same.
	NoExpiry bool
	// MaxAge is how long ago iat may be. 0 sets no bound.
	MaxAge time.Duration
	// Limits bound the claims. The zero value means [strictjson.TokenLimits].
	Limits strictjson.Limits
}

// Verified is the content of a JWT whose signature and registered claims were
// checked.
type Verified struct {
	Members  []strictjson.Member // all claims, in the order of the payload
	Key      *jose.Key           // the key that verified the signature
	IssuedAt time.Time
	Expiry   time.Time // zero if there is no exp
}

// Verify parses token and checks, in this order: the algorithm, typ, the key, the
// signature, the payload, iss, aud, iat, exp and nbf. The time is
// [clock.Now] of ctx. The caller bounds the length of token. Errors are those of
// Keys, of this package and of package jose.
//
// Verify does not check sub and jti, does not detect a token that is presented a
// second time, and bounds the age of a token only by MaxAge.
func (j *JWT) Verify(ctx context.Context, token string) (Verified, error) {
	unverified, err := jose.ParseCompact(token)
	if err != nil {
		return Verified{}, err
	}
	key, err := j.verifySignature(ctx, &unverified)
	if err != nil {
		return Verified{}, err
	}
	limits := j.Limits
	if limits == (strictjson.Limits{}) {
		limits = strictjson.TokenLimits
	}
	members, err := strictjson.ParseObject(unverified.UnverifiedPayload(), limits, nil)
	if err != nil {
		return Verified{}, cause.New(ErrPayload, func() cause.Details {
			if errors.Is(err, strictjson.ErrLimits) {
				return Exceeded(err, limits)
			}
			return cause.Details{Found: strictjson.Describe(unverified.UnverifiedPayload(), limits, KnownNames...)}
		})
	}
	verified := Verified{Members: members, Key: key}
	if err := CheckReplicated(unverified.UnverifiedHeader(), members); err != nil {
		return Verified{}, cause.New(err, func() cause.Details { return DescribeReplica(unverified.UnverifiedHeader(), members) })
	}
	if err := j.checkParties(members); err != nil {
		return Verified{}, err
	}
	if err := verified.checkTimes(clock.Now(ctx), j); err != nil {
		return Verified{}, err
	}
	return verified, nil
}

// verifySignature checks the algorithm, typ and the signature.
func (j *JWT) verifySignature(ctx context.Context, unverified *jose.Unverified) (*jose.Key, error) {
	header := unverified.UnverifiedHeader()
	if !slices.Contains(j.Algorithms, header.Algorithm()) {
		return nil, cause.New(jose.ErrAlgorithm, func() cause.Details {
			return cause.Details{Found: DescribeAlgorithm(header), Wanted: DescribeAlgorithms(j.Algorithms)}
		})
	}
	if !IsType(header, j.Type) {
		return nil, cause.New(ErrTokenType, func() cause.Details {
			return cause.Details{Found: DescribeType(header), Wanted: cause.Quote(j.Type)}
		})
	}
	if j.Keys == nil {
		return nil, jose.ErrUnknownKey
	}
	keys, err := j.Keys(ctx, header)
	if err != nil {
		return nil, err
	}
	return VerifyWith(keys, unverified)
}

// checkParties checks iss and aud.
func (j *JWT) checkParties(members []strictjson.Member) error {
	iss := Lookup(members, "iss")
	if issuer, err := Text(iss); err != nil || issuer != j.Issuer {
		return cause.New(ErrIssuer, func() cause.Details {
			return cause.Details{Found: DescribeText("iss", iss), Wanted: cause.Quote(j.Issuer)}
		})
	}
	audience := Lookup(members, "aud")
	foreign := func() cause.Details {
		return cause.Details{Found: DescribeAudience(audience), Wanted: cause.OneOf(j.Audiences)}
	}
	if audience.Kind() == strictjson.Absent {
		return cause.New(ErrAudience, foreign)
	}
	if err := CheckAudience(audience); err != nil {
		return cause.New(err, func() cause.Details { return Unreadable(err, "aud", audience) })
	}
	for name := range Each(audience) {
		if slices.Contains(j.Audiences, name) {
			return nil
		}
	}
	return cause.New(ErrAudience, foreign)
}

// checkTimes reads iat, exp and nbf, and compares them with now.
func (v *Verified) checkTimes(now time.Time, j *JWT) error {
	var notBefore time.Time
	for _, claim := range [...]struct {
		name string
		date *time.Time
	}{{"iat", &v.IssuedAt}, {"exp", &v.Expiry}, {"nbf", &notBefore}} {
		value := Lookup(v.Members, claim.name)
		if value.Kind() == strictjson.Absent {
			continue
		}
		var err error
		if *claim.date, err = Date(value); err != nil {
			return cause.New(err, func() cause.Details { return Unreadable(err, claim.name, value) })
		}
	}
	switch {
	case v.IssuedAt.IsZero():
		return ErrNoIssuedAt
	case v.Expiry.IsZero() && !j.NoExpiry:
		return ErrNoExpiry
	case !v.Expiry.IsZero() && j.Leeway.Expired(now, v.Expiry):
		return cause.New(ErrExpired, func() cause.Details { return j.Leeway.Passed(now, v.Expiry) })
	case j.Leeway.Ahead(now, v.IssuedAt):
		return cause.New(ErrNotYetValid, func() cause.Details { return j.Leeway.TooEarly(now, v.IssuedAt, "iat") })
	case j.Leeway.Ahead(now, notBefore):
		return cause.New(ErrNotYetValid, func() cause.Details { return j.Leeway.TooEarly(now, notBefore, "nbf") })
	case j.MaxAge > 0 && now.After(v.IssuedAt.Add(j.MaxAge)):
		return cause.New(ErrTooOld, func() cause.Details {
			return cause.Details{Found: fmt.Sprintf("iat %d, %s", v.IssuedAt.Unix(), ago(now.Sub(v.IssuedAt))), Wanted: "at most " + cause.Seconds(j.MaxAge) + " ago"}
		})
	default:
		return nil
	}
}
