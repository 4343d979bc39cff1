package connectauth

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-auth/sallyport/middleware"
)

// errorOf returns denial as an error of Connect: the code and a constant message of its
// class, google.rpc.ErrorInfo, and RetryInfo if the client should come back. The message
// and the details have nothing of the cause.
//
// If the caller left before anything was determined, the code says whether its deadline had
// passed.
func errorOf(ctx context.Context, denial *middleware.Denial) *connect.Error {
	code := connect.Code(denial.Class.GRPC())
	if denial.Class == middleware.ClassCanceled && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		code = connect.CodeDeadlineExceeded
	}
	err := connect.NewError(code, errors.New(denial.Class.Message()))
	reason, metadata := denial.ErrorInfo()
	addDetail(err, &errdetails.ErrorInfo{Reason: reason, Domain: middleware.ErrorDomain, Metadata: metadata})
	if denial.RetryAfter > 0 {
		addDetail(err, &errdetails.RetryInfo{RetryDelay: durationpb.New(denial.RetryAfter)})
	}
	return err
}

// finalError returns denial as the error that a handler of Connect writes at the end of a
// call of this protocol, with the fields that deny writes in the header. For gRPC there is
// no challenge: HTTP does not permit it in a trailer (RFC 9110 §6.5.1), and net/http would
// leave it out and log that. The details have the same parameters.
func finalError(ctx context.Context, denial *middleware.Denial, protocol string) *connect.Error {
	err := errorOf(ctx, denial)
	if protocol != connect.ProtocolGRPC {
		for _, challenge := range denial.Challenges {
			err.Meta().Add(challengeField, challenge)
		}
	}
	if denial.RetryAfter > 0 && protocol != connect.ProtocolConnect {
		err.Meta().Set(pushback, pushbackOf(denial))
	}
	return err
}

// pushbackSpread is the range of the random part of a pushback, so that the clients of an
// outage do not come back at once.
const pushbackSpread = 500 * time.Millisecond

// pushbackOf returns the delay before the next attempt, for the retry policies of clients
// of gRPC.
func pushbackOf(denial *middleware.Denial) string {
	pushback := denial.RetryAfter + rand.N(pushbackSpread) //nolint:gosec // no secret
	return strconv.FormatInt(pushback.Milliseconds(), 10)
}

// addDetail adds detail to err. A detail that cannot be encoded is left out, so that it
// changes no refusal.
func addDetail(err *connect.Error, detail proto.Message) {
	if d, failed := connect.NewErrorDetail(detail); failed == nil {
		err.AddDetail(d)
	}
}
