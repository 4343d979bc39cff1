package jwkscache

// Outcome says how a fetch of keys ended. The set is closed, so an Outcome is safe as a
// metric label.
type Outcome string

// The outcomes. All but the first two are failures.
const (
	Fetched        Outcome = "fetched"         // a document came, and its keys are in use
	Unchanged      Outcome = "unchanged"       // the answer was the document in use, or 304
	Unreachable    Outcome = "unreachable"     // no connection, it broke before an answer, or the file cannot be read
	TimedOut       Outcome = "timed_out"       // no complete answer in time
	TLSFailed      Outcome = "tls_failed"      // the certificate or the handshake
	ServerError    Outcome = "server_error"    // the server answered 5xx
	Throttled      Outcome = "throttled"       // the server answered 429
	RequestRefused Outcome = "request_refused" // the server answered another status, such as 404 or a redirect
	NotKeys        Outcome = "not_keys"        // the answer is no JWK Set, is too large, or has no key that can be used
	NoLocation     Outcome = "no_location"     // the metadata was had, and names no usable URL for the keys
	Overloaded     Outcome = "overloaded"      // a bound of this program was reached
)

// Failed reports whether o is a failure.
func (o Outcome) Failed() bool { return o != Fetched && o != Unchanged }
