// Package fetch sends single HTTP requests to URLs that a configuration or an
// issuer's metadata names, within bounds: https (http to loopback only), a time,
// a size, status 200, media types that the caller accepts, no compression, no
// redirects, no cookies, no environment proxy, and no connection to link-local or
// cloud metadata addresses, whatever a name resolves to.
package fetch

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// MaxBytes is the size that one document may have, where [Config] has no other.
const MaxBytes = 1 << 20

// Config configures a [Client].
type Config struct {
	// HTTPClient replaces the transport: its TLS settings, proxy and
	// addresses are then up to the caller. The other bounds stay, but
	// Timeout ends only what ends with the request's context. After a fetch
	// that took too long, the transport's idle connections are closed. nil
	// means [NewTransport], for this Client alone.
	HTTPClient *http.Client
	// InsecureAllowHTTP permits plain http to any host. Anyone on the path can
	// then read and replace what is sent and received.
	InsecureAllowHTTP bool
	// Timeout is how long one fetch may take. 0 means [Timeout], which
	// also bounds connecting and the TLS handshake of NewTransport, each.
	Timeout time.Duration
	// MaxBytes is how large one document may be. 0 means [MaxBytes].
	MaxBytes int64
}

// Client fetches documents. It is safe for concurrent use.
type Client struct {
	http     http.Client
	insecure bool
	timeout  time.Duration
	maxBytes int64
	overdue  atomic.Bool // the last fetch took too long; see renewConnections
	unpooled func() http.RoundTripper
}

// New returns a Client. It does no I/O.
func New(config Config) *Client {
	c := &Client{
		insecure: config.InsecureAllowHTTP,
		timeout:  cmp.Or(config.Timeout, Timeout),
		maxBytes: cmp.Or(config.MaxBytes, MaxBytes),
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return ErrRedirect }
	if config.HTTPClient != nil && config.HTTPClient.Transport != nil {
		c.http.Transport = config.HTTPClient.Transport
	} else {
		c.http.Transport = NewTransport()
	}
	c.unpooled = sync.OnceValue(func() http.RoundTripper { return withoutPool(c.http.Transport) })
	return c
}

// Request is one request, without its body.
type Request struct {
	URL    string
	Accept string // the Accept field
	// MediaTypes are the media types that the answer may have, in lower case and
	// without parameters. A * stands for one character or more, as in
	// [StructuredJSON]. None accepts no answer, and [AnyMediaType] every one.
	MediaTypes []string
	// Header holds further fields, such as Authorization. It is not modified.
	// If it has any, errors quote nothing of the request and the answer, as those
	// of Post do.
	Header http.Header
	// IfNoneMatch is the entity tag of the document that the caller has, or "".
	// A value that is not an entity tag (RFC 9110 §8.8.3), or is longer than 256
	// bytes, is not sent. Post does not use it.
	IfNoneMatch string
	// ErrorBytes is how much the caller reads of the body of an answer with another
	// status than 200, such as a JSON document with an error code. If it is not 0, the
	// Document of such an answer is returned beside the error.
	ErrorBytes int64
	// NewConnection sends the request on a connection that no other request uses, as
	// a repeated request needs it: the idle ones may have ended, too. A transport of
	// the caller must be an [http.Transport] or an [Unpooled]; another one chooses as
	// it likes.
	NewConnection bool
}

// Unpooled is a transport that can send each request on a connection of its own.
type Unpooled interface {
	http.RoundTripper
	// WithoutPool returns the same transport without a pool of connections.
	WithoutPool() http.RoundTripper
}

// Misread returns err, which says why d cannot be read. If d is not said to be JSON, it
// names the media type, and the result is [ErrNotJSON] as well.
func (d *Document) Misread(err error) error {
	if isAccepted(d.MediaType, []string{JSON, StructuredJSON}) {
		return err
	}
	return fmt.Errorf("%w but %s: %w", ErrNotJSON, orUnknown(d.MediaType, "absent or unreadable"), err)
}

