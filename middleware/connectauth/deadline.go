package connectauth

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// Fields in which clients send their deadline.
const (
	connectTimeout = "Connect-Timeout-Ms"
	grpcTimeout    = "Grpc-Timeout"
)

// maxTimeoutDigits are the most digits of a timeout in each protocol.
const (
	maxConnectDigits = 10
	maxGRPCDigits    = 8
)

// grpcUnits are the units of a timeout of gRPC.
var grpcUnits = map[byte]time.Duration{
	'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
}

// timeoutOf returns the time that the client waits for the answer to r, and the field that
// says so. ok is false if none does, or cannot be read: Connect handlers then refuse the
// call.
func timeoutOf(r *http.Request) (timeout time.Duration, field string, ok bool) {
	if values := r.Header[connectTimeout]; len(values) == 1 && len(r.Header[grpcTimeout]) == 0 {
		timeout, ok = parseTimeout(values[0], maxConnectDigits, time.Millisecond)
		return timeout, connectTimeout, ok
	}
	values := r.Header[grpcTimeout]
	if len(values) != 1 || len(values[0]) < 2 || len(r.Header[connectTimeout]) > 0 {
		return 0, "", false
	}
	last := len(values[0]) - 1
	if unit := grpcUnits[values[0][last]]; unit > 0 {
		timeout, ok = parseTimeout(values[0][:last], maxGRPCDigits, unit)
	}
	return timeout, grpcTimeout, ok
}

// parseTimeout returns a number of units. ok is false if it is too long for a Duration,
// too.
func parseTimeout(digits string, most int, unit time.Duration) (timeout time.Duration, ok bool) {
	if len(digits) > most {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || time.Duration(number) > math.MaxInt64/unit {
		return 0, false
	}
	return time.Duration(number) * unit, true
}
