// Package fetch gets small documents over HTTP from places that a
// configuration or an issuer's metadata names, within bounds: https (http to
// loopback only), five seconds, one mebibyte, status 200, no redirects, no
// cookies, no environment proxy, and no connection to link-local or cloud
// metadata addresses, whatever a name resolves to.
package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Bounds of one fetch.
const (
	Timeout  = 5 * time.Second
	MaxBytes = 1 << 20

	maxHeaderBytes = 64 << 10
)

// Errors of this package.
var (
	ErrURL      = errors.New("fetch: URL must be https with a host and without user and fragment; http is for loopback hosts only")
	ErrStatus   = errors.New("fetch: status is not 200")
	ErrTooLarge = errors.New("fetch: document is larger than 1 MiB")
	ErrRedirect = errors.New("fetch: redirects are not followed")
	ErrAddress  = errors.New("fetch: address is not allowed")
)

// Config is what a [Client] is told.
type Config struct {
	// HTTPClient replaces the transport: its TLS settings, proxy and
	// addresses are then the caller's business. The other bounds stay. nil
	// means a transport with address checks.
	HTTPClient *http.Client
	// InsecureAllowHTTP permits plain http to any host.
	InsecureAllowHTTP bool
}

// Client fetches documents. Safe for concurrent use.
type Client struct {
	http     http.Client
	insecure bool
}

// New makes a Client. It does no I/O.
func New(config Config) *Client {
	c := &Client{insecure: config.InsecureAllowHTTP}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return ErrRedirect }
	if config.HTTPClient != nil && config.HTTPClient.Transport != nil {
		c.http.Transport = config.HTTPClient.Transport
		return c
	}
	c.http.Transport = &http.Transport{
		DialContext:            dialer().DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    Timeout,
		ResponseHeaderTimeout:  Timeout,
		IdleConnTimeout:        time.Minute,
		MaxIdleConnsPerHost:    1,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true, // what is bounded is what is read
		ForceAttemptHTTP2:      true,
	}
	return c
}

// Document is what was fetched.
type Document struct {
	Body   []byte
	Header http.Header
}

// Get fetches target, asking for a media type. It takes at most [Timeout], and
// less if ctx ends before.
func (c *Client) Get(ctx context.Context, target, accept string) (*Document, error) {
	u, err := CheckURL(target, c.insecure)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	if u.Scheme == "http" && !c.insecure {
		ctx = onlyLoopback(ctx)
	}
	header := http.Header{"Accept": {accept}, "User-Agent": {"sallyport"}}
	request := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: header}
	response, err := c.http.Do(request.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // what counts was read
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %s answered %d", ErrStatus, u.Redacted(), response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("fetch: %s: %w", u.Redacted(), err)
	}
	if len(body) > MaxBytes {
		return nil, fmt.Errorf("%w: %s", ErrTooLarge, u.Redacted())
	}
	return &Document{Body: body, Header: response.Header}, nil
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
