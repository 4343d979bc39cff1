package grpcauth_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"
)

// TestHandlersCanPrint covers R-OB-01: what handlers get holds the token nowhere that fmt
// prints, under any verb.
func TestHandlersCanPrint(t *testing.T) {
	printed := make(chan string, 2)
	a := start(t, setup{service: &service{
		get: func(ctx context.Context, in *text) (*text, error) {
			printed <- fmt.Sprintf("%v %+v %#v %s", ctx, ctx, ctx, ctx)
			return in, nil
		},
		stream: func(_ string, stream grpc.ServerStream) error {
			ctx := stream.Context()
			printed <- fmt.Sprintf("%v %+v %#v %s %v %+v %#v %s", stream, stream, stream, stream, ctx, ctx, ctx, ctx)
			return nil
		},
	}})
	token := a.bearer("read")
	a.get(a.with("authorization", token))
	a.stream(a.with("authorization", token), methodChat)
	for _, what := range []string{"unary call", "stream"} {
		if text := <-printed; strings.Contains(text, strings.TrimPrefix(token, "Bearer ")) {
			t.Errorf("%s: the token is in %s", what, text)
		}
	}
}
