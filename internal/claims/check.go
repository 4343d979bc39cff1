package claims

import (
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/jose"
)

// IsType reports whether the header's typ is the media type application/name,
// with or without "application/" (RFC 7515 §4.1.9). Parameters are not allowed.
// An empty name is no type. name must be ASCII.
func IsType(header jose.Header, name string) bool {
	typ, _ := header.Type() // empty unless present as a string
	const prefix = "application/"
	if len(typ) > len(prefix) && strings.EqualFold(typ[:len(prefix)], prefix) {
		typ = typ[len(prefix):]
	}
	// Letters outside ASCII that fold to s or k take more than one byte.
	return name != "" && len(typ) == len(name) && strings.EqualFold(typ, name)
}

// CheckReplicated compares the header's iss, sub and aud, where it has them, with
// the claims of those names, as JSON text. An issuer that writes one value in two
// ways is refused.
func CheckReplicated(header jose.Header, members []strictjson.Member) error {
	issuer, subject, audience := header.ReplicatedClaims()
	for i, raw := range [...]string{issuer, subject, audience} {
		if raw != "" && Lookup(members, replicatedNames[i]).Raw() != raw {
			return ErrReplicated
		}
	}
	return nil
}

// VerifyWith returns the first of keys that verifies the signature. Without keys
// the error is [jose.ErrUnknownKey].
func VerifyWith(keys []*jose.Key, unverified *jose.Unverified) (*jose.Key, error) {
	var err error = jose.ErrUnknownKey
	for _, key := range keys {
		if err = key.Verify(unverified); err == nil {
			return key, nil
		}
	}
	return nil, err
}

// Leeway is how far the clocks of the issuer and of this machine may differ. The
// zero Leeway allows no difference.
type Leeway struct {
	Expiry time.Duration // how long after exp a token is accepted
	Future time.Duration // how far ahead iat and nbf may lie
}

// Expired reports whether now is at or after expiry and the leeway.
func (l Leeway) Expired(now, expiry time.Time) bool { return !now.Before(expiry.Add(l.Expiry)) }

// Ahead reports whether instant is after now by more than the leeway.
func (l Leeway) Ahead(now, instant time.Time) bool { return instant.After(now.Add(l.Future)) }
