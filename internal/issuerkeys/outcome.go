package issuerkeys

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"slices"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/discovery"
	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// outcomes is the table of failures, of which the first row that fits counts. A failure
// to find the metadata has an error for each of its URLs, of which one may be a missing
// document that no issuer has to have, so what shows an outage comes before NoLocation,
// and a mere status after it.
var outcomes = []struct {
	outcome jwkscache.Outcome
	fits    func(error) bool
}{
	{jwkscache.Overloaded, isOneOf(errMemory, errTurn, errTurns)},
	{jwkscache.TLSFailed, isTLS},
	{jwkscache.TimedOut, isTimeout},
	{jwkscache.ServerError, hasStatus(http.StatusInternalServerError, 599)},
	{jwkscache.Throttled, hasStatus(http.StatusTooManyRequests, http.StatusTooManyRequests)},
	{jwkscache.Unreachable, isNetwork},
	{jwkscache.NoLocation, hasNoLocation},
	{jwkscache.RequestRefused, isOneOf(fetch.ErrStatus, fetch.ErrRedirect, fetch.ErrAddress, fetch.ErrURL)},
	{jwkscache.NotKeys, isOneOf(fetch.ErrTooLarge, fetch.ErrEncoding, jose.ErrNotJWKS, errEmpty, errUnreadable, errNotFile)},
}

// outcomeOf returns the outcome of a fetch. same says that the document is the one in
// use.
func outcomeOf(err error, same bool) (outcome jwkscache.Outcome) {
	outcome = jwkscache.Unreachable // remains if a method of an error of the user's transport panics
	defer hook.Recover()
	switch {
	case err == nil && same:
		return jwkscache.Unchanged
	case err == nil:
		return jwkscache.Fetched
	}
	for _, row := range outcomes {
		if row.fits(err) {
			return row.outcome
		}
	}
	return outcome
}

func isOneOf(targets ...error) func(error) bool {
	return func(err error) bool {
		for _, target := range targets {
			if errors.Is(err, target) {
				return true
			}
		}
		return false
	}
}

func hasStatus(from, to int) func(error) bool {
	return func(err error) bool {
		return hasInChain(err, func(e error) bool {
			status, ok := e.(*fetch.StatusError) //nolint:errorlint // hasInChain unwraps
			return ok && from <= status.Code && status.Code <= to
		})
	}
}

// hasInChain reports whether fits returns true for an error in the chain of err. Unlike
// errors.As it looks at all of them.
func hasInChain(err error, fits func(error) bool) bool {
	for err != nil {
		if fits(err) {
			return true
		}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			return slices.ContainsFunc(joined.Unwrap(), func(e error) bool { return hasInChain(e, fits) })
		}
		err = errors.Unwrap(err)
	}
	return false
}

func isTLS(err error) bool {
	_, ok := errors.AsType[*fetch.TLSError](err)
	return ok
}

func isTimeout(err error) bool {
	timed, ok := errors.AsType[net.Error](err)
	return ok && timed.Timeout() || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, detached.ErrAbandoned)
}

func isNetwork(err error) bool {
	_, isOp := errors.AsType[*net.OpError](err)
	_, isName := errors.AsType[*net.DNSError](err)
	_, isPath := errors.AsType[*fs.PathError](err)
	return isOp || isName || isPath || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// hasNoLocation reports whether metadata was had, or the server answered that there is none.
func hasNoLocation(err error) bool {
	return isOneOf(discovery.ErrDocument, discovery.ErrMissing, discovery.ErrDisagree)(err) ||
		errors.Is(err, discovery.ErrNoMetadata) && isOneOf(fetch.ErrStatus, fetch.ErrRedirect, fetch.ErrTooLarge, fetch.ErrEncoding)(err)
}
