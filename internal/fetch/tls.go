package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// TLSError is a TLS handshake that failed, or a certificate that was refused. Its text
// names the reason. Names in the certificate are quoted and cut, because anyone on
// the path can choose them. Unwrap returns the error of crypto/tls, whose text has
// them in full.
type TLSError struct {
	reason string
	err    error
}

// Error returns the reason.
func (e *TLSError) Error() string { return "the TLS handshake failed: " + e.reason }

// Unwrap returns the error of crypto/tls.
func (e *TLSError) Unwrap() error { return e.err }

// maxReason bounds a text of crypto/tls, in characters.
const maxReason = 100

// asTLSError returns the [TLSError] of err, or nil if err has another cause. handshake
// is the error with which a handshake for the request ended, or nil. A connection
// that broke or took too long during the handshake is no TLSError.
func asTLSError(err, handshake error) *TLSError {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil
	}
	for _, found := range [...]error{err, handshake} {
		if reason := tlsReason(found); reason != "" {
			if outer, ok := errors.AsType[*url.Error](found); ok { // it has the URL with its query
				found = outer.Err
			}
			return &TLSError{reason, found}
		}
	}
	network, ok := errors.AsType[net.Error](handshake)
	if handshake == nil || ok && (network.Timeout() || isOpError(network)) || errors.Is(handshake, io.EOF) || errors.Is(handshake, io.ErrUnexpectedEOF) {
		return nil
	}
	return &TLSError{fmt.Sprintf("%.*q", maxReason, handshake.Error()), handshake}
}

func isOpError(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}

// tlsReason says what err means, or returns "" if it is not known to be of TLS.
func tlsReason(err error) string {
	if host, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("the certificate is not valid for %q but for %s", host.Host, certified(host.Certificate))
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the certificate is signed by an unknown authority"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "the certificate has expired or is not yet valid: " + invalid.Detail // two times
	}
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Sprintf("the certificate was refused: %.*q", maxReason, certificate.Err.Error())
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return "the server does not speak TLS on this port"
	}
	if network, ok := errors.AsType[*net.OpError](err); ok && network.Op == "remote error" {
		return "the server refused it: " + network.Err.Error() // a constant of crypto/tls
	}
	return ""
}

// certified returns the names for which a certificate is valid.
func certified(certificate *x509.Certificate) string {
	names := certificate.DNSNames
	for _, ip := range certificate.IPAddresses {
		names = append(slices.Clip(names), ip.String())
	}
	if len(names) == 0 {
		return "no name"
	}
	return fmt.Sprintf("%.64q", strings.Join(names, " "))
}
