package middleware

import (
	"net/http"
	"strconv"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Denial is the answer to a request that may not pass. It holds constants of
// its response class and what the policy asks for: nothing in it tells a client
// more about the token than the class. A nil Denial, and one without a Status
// from 400 to 599, such as the zero one, are answered with 503.
type Denial struct {
	// Reason is for logs and metrics, not for the client.
	Reason validator.Reason
	// Status is the HTTP status.
	Status int
	// Challenges are the values of the WWW-Authenticate fields, one field
	// line each (RFC 9110 §11.6.1). May be empty. Not to be modified.
	Challenges []string
	// RetryAfter is the value of the Retry-After field, or 0 for none.
	RetryAfter time.Duration
	cause      error
	manner     manner
}

// Error is constant for the Reason.
func (d *Denial) Error() string { return "sallyport: denied: " + string(d.reason()) }

// reason returns Unavailable for a Denial that has none.
func (d *Denial) reason() validator.Reason {
	if d == nil || d.Reason == "" {
		return validator.Unavailable
	}
	return d.Reason
}

// Unwrap gives the refusal of the validator or the policy, or the Reason if
// there is none.
func (d *Denial) Unwrap() error {
	if d == nil || d.cause == nil {
		return d.reason()
	}
	return d.cause
}

// answerable returns d if its status refuses, and otherwise a Denial that says
// nothing was determined.
func (d *Denial) answerable() *Denial {
	if d != nil && d.Status >= 400 && d.Status <= 599 {
		return d
	}
	made := &Denial{Reason: validator.Unavailable, Status: undetermined.status, RetryAfter: undetermined.retryAfter}
	if d != nil {
		made.cause, made.manner = d.cause, d.manner
	}
	return made
}

// ServeHTTP answers a request with d: the status, one WWW-Authenticate field
// for each challenge, Retry-After, Cache-Control: no-store, and a small body
// (RFC 9457) that says no more than the status. The Guard's configuration may
// exchange the body or leave it out, and expose the fields to browsers; HEAD
// gets none.
func (d *Denial) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d = d.answerable()
	kind, body := d.body(r)
	header := w.Header()
	header.Del("Content-Length") // of what would have been sent
	header.Set("Cache-Control", "no-store")
	if kind != "" {
		header.Set("Content-Type", kind)
	} else {
		header.Del("Content-Type")
	}
	for _, challenge := range d.Challenges {
		header.Add("WWW-Authenticate", challenge)
	}
	if d.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int((d.RetryAfter+time.Second-1)/time.Second)))
	}
	d.manner.exposeHeaders(header)
	w.WriteHeader(d.Status)
	if _, rendering := w.(*bodyWriter); rendering || r.Method != http.MethodHead {
		_, _ = w.Write(body) // if the connection is gone, there is nobody to tell
	}
}

// deny answers err in its class. told is what the policy adds to the challenge
// and may be nil.
func (g *Guard) deny(err error, told *scopes.Refusal) *Denial {
	reason := validator.ReasonOf(err)
	class := answers[reason]
	if class == nil { // not one of the closed set: nothing was determined
		class = &undetermined
	}
	return &Denial{
		Reason: reason, Status: class.status, RetryAfter: class.retryAfter, cause: err, manner: g.manner,
		Challenges: g.challenger.challenges(reason, class, told),
	}
}
