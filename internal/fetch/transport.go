package fetch

import (
	"crypto/tls"
	"net/http"
	"time"
)

const (
	maxHeaderBytes = 64 << 10

	// quietTimeout is the time without a received byte after which a connection is
	// pinged. It is closed if pingTimeout passes without an answer.
	quietTimeout = 5 * time.Second
	pingTimeout  = 3 * time.Second
)

// NewTransport returns the transport of a [Client] that is given none: it checks
// each address that it connects to, verifies certificates, speaks TLS 1.2 or
// later, uses no proxy, and reads 64 KiB of header fields at most. HTTP/2
// connections that no longer answer are closed within 8 seconds, idle or not. As
// the transport of an HTTPClient it gives several Clients one pool of
// connections.
func NewTransport() *http.Transport { return NewTransportWithin(Timeout) }

// NewTransportWithin is NewTransport for fetches that may take longer than [Timeout]:
// connecting and the TLS handshake may take as long, each.
func NewTransportWithin(timeout time.Duration) *http.Transport {
	timeout = max(timeout, Timeout)
	return &http.Transport{
		DialContext:            dialer(timeout).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    timeout,
		IdleConnTimeout:        time.Minute,
		MaxIdleConnsPerHost:    1,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true, // so that the bound on bytes applies to what is received
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: quietTimeout, PingTimeout: pingTimeout},
	}
}

// withoutPool returns a transport like t that keeps no connections, or t itself if that
// is not known to be possible.
func withoutPool(t http.RoundTripper) http.RoundTripper {
	switch t := t.(type) {
	case Unpooled:
		return t.WithoutPool()
	case *http.Transport:
		alone := t.Clone()
		alone.DisableKeepAlives = true
		return alone
	default:
		return t
	}
}
