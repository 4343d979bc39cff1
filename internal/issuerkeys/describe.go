package issuerkeys

import (
	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/jose"
)

// aboutKeyID returns err, about a token with header h, with its kid.
func aboutKeyID(err error, h jose.Header, mend string) error {
	kid, ok := h.KeyID()
	return cause.New(err, func() cause.Details {
		d := cause.Details{Found: "no kid", Mend: mend}
		if ok {
			d.Found = "kid " + cause.Quote(kid)
		}
		return d
	})
}

// Mends of refusals that depend on keys.
const (
	mendForbidden = "the key was forbidden by Issuer.ForbiddenKeys or ForbidKey: let the client get a token that is signed with another key"
	mendNotYet    = "if the issuer publishes the key, the next fetch brings it; if not, the token is of another issuer or environment"
)

// aboutKey returns err, and errWithdrawn with the kid of the key.
func (h Handle) aboutKey(err error) error {
	if err != errWithdrawn { //nolint:errorlint // the value itself
		return err
	}
	kid, ok := h.life.key.id, h.life.key.hasID
	return cause.New(errWithdrawn, func() cause.Details {
		d := cause.Details{Found: "a key without kid", Wanted: "a key that the issuer publishes now", Mend: "let the client get a new token"}
		if ok {
			d.Found = "kid " + cause.Quote(kid)
		}
		return d
	})
}
