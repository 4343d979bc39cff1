package issuerkeys

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

const (
	maxForbidden    = 1000
	maxKeyID        = 256 // a longer kid names no key; see package jose
	thumbprintBytes = 32
)

// CheckName returns the fault of n, or nil if n names a key.
func CheckName(n jwkscache.KeyName) error {
	faults := fault.In("jwkscache")
	checkName(faults, n)
	return faults.Err()
}

func checkName(faults fault.List, n jwkscache.KeyName) {
	switch {
	case (n.KeyID == "") == (n.Thumbprint == ""):
		faults.Add("names no key", "set either KeyID or Thumbprint")
	case len(n.KeyID) > maxKeyID:
		faults.At("KeyID").Addf("", "is longer than %d bytes, and no key has such a kid", maxKeyID)
	case !utf8.ValidString(n.KeyID):
		faults.At("KeyID").Add("is not UTF-8, and no key has such a kid", "")
	case n.Thumbprint != "":
		if b, err := base64.RawURLEncoding.Strict().DecodeString(n.Thumbprint); err != nil || len(b) != thumbprintBytes {
			faults.At("Thumbprint").Add("is not a SHA-256 thumbprint (RFC 7638) in base64url, which has 43 characters", "")
		}
	}
}

// checkForbidden adds the faults of the names of forbidden keys.
func checkForbidden(faults fault.List, names []jwkscache.KeyName) {
	for i, name := range names {
		checkName(faults.Atf("[%d]", i), name)
	}
	if len(names) > maxForbidden {
		faults.Addf("change the issuer's jwks_uri instead", "has %d names, and at most %d keys can be forbidden", len(names), maxForbidden)
	}
}

// compareNames orders names.
func compareNames(a, b jwkscache.KeyName) int {
	if c := strings.Compare(a.KeyID, b.KeyID); c != 0 {
		return c
	}
	return strings.Compare(a.Thumbprint, b.Thumbprint)
}

// forbids reports whether a name of forbidden is one of key.
func forbids(forbidden map[jwkscache.KeyName]bool, key *jose.Key) bool {
	if _, found := forbidden[jwkscache.KeyName{Thumbprint: key.Thumbprint()}]; found {
		return true
	}
	id, _ := key.ID() // "" if it has none, which is in no list
	_, found := forbidden[jwkscache.KeyName{KeyID: id}]
	return found
}
