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
	"net/http/httptrace"
	"os"
	"strings"
	"syscall"
	"testing"
)

// telling is a transport that fails with err after it has told the request's trace of a
// handshake and of a connection, as an [http.Transport] does.
type telling struct {
	handshake, err    error
	asked             bool
	connected, reused bool
}

func (tr telling) RoundTrip(r *http.Request) (*http.Response, error) {
	trace := httptrace.ContextClientTrace(r.Context())
	if tr.asked {
		trace.GetConn("")
	}
	if tr.handshake != nil {
		trace.TLSHandshakeDone(tls.ConnectionState{}, tr.handshake)
	}
	if tr.connected {
		trace.GotConn(httptrace.GotConnInfo{Reused: tr.reused})
	}
	return nil, tr.err
}

// networkError is an error of the network that is no [net.OpError].
type networkError bool

func (networkError) Error() string   { return "injected" }
func (e networkError) Timeout() bool { return bool(e) }
func (networkError) Temporary() bool { return false }

// TestStaleErrors checks which failures on a connection that had been used before are
// ErrStale: those of a POST that neither the caller nor the time ended.
func TestStaleErrors(t *testing.T) {
	reset := &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	for name, test := range map[string]struct {
		err    error
		reused bool
		get    bool
		stale  bool
	}{
		"ended":            {err: io.EOF, reused: true, stale: true},
		"reset":            {err: reset, reused: true, stale: true},
		"no HTTP":          {err: errors.New("injected"), reused: true, stale: true},
		"a new connection": {err: io.EOF},
		"a GET":            {err: io.EOF, reused: true, get: true},
		"cancelled":        {err: context.Canceled, reused: true},
		"time is over":     {err: fmt.Errorf("injected: %w", context.DeadlineExceeded), reused: true},
		"time of a read":   {err: &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, reused: true},
	} {
		c := New(Config{HTTPClient: &http.Client{Transport: telling{err: test.err, connected: true, reused: test.reused}}})
		var err error
		if test.get {
			_, err = c.Get(t.Context(), Request{URL: "https://issuer.example", Accept: JSON, MediaTypes: []string{JSON}})
		} else {
			_, err = post(c, "https://issuer.example")
		}
		if err == nil || errors.Is(err, ErrStale) != test.stale {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHandshakeErrors checks when the error of a handshake is a TLSError: not if the
// network or the time ended it, and not if the request got another connection.
func TestHandshakeErrors(t *testing.T) {
	unsupported := errors.New("tls: server selected unsupported protocol version 301")
	for name, test := range map[string]struct {
		handshake, err error
		connected      bool
		reason         string // "" if it is no TLSError
	}{
		"of crypto/tls":           {handshake: unsupported, err: unsupported, reason: `"tls: server selected unsupported protocol version 301"`},
		"another connection":      {handshake: unsupported, err: io.EOF, connected: true},
		"of the network":          {handshake: networkError(false), err: networkError(false), reason: `"injected"`},
		"took too long":           {handshake: networkError(true), err: networkError(true)},
		"broken":                  {handshake: &net.OpError{Op: "read", Err: syscall.ECONNRESET}, err: errors.New("injected")},
		"ended":                   {handshake: io.EOF, err: io.EOF},
		"ended within a record":   {handshake: io.ErrUnexpectedEOF, err: io.ErrUnexpectedEOF},
		"without a handshake":     {err: errors.New("injected")},
		"no TLS on the port":      {err: fmt.Errorf("injected: %w", http.ErrSchemeMismatch), reason: "the server does not speak TLS on this port"},
		"alert of the other side": {err: &net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}, reason: "the server refused it: tls: bad certificate"},
	} {
		c := New(Config{HTTPClient: &http.Client{Transport: telling{handshake: test.handshake, err: test.err, connected: test.connected}}})
		_, err := post(c, "https://issuer.example")
		found, ok := errors.AsType[*TLSError](err)
		if err == nil || ok != (test.reason != "") || ok && !strings.HasSuffix(found.Error(), ": "+test.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoAnswerToReport checks a request that fails although the caller wants the document
// of a refusal: there is none.
func TestNoAnswerToReport(t *testing.T) {
	c := New(Config{HTTPClient: &http.Client{Transport: telling{err: io.EOF}}})
	document, err := c.Post(t.Context(), Request{URL: "https://issuer.example", Accept: JSON, MediaTypes: []string{JSON}, ErrorBytes: 10}, secretForm)
	if document != nil || err == nil {
		t.Errorf("%+v, %v", document, err)
	}
}

// TestUnsent checks which failures are ErrUnsent: those of a transport that looked for a
// connection and had none. One that tells nothing may have sent the request.
func TestUnsent(t *testing.T) {
	for name, test := range map[string]struct {
		transport telling
		unsent    bool
	}{
		"no connection": {telling{asked: true, err: io.EOF}, true},
		"no time":       {telling{asked: true, err: context.DeadlineExceeded}, true},
		"no handshake":  {telling{asked: true, err: io.EOF, handshake: x509.UnknownAuthorityError{}}, true},
		"a connection":  {telling{asked: true, err: io.EOF, connected: true}, false},
		"nothing told":  {telling{err: io.EOF}, false},
	} {
		client := New(Config{HTTPClient: &http.Client{Transport: test.transport}})
		_, err := post(client, "https://as.example")
		if err == nil || errors.Is(err, ErrUnsent) != test.unsent {
			t.Errorf("%s: %v", name, err)
		}
		if _, ok := errors.AsType[*TLSError](err); ok != (test.transport.handshake != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