// Body is the body of a POST request.
type Body struct {
	MediaType string // the Content-Type field
	Bytes     []byte
}

// Form returns the body of an HTML form with values.
func Form(values url.Values) Body {
	return Body{"application/x-www-form-urlencoded", []byte(values.Encode())}
}

// Document is the answer to a request.
type Document struct {
	Status    int
	Body      []byte // cut to ErrorBytes, and never of a redirect, if the status is not 200
	Cut       bool   // Body is not all of the answer's body
	MediaType string // in lower case, without parameters; "" if it cannot be read
	Header    http.Header
	// NotModified means that the answer to an IfNoneMatch has status 304: Body is
	// empty, and the caller's document is still current.
	NotModified bool
}

// Get fetches a document. It takes at most the Timeout of [Config], and less if
// ctx ends before; a transport that ignores its context may take longer.
func (c *Client) Get(ctx context.Context, request Request) (*Document, error) {
	call := call{request: request, method: http.MethodGet, private: len(request.Header) > 0}
	call.conditional = validTag(request.IfNoneMatch)
	return c.fetch(ctx, call)
}

// Post sends body and returns the answer, under the bounds of [Client.Get]. It
// sends the body once: no connection that fails, no HTTP/2 server that refuses
// the request, and no redirect makes it send the body again. A caller whose
// request may be repeated repeats it, for example after [ErrStale] with NewConnection.
//
// Errors hold no byte of the body, of the fields in request.Header, of the query of
// the URL and of the answer's body. An answer is described by its status, its length
// and its media type, which is named only if it is a common one or one that the
// caller accepts.
func (c *Client) Post(ctx context.Context, request Request, body Body) (*Document, error) {
	if len(body.Bytes) == 0 || body.MediaType == "" {
		return nil, ErrBody
	}
	return c.fetch(ctx, call{request: request, method: http.MethodPost, body: &body, private: true})
}

// call is one request and how it is sent.
type call struct {
	request     Request
	method      string
	body        *Body // nil for GET
	conditional bool  // IfNoneMatch is sent
	private     bool  // errors must not quote request and answer
}

func (c *Client) fetch(ctx context.Context, call call) (*Document, error) {
	u, err := CheckURL(call.request.URL, c.insecure)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if u.Scheme == "http" && loopbackHost(u.Hostname()) {
		ctx = onlyLoopback(ctx)
	}
	request := call.httpRequest(u)
	c.renewConnections(request)
	var done progress
	client := c.http
	if call.request.NewConnection {
		client.Transport = c.unpooled()
	}
	response, err := client.Do(request.WithContext(done.watch(ctx)))
	if err != nil {
		return call.refused(response), c.failure(call, u, err, &done)
	}
	defer response.Body.Close() //nolint:errcheck // all that is used was read
	if call.conditional && response.StatusCode == http.StatusNotModified {
		return &Document{Status: response.StatusCode, Header: response.Header, NotModified: true}, nil
	}
	if call.body != nil && isRepeatingRedirect(response.StatusCode) {
		return call.refused(response), fmt.Errorf("%w: %s", ErrRedirect, call.where(u))
	}
	if response.StatusCode != http.StatusOK {
		return call.refused(response), &StatusError{
			Code: response.StatusCode, RetryAfter: retryAfter(response.Header),
			MediaType: call.nameable(mediaType(response.Header)), Length: response.ContentLength,
			target: call.where(u), posted: call.body != nil,
		}
	}
	return c.read(call, u, response, &done)
}

// refused returns the document of an answer with another status than 200, or nil if
// there is no answer or the caller does not want it. A body that breaks is cut.
func (c call) refused(response *http.Response) *Document {
	if response == nil || c.request.ErrorBytes == 0 {
		return nil
	}
	d := &Document{Status: response.StatusCode, MediaType: mediaType(response.Header), Header: response.Header}
	if response.StatusCode/100 == http.StatusMultipleChoices/100 { // net/http has closed the body of a redirect
		d.Cut = true
		return d
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, c.request.ErrorBytes+1))
	d.Cut = err != nil || int64(len(body)) > c.request.ErrorBytes
	d.Body = body[:min(int64(len(body)), c.request.ErrorBytes)]
	return d
}

