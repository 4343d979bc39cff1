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
	"strings"
	"testing"
)

// TestTLSErrors checks what counts as a failure of TLS, and that the names in a
// certificate, which anyone on the path can choose, are quoted and cut.
func TestTLSErrors(t *testing.T) {
	hostile := &x509.Certificate{DNSNames: []string{strings.Repeat("evil\n\x1b[31m", 100)}}
	remote := &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}
	for name, test := range map[string]struct {
		err, handshake error
		says           string // "" if it is none
	}{
		"host name":         {x509.HostnameError{Certificate: hostile, Host: "as.test"}, nil, `not valid for "as.test" but for "evil\n\x1b[31mevil`},
		"no names":          {x509.HostnameError{Certificate: &x509.Certificate{}, Host: "as.test"}, nil, "but for no name"},
		"address":           {x509.HostnameError{Certificate: &x509.Certificate{IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)}}, Host: "1.2.3.4"}, nil, `but for "10.0.0.1"`},
		"unknown authority": {x509.UnknownAuthorityError{Cert: hostile}, nil, "unknown authority"},
		"expired":           {x509.CertificateInvalidError{Cert: hostile, Reason: x509.Expired, Detail: "D"}, nil, "not yet valid: D"},
		"other constraint":  {&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.CANotAuthorizedForThisName, Detail: strings.Repeat("evil\n", 100)}}, nil, `was refused: "x509: a root`},
		"plain text":        {tls.RecordHeaderError{Msg: "evil"}, nil, "does not speak TLS"},
		"remote alert":      {fmt.Errorf("x: %w", remote), nil, "refused it: tls: certificate required"},
		"handshake":         {errors.New("whatever"), errors.New("tls: " + strings.Repeat("evil\n", 100)), `"tls: evil\n`},
		"handshake cut":     {io.EOF, io.EOF, ""},
		"handshake reset":   {io.EOF, &net.OpError{Op: "read", Err: errors.New("reset")}, ""},
		"handshake late":    {context.DeadlineExceeded, errors.New("tls"), ""},
		"handshake ended":   {context.Canceled, errors.New("tls"), ""},
		"network":           {&net.OpError{Op: "dial", Err: errors.New("refused")}, nil, ""},
		"with its URL":      {&url.Error{Op: "Post", URL: "https://as.test/?QUERY", Err: http.ErrSchemeMismatch}, nil, "does not speak TLS"},
		"nothing of TLS":    {errors.New("x"), nil, ""},
	} {
		got := asTLSError(test.err, test.handshake)
		if (got != nil) != (test.says != "") {
			t.Errorf("%s: %v", name, got)
			continue
		}
		if got == nil {
			continue
		}
		if text := got.Error(); !strings.Contains(text, test.says) || len(text) > 300 || strings.ContainsAny(text, "\n\x1b") || got.Unwrap() == nil {
			t.Errorf("%s: %s", name, text)
		}
		for err := error(got); err != nil; err = errors.Unwrap(err) {
			if text := err.Error(); strings.Contains(text, "QUERY") {
				t.Errorf("%s: the chain has the query: %s", name, text)
			}
		}
	}
}

// TestCertificateOfKeys checks that a GET, as for keys, has such an error, too.
func TestCertificateOfKeys(t *testing.T) {
	server := serveTLS(t)
	client := New(Config{})
	_, err := client.Get(context.Background(), Request{URL: server + "/jwks", MediaTypes: []string{JSON}})
	if _, ok := errors.AsType[*TLSError](err); !ok || !strings.Contains(err.Error(), server+"/jwks: the TLS handshake failed: the certificate is signed by an unknown authority") {
		t.Error(err)
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		t.Errorf("%T has lost its cause", err)
	}
}
