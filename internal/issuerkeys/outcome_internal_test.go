package issuerkeys

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// TestOutcomes (A4) checks which errors are a time limit and which are an outage, also if
// another URL of the metadata answered 404.
func TestOutcomes(t *testing.T) {
	missing := &fetch.StatusError{Code: 404}
	for _, row := range []struct {
		err  error
		same bool
		want jwkscache.Outcome
	}{
		{nil, false, jwkscache.Fetched},
		{nil, true, jwkscache.Unchanged},
		{missing, true, jwkscache.RequestRefused},
		{errors.New("other"), false, jwkscache.Unreachable},
		{&net.DNSError{IsTimeout: true}, false, jwkscache.TimedOut},
		{errors.Join(&net.DNSError{}, context.DeadlineExceeded), false, jwkscache.TimedOut},
		{detached.ErrAbandoned, false, jwkscache.TimedOut},
		{&fetch.StatusError{Code: 499}, false, jwkscache.RequestRefused},
		{&fetch.StatusError{Code: 500}, false, jwkscache.ServerError},
		{&fetch.StatusError{Code: 599}, false, jwkscache.ServerError},
		{&fetch.StatusError{Code: 600}, false, jwkscache.RequestRefused},
		{&fetch.StatusError{Code: 429}, false, jwkscache.Throttled},
		{&fetch.StatusError{Code: 430}, false, jwkscache.RequestRefused},
		{errors.Join(missing, &net.OpError{Op: "dial", Err: errors.New("refused")}), false, jwkscache.Unreachable},
		{errors.Join(missing, &net.DNSError{}), false, jwkscache.Unreachable},
		{errors.Join(missing, &fs.PathError{Err: fs.ErrNotExist}), false, jwkscache.Unreachable},
		{errors.Join(missing, io.EOF), false, jwkscache.Unreachable},
		{errors.Join(missing, io.ErrUnexpectedEOF), false, jwkscache.Unreachable},
	} {
		if got := outcomeOf(row.err, row.same); got != row.want {
			t.Errorf("%v, same %t: %s, want %s", row.err, row.same, got, row.want)
		}
	}
}