// where returns the URL for error texts.
func (c call) where(u *url.URL) string {
	if c.private {
		return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
	}
	return u.Redacted()
}

// httpRequest returns the request of net/http. A POST has no GetBody, which
// net/http and other transports need to send a body again.
func (c call) httpRequest(u *url.URL) *http.Request {
	header := c.request.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Accept", c.request.Accept)
	header.Set("Accept-Encoding", "identity") // otherwise an http.Transport asks for gzip and unpacks it
	header.Set("User-Agent", "sallyport")
	if c.conditional {
		header.Set("If-None-Match", c.request.IfNoneMatch)
	}
	request := &http.Request{Method: c.method, URL: u, Host: u.Host, Header: header}
	if c.body != nil {
		header.Set("Content-Type", c.body.MediaType)
		request.Body = io.NopCloser(bytes.NewReader(c.body.Bytes))
		request.ContentLength = int64(len(c.body.Bytes))
	}
	return request
}

// isRepeatingRedirect reports whether status asks for the same POST at another
// URL. net/http does not report it as a redirect to a request without GetBody.
func isRepeatingRedirect(status int) bool {
	return status == http.StatusTemporaryRedirect || status == http.StatusPermanentRedirect
}

// read returns the document of an answer with status 200.
func (c *Client) read(call call, u *url.URL, response *http.Response, done *progress) (*Document, error) {
	mediaType, err := call.checkFields(response.Header)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, call.where(u))
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, c.maxBytes+1))
	if err != nil {
		return nil, c.failure(call, u, err, done)
	}
	if int64(len(body)) > c.maxBytes {
		return nil, fmt.Errorf("%w: %s has more than %d bytes", ErrTooLarge, call.where(u), c.maxBytes)
	}
	return &Document{Status: response.StatusCode, Body: body, MediaType: mediaType, Header: response.Header}, nil
}

// failure returns the error of a request that got no complete answer, and records
// whether it took too long.
func (c *Client) failure(call call, u *url.URL, err error, done *progress) error {
	failed := c.described(call, u, err, done)
	if done.unsent() {
		return &unsentError{failed}
	}
	return failed
}

// described is failure, but for whether the request was sent.
func (c *Client) described(call call, u *url.URL, err error, done *progress) error {
	timed, ok := errors.AsType[net.Error](err)
	if ok && timed.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		c.overdue.Store(true)
	}
	if handshake := asTLSError(err, done.handshakeError()); handshake != nil {
		return fmt.Errorf("fetch: %s: %w", call.where(u), handshake)
	}
	if call.private {
		err = withoutContent(err)
	}
	if call.body != nil && done.stale() && !isEnd(err) {
		err = &staleError{err}
	}
	if _, ok := errors.AsType[*url.Error](err); ok { // it has the URL
		return fmt.Errorf("fetch: %w", err)
	}
	return fmt.Errorf("fetch: %s: %w", call.where(u), err)
}

// renewConnections makes request use a new connection if the fetch before it took
// too long: the connection of that one may be dead, for example because a NAT has
// dropped it. An HTTP/2 connection would otherwise stay in its pool, and every
// request on it would take too long.
//
// A transport without CloseIdleConnections learns from request.Close that the
// connection is for one request. With HTTP/2 that applies to the connection in
// use, so that the dead one is dropped by the fetch after the next.
func (c *Client) renewConnections(request *http.Request) {
	if c.overdue.Swap(false) {
		c.http.CloseIdleConnections()
		request.Close = true
	}
}

// CheckURL parses target and applies the rules that need no network.
func CheckURL(target string, insecureAllowHTTP bool) (*url.URL, error) {
	u, err := url.Parse(target)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return nil, ErrURL
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !insecureAllowHTTP && !loopbackHost(u.Hostname())) {
		return nil, ErrURL
	}
	return u, nil
}
