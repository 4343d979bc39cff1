package issuerkeys

import (
	"errors"
	"fmt"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/jose"
)

// ErrUnavailable means that the keys of the issuer could not be determined. It
// says nothing about a token.
var ErrUnavailable = errors.New("jwkscache: the issuer's keys are unavailable")

var (
	errNone      = fmt.Errorf("%w: none were fetched yet; call Warm or Run at start-up, or else the first token fetches them", ErrUnavailable)
	errStale     = fmt.Errorf("%w: the last ones are too old to trust", ErrUnavailable)
	errNotOpened = fmt.Errorf("%w: the keys were not opened", ErrUnavailable)
	errNotYet    = fmt.Errorf("%w: the kid is unknown, and the next fetch is too far away to wait for", ErrUnavailable)
	errWaiters   = fmt.Errorf("%w: %w", ErrUnavailable, detached.ErrWaiters)
	errGone      = fmt.Errorf("%w: the issuer is not in use any more", ErrUnavailable)
	errWithdrawn = fmt.Errorf("%w: it was withdrawn or forbidden", jose.ErrUnknownKey)
	errForbidden = fmt.Errorf("%w: the kid is forbidden", jose.ErrUnknownKey)
)
