package introspection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/introspect"
)

// ErrNotSought means that the metadata were not asked for the endpoint yet.
var ErrNotSought = errors.New("the introspection endpoint is not known yet; call Warm at start-up, or else the first token finds it")

// exchange sends requests to the endpoint of one issuer and reads the answers. It knows
// nothing of bounds over several requests.
type exchange struct {
	client   *introspect.Client
	binding  Binding
	sender   sender
	request  fetch.Request  // but for its URL
	hint     string         // "" for none
	signed   *signedAnswers // nil: answers are plain JSON
	timeout  time.Duration
	location bool                      // the metadata has to name an endpoint
	found    atomic.Pointer[Endpoints] // what the metadata named last
	lost     atomic.Pointer[error]     // why they named none, or nil if that has not happened since
	refused  atomic.Int64              // the version of the credentials that were refused last
}

// attempt is the result of one question to the endpoint.
type attempt struct {
	answer     Answer
	kind       introspect.Kind // "" if there is an answer
	err        error           // the cause of kind
	status     int             // of the last HTTP answer, or 0
	retryAfter time.Duration   // that the endpoint asks for, or 0
	requests   int             // that were sent
	reached    bool            // the last of them had a connection, so that the server may have got the token
	version    int             // of the credentials; the same for all tokens of a Bearer
}

// newExchange checks the client, adds its faults to f, and returns its exchange. It
// leaves the faults of Cache, Limits, Store and StoreSecret to [checkBounds], which has set the
// defaults of Limits.
func newExchange(client *introspect.Client, b Binding, f fault.List) *exchange {
	if b.Limits == (strictjson.Limits{}) {
		b.Limits = strictjson.TokenLimits
	}
	x := &exchange{
		client: client, binding: b, timeout: client.Limits.Timeout,
		hint:     cmp.Or(client.Hint, "access_token"),
		request:  fetch.Request{Accept: fetch.JSON, MediaTypes: []string{fetch.JSON, fetch.StructuredJSON}},
		location: client.Endpoint == "",
	}
	if client.Hint == introspect.NoHint {
		x.hint = ""
	}
	if client.Signed {
		audiences := client.AnswerAudiences
		if audiences == nil {
			audiences = []string{client.ID}
		}
		x.signed = newSignedAnswers(b, slices.Clone(audiences))
		x.request.Accept = signedJSON
		x.request.MediaTypes = []string{signedJSON, fetch.JSON, fetch.StructuredJSON, otherJWT} // the others are told apart in the error
	}
	checkClient(client, b, f)
	x.authenticate(f)
	return x
}

// ask asks the endpoint about a token. It takes no longer than Limits.Timeout, and a
// repeated request included.
func (x *exchange) ask(ctx context.Context, q Question) attempt {
	ctx, cancel := context.WithTimeout(ctx, x.timeout)
	defer cancel()
	endpoint, err := x.endpoint(ctx)
	if err != nil {
		return attempt{kind: introspect.NoEndpoint, err: err}
	}
	form := url.Values{"token": {q.Token}}
	if x.hint != "" {
		form.Set("token_type_hint", x.hint)
	}
	request := x.request
	request.URL = endpoint
	r := x.sender.post(ctx, request, form, q.Once)
	return x.judge(ctx, endpoint, &r)
}

// judge returns what the reply of the endpoint means.
func (x *exchange) judge(ctx context.Context, endpoint string, r *reply) attempt {
	a := attempt{status: r.status(), requests: r.requests, reached: r.requests > 0 && !errors.Is(r.err, fetch.ErrUnsent)}
	if _, renewing := x.sender.credential.(*bearer); !renewing {
		a.version = r.version
	}
	where := place(endpoint)
	switch {
	case r.secret != nil:
		a.kind, a.err = introspect.NoCredentials, r.secret
		return a
	case r.err == nil:
		a.answer, a.kind, a.err = x.read(ctx, r.document)
		if a.err != nil {
			a.err = fmt.Errorf("%s: %w", where, a.err)
		}
	case x.declaredInactive(r):
	default:
		if a.status == http.StatusUnauthorized {
			x.refused.Store(int64(r.version))
		}
		f := failureOf(where, r)
		a.kind, a.err, a.retryAfter = f.kind, f.err, f.retryAfter
		if hint := x.sender.credential.hint(); hint != "" && a.status == http.StatusUnauthorized {
			a.err = fmt.Errorf("%w; %s", a.err, hint)
		}
	}
	a.answer.Began, a.answer.secrets = r.began, r.secrets
	return a
}

