package main

import (
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-auth/sallyport/examples/grpc/ordersv1"
)

// renewable is a source of tokens that keeps its token until the token expires or is
// given up. It is safe for concurrent use.
type renewable struct {
	source oauth2.TokenSource // asks the issuer each time

	mu    sync.Mutex
	token *oauth2.Token // nil: there is none, or it was given up
}

// Token returns the token, and asks the issuer for one if there is none.
func (r *renewable) Token() (*oauth2.Token, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.token.Valid() {
		return r.token, nil
	}
	token, err := r.source.Token()
	if err != nil {
		return nil, err
	}
	r.token = token
	return token, nil
}

// giveUp forgets the token, so that the next call asks the issuer. The API has refused
// it, although it has not expired: it was revoked, or its key was withdrawn.
func (r *renewable) giveUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.token = nil
}

// final are the codes after which another attempt gets the same answer.
var final = []codes.Code{
	codes.PermissionDenied, codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.Unimplemented,
}

const (
	shortestWait = 500 * time.Millisecond
	longestWait  = 30 * time.Second
)

// watcher watches orders, over as many streams as it takes.
type watcher struct {
	client ordersv1.OrderServiceClient // with tokens as its credentials
	tokens *renewable
	show   func(*ordersv1.Order)
	pause  func(ctx context.Context, d time.Duration) error // returns early if ctx ends
}

// watch shows orders until ctx ends or the API refuses for good, and returns why.
//
// A stream ends with its token. Then watch renews the token before it connects again. If
// the API refuses the new one too, the client is not welcome, and asking again would only
// cost both sides. Other ends, such as a restart of the API, leave the token as it is.
// The waits between streams grow, and are as long as the API says if it says so.
func (w *watcher) watch(ctx context.Context) error {
	renewed := false // the token is new, and no stream has been accepted with it
	for wait := shortestWait; ; wait = min(2*wait, longestWait) {
		accepted, err := w.stream(ctx)
		if accepted {
			renewed, wait = false, shortestWait
		}
		switch code := status.Code(err); {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case code == codes.Unauthenticated && renewed, slices.Contains(final, code):
			return err
		case code == codes.Unauthenticated:
			w.tokens.giveUp()
			renewed = true
		}
		spread := rand.N(wait/2 + 1) //nolint:gosec // keeps clients apart, and is no secret
		if err := w.pause(ctx, max(wait/2+spread, asked(err))); err != nil {
			return err
		}
	}
}

// stream shows the orders of one stream. It reports whether the API accepted the token.
func (w *watcher) stream(ctx context.Context) (accepted bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := w.client.WatchOrders(ctx, &ordersv1.WatchOrdersRequest{})
	if err != nil {
		return false, err
	}
	header, err := stream.Header()
	accepted = err == nil && header != nil
	for {
		response, err := stream.Recv()
		if err == io.EOF { //nolint:errorlint // Recv returns it bare
			return accepted, nil
		}
		if err != nil {
			return accepted, err
		}
		w.show(response.GetOrder())
	}
}

// asked returns how long the API wants the client to wait, or 0.
func asked(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			return retry.GetRetryDelay().AsDuration()
		}
	}
	return 0
}
