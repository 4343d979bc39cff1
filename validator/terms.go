package validator

import (
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
)

// terms is the part of the configuration that a Token needs after validation. All
// Tokens of an issuer share one.
type terms struct {
	validator *identity
	audiences []string // Issuer.Audiences
	leeway    Leeway
	start     time.Time // of the Validator, for moments
	answers   freshness
	mapped    []string // the claims that Mappings make scopes of
	grants    nameSet
	// keys keeps the keys of a configured issuer in memory as long as one of its
	// Tokens. It is nil for a resolved issuer, whose keys are freed when it is
	// forgotten.
	keys *issuerkeys.Keys
}

// identity is compared by address: it tells the Tokens of one Validator from
// those of others, without keeping a Validator in memory.
type identity struct{ _ byte }
