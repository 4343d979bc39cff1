package jwkscache

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Bounds of freshness (R-JK-08).
const (
	minFresh     = time.Minute
	maxFresh     = 24 * time.Hour
	defaultFresh = 10 * time.Minute
)

// freshness is how long a response may be used without asking again: max-age
// of RFC 9111 §5.2.2.1 within bounds.
func freshness(header http.Header) time.Duration {
	for field := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return minFresh
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil {
				return minFresh // RFC 9111 §4.2.1: invalid freshness is stale
			}
			return max(minFresh, min(time.Duration(seconds)*time.Second, maxFresh))
		}
	}
	return defaultFresh
}
