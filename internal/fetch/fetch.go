// Package fetch gets small documents over HTTP from places that a
// configuration or an issuer's metadata names, within bounds: https (http to
// loopback only), a time, a size, status 200, JSON that is not compressed, no
// redirects, no cookies, no environment proxy, and no connection to link-local
// or cloud metadata addresses, whatever a name resolves to.
package fetch

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// Bounds of one fetch, where [Config] names no other.
const (
	Timeout  = 5 * time.Second
	MaxBytes = 1 << 20

	maxHeaderBytes = 64 << 10

	// A connection on which nothing was received for quietTimeout is pinged,
	// and closed if pingTimeout passes without an answer.
	quietTimeout = 5 * time.Second
	pingTimeout  = 3 * time.Second
)

// Errors of this package.
var (
	ErrURL       = errors.New("fetch: URL must be https with a host and without user and fragment; http is for loopback hosts only")
	ErrStatus    = errors.New("fetch: status is not 200")
	ErrTooLarge  = errors.New("fetch: document is too large")
	ErrRedirect  = errors.New("fetch: redirects are not followed")
	ErrAddress   = errors.New("fetch: address is not allowed")
	ErrMediaType = errors.New("fetch: Content-Type is not JSON; serve the document as application/json, or as a type of application that ends in +json")
	ErrEncoding  = errors.New("fetch: Content-Encoding was not asked for; serve the document as it is where the request has Accept-Encoding: identity")
)

// Config is what a [Client] is told.
type Config struct {
	// HTTPClient replaces the transport: its TLS settings, proxy and
	// addresses are then the caller's business. The other bounds stay, but
	// Timeout ends only what ends with the request's context. After a fetch
	// that took too long, the transport's idle connections are closed. nil
	// means [NewTransport], for this Client alone.
	HTTPClient *http.Client
	// InsecureAllowHTTP permits plain http to any host.
	InsecureAllowHTTP bool
	// Timeout is how long one document may take. 0 means [Timeout], which
	// also bounds connecting and the TLS handshake of NewTransport, each.
	Timeout time.Duration
	// MaxBytes is how large one document may be. 0 means [MaxBytes].
	MaxBytes int64
}

// Client fetches documents. Safe for concurrent use.
type Client struct {
	http     http.Client
	insecure bool
	timeout  time.Duration
	maxBytes int64
	overdue  atomic.Bool // the last fetch took too long; see renewConnections
}

// New makes a Client. It does no I/O.
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
	return c
}

// NewTransport makes the transport of a [Client] that is given none: it checks
// each address that it connects to, verifies certificates, speaks TLS 1.2 or
// later, asks no proxy, and reads 64 KiB of header fields at most. HTTP/2
// connections that no longer answer are closed within 8 seconds, idle or not. As
// the transport of an HTTPClient it gives several Clients one pool of
// connections.
func NewTransport() *http.Transport {
	return &http.Transport{
		DialContext:            dialer().DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    Timeout,
		IdleConnTimeout:        time.Minute,
		MaxIdleConnsPerHost:    1,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true, // what is bounded is what is read
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: quietTimeout, PingTimeout: pingTimeout},
	}
}

// Request is what is asked for.
type Request struct {
	URL    string
	Accept string // the media types that the caller can read
	// IfNoneMatch is the entity tag of what the caller has, or "". What is no
	// entity tag (RFC 9110 §8.8.3), or longer than 256 bytes, is not sent.
	IfNoneMatch string
}

// Document is what was fetched.
type Document struct {
	Body   []byte
	Header http.Header
	// NotModified means status 304 to an IfNoneMatch: Body is empty, and what
	// the caller has still holds.
	NotModified bool
}

// StatusError is an answer with another status than 200. It is [ErrStatus].
type StatusError struct {
	Code int // the status
	// RetryAfter is how long the server asks to be left alone (RFC 9110
	// §10.2.3; a date is compared with the local clock). It is 0 if the field
	// is absent, unreadable or past, and else whatever the server likes, up to
	// the largest duration.
	RetryAfter time.Duration

	target string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%v: %s answered %d", ErrStatus, e.target, e.Code)
}

// Is makes every StatusError an [ErrStatus].
func (e *StatusError) Is(target error) bool { return target == ErrStatus }

// Get fetches a document. It takes at most the Timeout of [Config], and less if
// ctx ends before; a transport that ignores its context takes what it likes.
func (c *Client) Get(ctx context.Context, request Request) (*Document, error) {
	u, err := CheckURL(request.URL, c.insecure)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if u.Scheme == "http" && loopbackHost(u.Hostname()) {
		ctx = onlyLoopback(ctx)
	}
	header := http.Header{
		"Accept":          {request.Accept},
		"Accept-Encoding": {"identity"}, // or an http.Transport asks for gzip and unpacks it
		"User-Agent":      {"sallyport"},
	}
	conditional := validTag(request.IfNoneMatch)
	if conditional {
		header.Set("If-None-Match", request.IfNoneMatch)
	}
	get := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: header}
	c.renewConnections(get)
	response, err := c.http.Do(get.WithContext(ctx))
	if err != nil {
		c.noteOverdue(err)
		return nil, fmt.Errorf("fetch: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // what counts was read
	if conditional && response.StatusCode == http.StatusNotModified {
		return &Document{Header: response.Header, NotModified: true}, nil
	}
	if response.StatusCode != http.StatusOK {
		return nil, &StatusError{Code: response.StatusCode, RetryAfter: retryAfter(response.Header), target: u.Redacted()}
	}
	if err := checkFields(response.Header); err != nil {
		return nil, fmt.Errorf("%w: %s", err, u.Redacted())
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, c.maxBytes+1))
	if err != nil {
		c.noteOverdue(err)
		return nil, fmt.Errorf("fetch: %s: %w", u.Redacted(), err)
	}
	if int64(len(body)) > c.maxBytes {
		return nil, fmt.Errorf("%w: %s has more than %d bytes", ErrTooLarge, u.Redacted(), c.maxBytes)
	}
	return &Document{Body: body, Header: response.Header}, nil
}

// noteOverdue remembers an error that says that a fetch took too long.
func (c *Client) noteOverdue(err error) {
	timed, ok := errors.AsType[net.Error](err)
	if ok && timed.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		c.overdue.Store(true)
	}
}

// renewConnections has request use a new connection if the fetch before it took
// too long: the connection of that one may be dead, as when a NAT has forgotten
// it. An HTTP/2 connection stays in its pool otherwise, and every request on it
// takes too long.
//
// A transport that hides CloseIdleConnections is told by request.Close that the
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
