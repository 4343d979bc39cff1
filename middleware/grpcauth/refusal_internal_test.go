package grpcauth

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sallyport-auth/sallyport/middleware"
)

// TestEndedCalls covers A14 of the situations: the status of a call that nobody waits for
// any more is that of its context, and what was determined, or failed by a limit of ours,
// keeps its own. A client sees its own status in any case; interceptors and logs see this
// one.
func TestEndedCalls(t *testing.T) {
	left, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	for _, row := range []struct {
		ctx   context.Context
		class middleware.Class
		code  codes.Code
	}{
		{left, middleware.ClassCanceled, codes.Canceled},
		{late, middleware.ClassCanceled, codes.DeadlineExceeded},
		{left, middleware.ClassUnavailable, codes.Unavailable},
		{late, middleware.ClassExpiredToken, codes.Unauthenticated},
		{t.Context(), middleware.ClassCanceled, codes.Canceled},
	} {
		denial := &middleware.Denial{Class: row.class, Status: row.class.Status()}
		err := refuse(row.ctx, denial, transportStream{setHeader: func(metadata.MD) {}, setTrailer: func(metadata.MD) {}})
		if status.Code(err) != row.code {
			t.Errorf("%s: %v, want %v", row.class, err, row.code)
		}
	}
}
