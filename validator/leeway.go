package validator

import (
	"fmt"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// Leeway is how far this host's clock may differ from the issuer's. A zero
// field means 30 s.
type Leeway struct {
	// Expiry is how long after exp a token is still accepted, at most 60 s. [NoLeeway]
	// means not at all.
	Expiry time.Duration
	// Future is how far iat, nbf and auth_time may be in the future: 10 s to 60 s.
	Future time.Duration
}

// NoLeeway is the Leeway.Expiry with which a token is refused from exp on.
const NoLeeway time.Duration = -1

const (
	defaultLeeway   = 30 * time.Second
	maxLeeway       = 60 * time.Second
	minFutureLeeway = 10 * time.Second
)

// checked returns l with its defaults, and adds the faults of l.
func (l Leeway) checked(f fault.List) Leeway {
	switch {
	case l.Expiry == 0:
		l.Expiry = defaultLeeway
	case l.Expiry == NoLeeway:
		l.Expiry = 0
	case l.Expiry < 0 || l.Expiry > maxLeeway:
		f.At("Expiry").Addf(fmt.Sprintf("give NoLeeway or up to %v", maxLeeway), "is %v", l.Expiry)
	}
	switch {
	case l.Future == 0:
		l.Future = defaultLeeway
	case l.Future < minFutureLeeway || l.Future > maxLeeway:
		addRange(f.At("Future"), l.Future, minFutureLeeway, maxLeeway, defaultLeeway)
	}
	return l
}

// Leeway returns the Leeway of the configuration, with its defaults. That of a nil
// Validator is zero.
func (v *Validator) Leeway() Leeway {
	if v == nil {
		return Leeway{}
	}
	return v.checks.leeway
}
