package jwkscache

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// freshness is how long a response may be used without asking again (RFC 9111
// §4.2), within the limits of R-JK-08: max-age less Age, or else Expires less
// Date. The strictest of several directives counts, and one that cannot be read
// allows nothing. must-revalidate and the like do not bind: that a set serves on
// while its issuer is down has bounds of its own.
func (l *Limits) freshness(header http.Header, now time.Time) time.Duration {
	age, told := expiry(header, now)
	for field := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return l.MinFresh
		case "max-age":
			if maxAge := seconds(strings.Trim(value, `"`)); told != byMaxAge || maxAge < age {
				age, told = maxAge, byMaxAge
			}
		}
	}
	if told == notTold {
		return max(l.MinFresh, min(l.DefaultFresh, l.MaxFresh))
	}
	spent := time.Duration(0)
	if text := header.Get("Age"); text != "" {
		if spent = seconds(text); spent == 0 && text != "0" {
			return l.MinFresh
		}
	}
	return max(l.MinFresh, min(max(age, 0)-spent, l.MaxFresh))
}

// telling is what says how long a response is fresh.
type telling uint8

const (
	notTold telling = iota
	byExpires
	byMaxAge // overrides Expires (RFC 9111 §5.3)
)

// expiry is Expires less Date, or less now where the response has no Date.
func expiry(header http.Header, now time.Time) (time.Duration, telling) {
	values := header.Values("Expires")
	if len(values) == 0 {
		return 0, notTold
	}
	expires, err := http.ParseTime(values[0])
	if err != nil {
		return 0, byExpires // such as "0": expired (RFC 9111 §5.3)
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return expires.Sub(now), byExpires
}

// seconds reads delta-seconds (RFC 9111 §1.2.2); what is none is 0.
func seconds(text string) time.Duration {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
