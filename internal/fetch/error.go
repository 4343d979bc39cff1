package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Errors of this package.
var (
	ErrURL       = errors.New("fetch: URL must be https with a host and without user and fragment; http is for loopback hosts only")
	ErrBody      = errors.New("fetch: a POST request needs a body and its media type")
	ErrStatus    = errors.New("fetch: status is not 200")
	ErrTooLarge  = errors.New("fetch: document is too large")
	ErrRedirect  = errors.New("fetch: redirects are not followed")
	ErrAddress   = errors.New("fetch: address is not allowed")
	ErrMediaType = errors.New("fetch: Content-Type is not an accepted media type")
	ErrNotJSON   = errors.New("Content-Type is not JSON") // of a document that cannot be read; see [Document.Misread]
	ErrStale     = errors.New("fetch: a connection that had been used before ended without an answer")
	ErrUnsent    = errors.New("fetch: there was no connection, so that nothing was sent")
	ErrEncoding  = errors.New("fetch: Content-Encoding was not asked for; serve the document as it is where the request has Accept-Encoding: identity")
)

// errExchange replaces an error whose text may quote the request or the answer.
var errExchange = errors.New("the connection failed, or the answer is not HTTP")

// StatusError is an answer with another status than 200. [errors.Is] reports
// that it is [ErrStatus]. Its text describes the answer and does not quote it.
type StatusError struct {
	Code int // the status
	// RetryAfter is how long the server asks clients to wait (RFC 9110 §10.2.3;
	// a date is compared with the local clock). It is 0 if the field is absent,
	// unreadable or past, and has no upper bound but that of the type.
	RetryAfter time.Duration
	// MediaType is the media type of the answer's body, or "" if there is none
	// or it cannot be read. For a POST, and for a GET with fields of the caller, it
	// is "another media type" unless it is a common one or one that the caller
	// accepts, because a server may send back what it got.
	MediaType string
	// Length is the number of bytes of the answer's body as the server declares
	// it, or -1 if it does not.
	Length int64

	target string
	posted bool
}

// Error returns the URL and the status; for an answer to a POST also the media
// type and the length.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("%v: %s answered %d", ErrStatus, e.target, e.Code)
	if e.posted {
		text += " with " + e.Body()
	}
	return text
}

// Body describes the body by its media type and length.
func (e *StatusError) Body() string {
	return orUnknown(e.MediaType, "no readable media type") + " of " + length(e.Length)
}

// Is reports whether target is [ErrStatus].
func (e *StatusError) Is(target error) bool { return target == ErrStatus }

func orUnknown(text, unknown string) string {
	if text == "" {
		return unknown
	}
	return text
}

func length(n int64) string {
	if n < 0 {
		return "unknown length"
	}
	return fmt.Sprintf("%d bytes", n)
}

// withoutContent returns what err says about the network and the context. It
// drops every text that net/http writes about a request or an answer that it
// could not read, because such a text quotes them, and a server may send back the
// token and the credentials that it got.
func withoutContent(err error) error {
	for _, known := range [...]error{context.Canceled, context.DeadlineExceeded, ErrRedirect, io.ErrUnexpectedEOF, io.EOF} {
		if errors.Is(err, known) {
			return known
		}
	}
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return network
	}
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		return name
	}
	return errExchange
}

// staleError is a failed POST on a connection that had been used before. No byte of an
// answer came. It is [ErrStale].
type staleError struct{ err error }

func (e *staleError) Error() string        { return e.err.Error() }
func (e *staleError) Unwrap() error        { return e.err }
func (e *staleError) Is(target error) bool { return target == ErrStale }

// unsentError is a request that failed before it had a connection: its host was not
// found, or the connection or the TLS handshake failed. It is [ErrUnsent].
type unsentError struct{ err error }

func (e *unsentError) Error() string        { return e.err.Error() }
func (e *unsentError) Unwrap() error        { return e.err }
func (e *unsentError) Is(target error) bool { return target == ErrUnsent }

// isEnd reports whether err, of withoutContent, says that the caller or the time ended
// the request.
func isEnd(err error) bool {
	timed, ok := errors.AsType[net.Error](err)
	return ok && timed.Timeout() || errors.Is(err, context.Canceled) // a context.DeadlineExceeded has Timeout
}
