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
// less Age (RFC 9111 §4.2) within bounds. The strictest of several directives
// counts, and one that cannot be read allows nothing.
func freshness(header http.Header) time.Duration {
	age, told := maxFresh, false
	for field := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return minFresh
		case "max-age":
			age, told = min(age, seconds(strings.Trim(value, `"`))), true
		}
	}
	if !told {
		return defaultFresh
	}
	return max(minFresh, age-seconds(header.Get("Age")))
}

// seconds reads delta-seconds (RFC 9111 §1.2.2); what is none is 0.
func seconds(text string) time.Duration {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
