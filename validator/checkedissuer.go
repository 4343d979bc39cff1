package validator

import (
	"fmt"
	"net/http"
	"weak"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
)

// checkedIssuer is an Issuer whose configuration was checked, with its keys.
type checkedIssuer struct {
	Issuer // a copy of what was given

	allowed [256]bool // by jose.Algorithm
	// grants, roles and acrs are the names that count in its tokens, by the fields of
	// Issuer with the same names.
	grants, roles, acrs nameSet
	derivesNothing      bool // from the claims, but for the client

	keys     *issuerkeys.Keys
	opaque   *opaqueIssuer // nil if the issuer cannot be asked
	location *location
	client   *http.Client // for metadata and keys
	terms    *terms
	counters *counters // shared by all resolved issuers
	asks     *askLines

	resolved bool                        // by Config.ResolveIssuer
	self     weak.Pointer[checkedIssuer] // of a resolved issuer: facts refer to it without keeping it in memory
	// configured reports whether a resolved issuer is still known, and records
	// that a token of it was accepted. It is nil for a configured issuer.
	configured func() bool
}

// isConfigured reports whether the issuer is still configured as it was.
func (is *checkedIssuer) isConfigured() bool { return is.configured == nil || is.configured() }

// failure returns err with the name of the issuer, or nil if err is nil.
func (is *checkedIssuer) failure(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("validator: issuer %q: %w", is.URL, err)
}
