package validator

import (
	"net/http"

	"github.com/sallyport-auth/sallyport/internal/fetch"
)

// NewTransport returns a transport like the one with which an issuer is reached if
// Issuer.HTTPClient is nil. Change it before it is used, for the authorities that are
// trusted (TLSClientConfig.RootCAs), a client certificate (TLSClientConfig.Certificates or
// GetClientCertificate) or a proxy (Proxy), and give it to the issuer in an [http.Client].
//
// It speaks TLS 1.2 or later, and HTTP/2 where the server does. It connects to no link-local
// or cloud metadata address, and reads no proxy from the environment. With Proxy set, the
// proxy connects to the issuer, so that only the address of the proxy is checked. Idle
// connections are closed after a minute, and HTTP/2 connections that no longer answer within
// 8 seconds.
func NewTransport() *http.Transport { return fetch.NewTransport() }
