package issuerkeys

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

// lifetime is how long a response may be used without asking again, and which field
// says so.
type lifetime struct {
	length time.Duration
	by     lifetimeField
}

// freshness returns how long a response may be used without asking again (RFC 9111
// §4.2), within the limits of R-JK-08: max-age less Age, or else Expires less
// Date. stored is the lifetime of the response that a 304 confirms, which holds
// unless the 304 has Cache-Control or there was none (RFC 9111 §4.3.4); zero for
// other responses.
func freshness(l *jwkscache.Limits, header http.Header, now time.Time, stored lifetime) (time.Duration, lifetime) {
	own := lifetimeOf(header, now)
	if own.by < byMaxAge && stored.by > own.by {
		own = stored
	}
	if own.by == byDefault {
		return max(l.MinFresh, min(l.DefaultFresh, l.MaxFresh)), own
	}
	spent := time.Duration(0)
	if text := header.Get("Age"); text != "" {
		if spent = seconds(text); spent == 0 && text != "0" {
			return l.MinFresh, own
		}
	}
	return max(l.MinFresh, min(max(own.length, 0)-spent, l.MaxFresh)), own
}

// lifetimeOf returns the lifetime that the fields of a response give it. The strictest
// of several directives counts, and one that cannot be read allows nothing.
// must-revalidate and the like are ignored: Limits.Stale bounds how long a stale
// set serves.
func lifetimeOf(header http.Header, now time.Time) lifetime {
	t := expiry(header, now)
	for field := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return lifetime{by: byNoStore}
		case "max-age":
			if maxAge := seconds(strings.Trim(value, `"`)); t.by != byMaxAge || maxAge < t.length {
				t = lifetime{maxAge, byMaxAge}
			}
		}
	}
	return t
}

// lifetimeField is the field that says how long a response is fresh. A higher one
// overrides a lower one.
type lifetimeField uint8

const (
	byDefault lifetimeField = iota
	byExpires
	byMaxAge  // overrides Expires (RFC 9111 §5.3)
	byNoStore // or no-cache; overrides max-age
)

// expiry returns Expires less Date, or less now where the response has no Date.
func expiry(header http.Header, now time.Time) lifetime {
	values := header.Values("Expires")
	if len(values) == 0 {
		return lifetime{}
	}
	expires, err := http.ParseTime(values[0])
	if err != nil {
		return lifetime{by: byExpires} // such as "0": expired (RFC 9111 §5.3)
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return lifetime{expires.Sub(now), byExpires}
}

// seconds reads delta-seconds (RFC 9111 §1.2.2). It returns 0 if text is malformed.
func seconds(text string) time.Duration {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