// renewed reports whether there are other credentials than those that were refused
// last. It reads them again for that, at most once in five seconds.
func (x *exchange) renewed(ctx context.Context) bool {
	return x.sender.credential.renew(ctx, int(x.refused.Load()))
}

// declaredInactive reports whether the configuration says that a refusal means that
// the token is not active.
func (x *exchange) declaredInactive(r *reply) bool {
	return r.status() == http.StatusBadRequest && !r.document.Cut && slices.Contains(x.client.InactiveErrors, errorCode(r.document))
}

// read reads an answer with status 200.
func (x *exchange) read(ctx context.Context, d *fetch.Document) (Answer, introspect.Kind, error) {
	if x.signed != nil {
		return x.signed.read(ctx, d)
	}
	answer, err := readAnswer(string(d.Body), x.binding.Limits)
	if err != nil {
		return Answer{}, introspect.NotAnAnswer, err
	}
	return answer, "", nil
}

// endpoint returns the introspection endpoint.
func (x *exchange) endpoint(ctx context.Context) (string, error) {
	if x.client.Endpoint != "" {
		return x.client.Endpoint, nil
	}
	found, err := x.endpoints(ctx)
	if err != nil {
		return "", err
	}
	return x.named(found.Introspection, "introspection_endpoint", "Client.Endpoint")
}

// tokenEndpoint returns the token endpoint of the metadata.
func (x *exchange) tokenEndpoint(ctx context.Context) (string, error) {
	found, err := x.endpoints(ctx)
	if err != nil {
		return "", err
	}
	return x.named(found.Token, "token_endpoint", "Bearer.TokenEndpoint")
}

// endpoints returns what the metadata of the issuer names, and remembers it for
// warnings and ready.
func (x *exchange) endpoints(ctx context.Context) (Endpoints, error) {
	found, err := x.binding.Endpoints(ctx)
	if err != nil {
		err = fmt.Errorf("the metadata of %q: %w", x.binding.Issuer, err)
		x.lost.Store(&err)
		return Endpoints{}, err
	}
	x.lost.Store(nil)
	if last := x.found.Load(); last == nil || last.Introspection != found.Introspection || last.Token != found.Token || !slices.Equal(last.AuthMethods, found.AuthMethods) {
		x.found.Store(&found)
	}
	return found, nil
}

// named checks an endpoint that the metadata named as member.
func (x *exchange) named(endpoint, member, field string) (string, error) {
	if endpoint == "" {
		return "", fmt.Errorf("the metadata of %q has no %s; set %s", x.binding.Issuer, member, field)
	}
	if _, err := fetch.CheckURL(endpoint, x.binding.InsecureAllowHTTP); err != nil {
		return "", fmt.Errorf("the %s in the metadata of %q: %w; set %s", member, x.binding.Issuer, err, field)
	}
	return endpoint, nil
}

// warm finds the endpoints, if the metadata has to name one.
func (x *exchange) warm(ctx context.Context) error {
	if _, err := x.endpoint(ctx); err != nil {
		return introspect.NewError(introspect.NoEndpoint, err, 0)
	}
	if !x.location {
		return nil
	}
	if _, err := x.endpoints(ctx); err != nil {
		return introspect.NewError(introspect.NoEndpoint, err, 0)
	}
	return nil
}

// ready returns nil if the endpoints are known, and otherwise the last error.
func (x *exchange) ready() error {
	if found := x.found.Load(); x.location && (found == nil || x.client.Endpoint == "" && found.Introspection == "") {
		if lost := x.lost.Load(); lost != nil {
			return introspect.NewError(introspect.NoEndpoint, *lost, 0)
		}
		return introspect.NewError(introspect.NoEndpoint, ErrNotSought, 0)
	}
	return nil
}

// warnings tells if the metadata list the methods of authentication and the configured
// one is not among them. Nothing follows from the methods of the token endpoint.
func (x *exchange) warnings() []string {
	found := x.found.Load()
	if found == nil || found.AuthMethods == nil {
		return nil
	}
	configured := x.sender.credential.methods()
	if slices.ContainsFunc(configured, func(m string) bool { return slices.Contains(found.AuthMethods, m) }) {
		return nil
	}
	const most = 8
	return []string{fmt.Sprintf("Client.Authentication is %s, and introspection_endpoint_auth_methods_supported of %q has only %.64q; it is used all the same",
		strings.Join(configured, " or "), x.binding.Issuer, found.AuthMethods[:min(most, len(found.AuthMethods))])}
}
