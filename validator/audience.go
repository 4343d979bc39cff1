package validator

import (
	"iter"
	"slices"

	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
)

// audiences yields the members of aud.
func (c *tokenClaims) audiences() iter.Seq[string] { return jwtclaims.Each(c.audience) }

// namesAny reports whether aud names one of the accepted identifiers.
func (c *tokenClaims) namesAny(accepted []string) bool {
	for audience := range c.audiences() {
		if slices.Contains(accepted, audience) {
			return true
		}
	}
	return false
}

// namesOneOfBoth reports whether aud names an identifier that is in both lists.
func (c *tokenClaims) namesOneOfBoth(a, b []string) bool {
	for audience := range c.audiences() {
		if slices.Contains(a, audience) && slices.Contains(b, audience) {
			return true
		}
	}
	return false
}

// namesOther reports whether aud names an identifier that is not accepted.
func (c *tokenClaims) namesOther(accepted []string) bool {
	for audience := range c.audiences() {
		if !slices.Contains(accepted, audience) {
			return true
		}
	}
	return false
}

// soleAudience returns the only identifier in aud, or false if it has none or
// several.
func (c *tokenClaims) soleAudience() (sole string, found bool) {
	for audience := range c.audiences() {
		if found && audience != sole {
			return "", false
		}
		sole, found = audience, true
	}
	return sole, found
}
