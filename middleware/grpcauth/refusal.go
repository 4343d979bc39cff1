package grpcauth

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-auth/sallyport/middleware"
)

// Keys of the trailer of a refusal.
const (
	keyChallenge = "www-authenticate"
	keyPushback  = "grpc-retry-pushback-ms"
)

// pushbackSpread is the range of the random part of a pushback, so that the clients of an
// outage do not come back at once.
const pushbackSpread = 500 * time.Millisecond

// Error is the error of a refused call. Its text and its status are constant for a class
// of refusals. [errors.As] finds the *[middleware.Denial], for interceptors outside the
// gate that write logs.
type Error struct {
	denial *middleware.Denial
	status *status.Status
}

// Error returns a constant text for the class.
func (e *Error) Error() string {
	if e == nil || e.status == nil {
		return middleware.ClassUnavailable.Message()
	}
	return e.status.Message()
}

// GRPCStatus returns the status that the client gets.
func (e *Error) GRPCStatus() *status.Status {
	if e == nil || e.status == nil {
		return status.New(codes.Unavailable, middleware.ClassUnavailable.Message())
	}
	return e.status
}

// Unwrap returns the *[middleware.Denial]. Its text has the Reason, which the client does
// not get.
func (e *Error) Unwrap() error {
	if e == nil || e.denial == nil {
		return nil
	}
	return e.denial
}

// transportStream is what a refusal is written to: [grpc.ServerTransportStream] or
// [grpc.ServerStream].
type transportStream struct {
	setHeader, setTrailer func(metadata.MD)
}

// refuse returns the error for a call that is refused, and sets what goes with it. A call
// that nobody waits for any more is not refused: it has the status of its context.
func refuse(ctx context.Context, denial *middleware.Denial, to transportStream) error {
	if ended := ctx.Err(); ended != nil && denial.Class == middleware.ClassCanceled {
		return &Error{denial: denial, status: status.FromContextError(ended)}
	}
	to.write(ctx, denial)
	return &Error{denial: denial, status: statusOf(denial)}
}

// write sets the challenges of a refusal and, if the client should come back, the time
// until then for the client's retry policy. They are in the trailer, except that net/http
// sends no trailer of this name (RFC 9110 §6.5.1): there the challenges are in the header,
// unless that has been sent.
func (to transportStream) write(ctx context.Context, denial *middleware.Denial) {
	trailer := make(metadata.MD, 1)
	if len(denial.Challenges) > 0 {
		if ctx.Value(http.ServerContextKey) != nil {
			to.setHeader(metadata.MD{keyChallenge: denial.Challenges})
		} else {
			trailer[keyChallenge] = denial.Challenges
		}
	}
	if denial.RetryAfter > 0 {
		pushback := denial.RetryAfter + rand.N(pushbackSpread) //nolint:gosec // no secret
		trailer[keyPushback] = []string{strconv.FormatInt(pushback.Milliseconds(), 10)}
	}
	to.setTrailer(trailer)
}

// statusOf returns the status of a refusal, with a google.rpc.ErrorInfo and, if the
// client should come back, a RetryInfo.
func statusOf(denial *middleware.Denial) *status.Status {
	plain := status.New(codes.Code(denial.Class.GRPC()), denial.Class.Message())
	reason, md := denial.ErrorInfo()
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Domain: middleware.ErrorDomain, Reason: reason, Metadata: md}}
	if denial.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(denial.RetryAfter)})
	}
	full, err := plain.WithDetails(details...)
	if err != nil { // the texts are printable
		return plain
	}
	return full
}
