package introspection

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fetch"
)

// errorBytes is how much is read of the body of an answer with an error status.
const errorBytes = 64 << 10

// sender sends forms as one client of one server.
type sender struct {
	fetcher    *fetch.Client
	credential credential
}

// reply is what came of a form that was sent.
type reply struct {
	document *fetch.Document // nil if no answer came
	err      error           // of package fetch, or nil if the status is 200
	secret   error           // why the credentials could not be had, in which case nothing was sent
	version  int             // of the credentials
	began    time.Time       // when the request was begun
	requests int             // that were sent
	secrets  []string        // that were sent
}

// status returns the status of the answer, or 0.
func (r *reply) status() int {
	if r.document == nil {
		return 0
	}
	return r.document.Status
}

// post sends form, and at most one time more: if the credentials were refused and are
// others by now, or if the connection had been used before and ended without an
// answer, unless once is set. RFC 9110 §9.2.2 allows the latter, because the server
// does nothing but look something up. No HTTP library does it for a POST.
//
// A refused request can be repeated although once is set: the server did not look at
// the token before it knew the client (RFC 7662 §2.3).
func (s *sender) post(ctx context.Context, request fetch.Request, form url.Values, once bool) reply {
	first := s.try(ctx, request, form)
	if !s.repeatable(ctx, &first, once) {
		return first
	}
	request.NewConnection = true
	second := s.try(ctx, request, form)
	second.requests += first.requests
	return second
}

// repeatable reports whether a request should be sent again.
func (s *sender) repeatable(ctx context.Context, r *reply, once bool) bool {
	if errors.Is(r.err, fetch.ErrStale) {
		return !once
	}
	_, certified := s.credential.(*certificate)
	if r.status() == http.StatusUnauthorized || certified && isAlert(r.err) {
		return s.credential.renew(ctx, r.version)
	}
	return false
}

// isAlert reports whether the server ended the TLS handshake, as it does if it
// refuses the client certificate.
func isAlert(err error) bool {
	network, ok := errors.AsType[*net.OpError](err)
	return ok && network.Op == "remote error"
}

// try sends form once.
func (s *sender) try(ctx context.Context, request fetch.Request, form url.Values) reply {
	m := message{header: http.Header{}, form: maps.Clone(form)}
	version, err := s.credential.authenticate(ctx, &m)
	if err != nil {
		return reply{secret: err}
	}
	request.Header, request.ErrorBytes = m.header, errorBytes
	r := reply{version: version, began: time.Now(), requests: 1, secrets: m.secrets()}
	r.document, r.err = s.fetcher.Post(ctx, request, fetch.Form(m.form))
	return r
}

// place returns the host and the path of an endpoint, for error texts. The query may
// hold secrets.
func place(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "the endpoint"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
