package issuerkeys

import "github.com/sallyport-auth/sallyport/jose"

// Why a fetch began; see [jwkscache.FetchDone].
const (
	CauseMissing      = "missing"
	CauseSchedule     = "schedule"
	CauseStale        = "stale"
	CauseUnknownKid   = "unknown_kid"
	CauseBadSignature = "bad_signature"
	CauseNoKid        = "no_kid"
)

// slowCause returns the cause of a fetch for a token that has no kid, or whose kid
// is known but whose key does not verify it: the issuer may have changed the key.
func slowCause(h jose.Header) string {
	if _, ok := h.KeyID(); ok {
		return CauseBadSignature
	}
	return CauseNoKid
}

// isSlow reports whether fetches of that cause have a slow budget.
func isSlow(cause string) bool { return cause == CauseBadSignature || cause == CauseNoKid }
