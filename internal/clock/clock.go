// Package clock holds the times that tokens are verified with: the time in a claim
// ([NumericDate]) and the current time ([Now], [Or]).
//
// A context can hold the current time, so that `sallyport verify --at` and the
// vector tests can verify at a fixed instant. Only this project can set it: the
// package is internal, and no exported option reaches it. Timers and deadlines do
// not use this package; tests drive them with testing/synctest.
package clock

import (
	"context"
	"strconv"
	"time"
)

type contextKey struct{}

// At returns a context for which [Now] and [Or] return instant.
func At(ctx context.Context, instant time.Time) context.Context {
	return context.WithValue(ctx, contextKey{}, instant)
}

// Now returns the instant set by [At], or else the current time.
func Now(ctx context.Context) time.Time {
	if instant, ok := ctx.Value(contextKey{}).(time.Time); ok {
		return instant
	}
	return time.Now()
}

// Or returns the instant set by [At], or else now, which is the current time that
// the caller has read already.
func Or(ctx context.Context, now time.Time) time.Time {
	if instant, ok := ctx.Value(contextKey{}).(time.Time); ok {
		return instant
	}
	return now
}

// Alone returns a context that never ends and has only one value of ctx, the
// instant set by [At]. It is for work whose result many callers share.
func Alone(ctx context.Context) context.Context {
	if instant, ok := ctx.Value(contextKey{}).(time.Time); ok {
		return At(context.Background(), instant)
	}
	return context.Background()
}

// maxNumericDate is the largest integer that every JSON reader represents exactly
// (RFC 7493 §2.2). Larger numbers are refused, so no conversion can overflow.
const maxNumericDate = 1 << 53

// maxLiteral is the longest literal that is read, in bytes. Beyond 800 digits,
// strconv.ParseFloat of Go 1.26 reads 2e4068 with an exponent of -1660 as 0, and a
// nbf with that value would be in the past.
const maxLiteral = 500

// NumericDate reads a JSON number literal as an RFC 7519 §2 NumericDate:
// seconds since 1970, integer or fractional, from 0 to 2^53. A fraction keeps
// the precision of a float64, a fraction of a microsecond for current dates.
// The literal must already follow the JSON grammar; one of more than 500
// characters is refused.
func NumericDate(literal string) (time.Time, bool) {
	if literal == "" || len(literal) > maxLiteral || literal[0] < '0' || literal[0] > '9' { // negative, or no number at all
		return time.Time{}, false
	}
	if seconds, ok := whole(literal); ok {
		return time.Unix(seconds, 0), seconds <= maxNumericDate
	}
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil || f > maxNumericDate {
		return time.Time{}, false
	}
	seconds := int64(f)
	return time.Unix(seconds, int64((f-float64(seconds))*1e9)), true
}

// whole reads an integer of at most 16 digits, which is how many maxNumericDate
// has, and without a sign. A longer one is larger than maxNumericDate, because
// JSON has no leading zeros.
func whole(literal string) (int64, bool) {
	if len(literal) > 16 {
		return 0, false
	}
	n := int64(0)
	for i := range len(literal) {
		digit := literal[i] - '0'
		if digit > 9 {
			return 0, false
		}
		n = 10*n + int64(digit)
	}
	return n, true
}
