package introspection

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/introspect"
)

// failure is why a request brought no answer.
type failure struct {
	kind       introspect.Kind
	err        error
	retryAfter time.Duration
}

// statusRow says what an answer with another status than 200 means.
type statusRow struct {
	from, to int // statuses
	kind     introspect.Kind
	code     bool // the error code of the answer is read (RFC 6749 §5.2)
	says     string
}

// statuses is the table of statuses, of which the first row that fits counts. The
// status is judged before the media type: errors come as JSON also where signed
// answers were asked for. A status of 200 is an answer, or NotAnAnswer.
//
// An answer with Retry-After is Throttled, whatever its status, except for 401 and
// 403: waiting does not mend credentials. A 400 means that the token is not active if
// Client.InactiveErrors has its code.
var statuses = [...]statusRow{
	{400, 400, introspect.RequestRefused, true, "it refuses the request; if it answers so for tokens that it has forgotten, name the code in Client.InactiveErrors"},
	{401, 401, introspect.CredentialsRefused, true, "it refuses the credentials of this API; check Client.ID and Client.Authentication, and how this API is registered"},
	{403, 403, introspect.CredentialsRefused, true, "this API may not introspect; register it as a client or resource server that may"},
	{404, 404, introspect.RequestRefused, false, "there is nothing at this URL; check Client.Endpoint"},
	{405, 405, introspect.RequestRefused, false, "it does not take the method POST, so it is no introspection endpoint (RFC 7662 §2.1); check Client.Endpoint"},
	{429, 429, introspect.Throttled, false, "it gets too many requests"},
	{201, 299, introspect.NotAnAnswer, false, "an introspection response has status 200 (RFC 7662 §2.2)"},
	{300, 399, introspect.RequestRefused, false, "redirects are not followed, because the credentials and the token would go elsewhere; name the URL itself in Client.Endpoint"},
	{500, 599, introspect.ServerError, false, "it fails"},
	{100, 999, introspect.RequestRefused, false, "no introspection endpoint answers so; check Client.Endpoint"},
}

// knownCodes are the error codes that a cause may name (RFC 6749 §5.2 and §4.1.2.1, RFC
// 6750 §3.1, RFC 7009 §2.2.1, RFC 8707 §2). Any other text may be anything.
var knownCodes = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
	"access_denied", "server_error", "temporarily_unavailable", "invalid_token", "insufficient_scope", codeUnsupported, "invalid_target",
}

// codeUnsupported is how a server refuses a type of token (RFC 7009 §2.2.1). Some answer
// so to their own JWTs.
const codeUnsupported = "unsupported_token_type"

// ErrUnsupported is in the chain of the error of an endpoint that does not introspect
// tokens of this type.
var ErrUnsupported = errors.New("the server does not introspect JWTs")

// failureOf returns why r is no answer with status 200. where is the place of the
// endpoint.
func failureOf(where string, r *reply) failure {
	if r.document == nil || r.document.Status == http.StatusOK {
		return unanswered(r.err)
	}
	status := r.document.Status
	row := statuses[slices.IndexFunc(statuses[:], func(o statusRow) bool { return o.from <= status && status <= o.to })]
	f := failure{kind: row.kind}
	if answer, ok := errors.AsType[*fetch.StatusError](r.err); ok {
		f.retryAfter = answer.RetryAfter
	}
	if f.retryAfter > 0 && row.kind != introspect.CredentialsRefused {
		f.kind = introspect.Throttled
	}
	says := row.says
	if row.code {
		code := namedCode(r.document)
		if code == codeUnsupported {
			f.err = fmt.Errorf("%s answered %d: %s: %w%s", where, status, code, ErrUnsupported, describedBody(r.err))
			return f
		}
		says = orText(code, "no code") + ": " + says
	}
	f.err = fmt.Errorf("%s answered %d: %s%s", where, status, says, describedBody(r.err))
	return f
}

// describedBody describes the body of an answer with another status than 200, for the end
// of a text.
func describedBody(err error) string {
	if answer, ok := errors.AsType[*fetch.StatusError](err); ok {
		return "; its body is " + answer.Body()
	}
	return ""
}

// unanswered returns the failure of a request that got no answer, or one with status
// 200 that package fetch does not take. The text of err has the host and the path of
// the endpoint, and nothing of the request and the answer.
func unanswered(err error) failure {
	if _, ok := errors.AsType[*fetch.TLSError](err); ok {
		return failure{kind: introspect.TLSFailed, err: withMend(err)}
	}
	if errors.Is(err, fetch.ErrTooLarge) {
		return failure{kind: introspect.NotAnAnswer, err: fmt.Errorf("%w; Client.Limits.AnswerBytes is the bound", err)}
	}
	if errors.Is(err, fetch.ErrMediaType) || errors.Is(err, fetch.ErrEncoding) {
		return failure{kind: introspect.NotAnAnswer, err: err}
	}
	if timed, ok := errors.AsType[net.Error](err); ok && timed.Timeout() || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return failure{kind: introspect.TimedOut, err: err}
	}
	return failure{kind: introspect.Unreachable, err: err}
}

// withMend adds to an error of TLS where trusted certificates are set.
func withMend(err error) error {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("%w; Issuer.HTTPClient is where the roots of a private authority are set", err)
	}
	return err
}

// errorCode returns the error code in the body of an answer, or "" if it has none.
func errorCode(d *fetch.Document) string {
	if d.MediaType != fetch.JSON && !strings.HasSuffix(d.MediaType, "+json") {
		return ""
	}
	members, err := strictjson.ParseObject(string(d.Body), strictjson.TokenLimits, nil)
	if err != nil {
		return ""
	}
	code, _ := claims.Lookup(members, "error").Text()
	return code
}

// namedCode returns the error code of an answer if it is a known one, from its body or
// from its WWW-Authenticate field (RFC 6750 §3), or "".
func namedCode(d *fetch.Document) string {
	if code := errorCode(d); slices.Contains(knownCodes, code) {
		return code
	}
	for _, field := range d.Header.Values("WWW-Authenticate") {
		for _, code := range knownCodes {
			if strings.Contains(field, `error="`+code+`"`) {
				return code
			}
		}
	}
	return ""
}

func orText(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
