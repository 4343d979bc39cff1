package testissuer

import (
	"bytes"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Request is a request that arrived at [Introspection], [Revocation] or
// [TokenEndpoint].
type Request struct {
	// Time is when the request had arrived.
	Time time.Time
	// Header holds the fields, with the credentials.
	Header http.Header
	// Query is the query of the URL.
	Query string
	// Form holds the parameters of the body. It is nil if the body is no form.
	Form url.Values
	// Client is the ID of the client that authenticated, or "" if none did.
	Client string
}

const (
	maxForm     = 1 << 20
	maxReceived = 1000 // requests of one endpoint that are kept
)

// reply is the answer to a form before the Behaviour of the endpoint changes it.
type reply struct {
	status int
	header http.Header // replaces fields of the answer; a nil value removes one
	body   []byte
	delay  time.Duration
}

// takesForms reports whether requests to e are forms.
func (e Endpoint) takesForms() bool {
	return e == TokenEndpoint || e == Introspection || e == Revocation
}

// methods returns the request methods of e.
func (e Endpoint) methods() []string {
	if e.takesForms() {
		return []string{http.MethodPost}
	}
	return []string{http.MethodGet, http.MethodHead}
}

// received returns the latest requests of e, the oldest first.
func (s *site) received(e Endpoint) []Request {
	if e.check(); !e.takesForms() {
		panic("testissuer: Received: " + string(e) + " takes no forms")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var latest []Request
	for _, r := range s.forms[e] {
		r.Header, r.Form = r.Header.Clone(), url.Values(http.Header(r.Form).Clone())
		latest = append(latest, r)
	}
	return latest
}

// keep records a request.
func (s *site) keep(e Endpoint, r Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.forms[e]) == maxReceived {
		s.forms[e] = slices.Delete(s.forms[e], 0, 1)
	}
	s.forms[e] = append(s.forms[e], r)
}

// handle answers a form. It returns false if the form did not arrive.
func (s *site) handle(e Endpoint, r *http.Request) (reply, bool) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	if err != nil {
		return reply{}, false
	}
	form, refused := formOf(r, body)
	arrived := Request{Time: time.Now(), Header: r.Header.Clone(), Query: r.URL.RawQuery, Form: form}
	var client *Client
	if refused == nil {
		client, refused = s.authenticate(e, r, form)
	}
	if client != nil {
		arrived.Client = client.ID
	}
	s.keep(e, arrived)
	switch {
	case refused != nil:
		return refused.reply(r), true
	case e == TokenEndpoint:
		return s.grant(client, form), true
	case form.Get("token") == "":
		return badRequest("token is missing").reply(r), true
	case e == Revocation:
		s.tokens.revoke(form.Get("token"))
		return reply{header: http.Header{"Content-Type": nil}}, true
	default:
		return s.introspect(client, r, form), true
	}
}

// formOf returns the parameters of a form. Each may be there once (RFC 6749 §3.1), and
// none in the URL.
func formOf(r *http.Request, body []byte) (url.Values, *refusal) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/x-www-form-urlencoded" {
		return nil, badRequest("the content type is not application/x-www-form-urlencoded")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || len(body) > maxForm {
		return nil, badRequest("the body is no form, or too large")
	}
	for name, values := range form {
		if len(values) > 1 {
			return form, badRequest("a parameter is repeated")
		}
		if r.URL.Query().Has(name) {
			return form, badRequest("a parameter is in the URL, too")
		}
	}
	if q := r.URL.Query(); q.Has("token") || q.Has("client_secret") || q.Has("client_assertion") {
		return form, badRequest("a secret is in the URL")
	}
	return form, nil
}

// reply returns the answer that refuses r.
func (r *refusal) reply(request *http.Request) reply {
	answer := reply{
		status: r.status,
		header: http.Header{},
		body:   encode(map[string]any{"error": r.code, "error_description": r.description}),
	}
	if r.status != http.StatusUnauthorized {
		return answer
	}
	switch field := strings.ToLower(request.Header.Get("Authorization")); {
	case strings.HasPrefix(field, "bearer "):
		answer.header.Set("WWW-Authenticate", `Bearer error="invalid_token"`) // RFC 7662 §2.3
	case field != "":
		answer.header.Set("WWW-Authenticate", `Basic realm="testissuer"`) // RFC 6749 §5.2
	}
	return answer
}

// jsonReply returns an answer of status 200 with these members.
func jsonReply(members map[string]any) reply { return reply{body: encode(members)} }

// use makes a reply the answer of an arrival.
func (a *arrival) use(r reply) {
	a.document, a.status, a.delay = bytes.Clone(r.body), r.status, r.delay
	a.cacheControl = "no-store"
	a.header = maps.Clone(r.header)
}
