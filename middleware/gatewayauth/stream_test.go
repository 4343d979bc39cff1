package gatewayauth_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-auth/sallyport/middleware/gatewayauth"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestStreamThatEnds covers R-GR-07 behind a gateway: the client of a stream that the
// gate ends gets the messages that were sent, and then the class of the refusal.
func TestStreamThatEnds(t *testing.T) {
	b := newBackend(t)
	b.sends, b.ended = 2, make(chan struct{})
	b.fails = errorOf(b.refusals(t)[string(validator.Expired)])
	front := b.front(t, gatewayauth.Config{})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front+"/v1/orders/7/watch", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(b.signed()[0], b.signed()[1])
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	for range 2 {
		if line, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, `{"result":`) {
			t.Fatalf("%q, %v", line, err)
		}
	}
	close(b.ended)
	rest, err := io.ReadAll(lines)
	if text := string(rest); err != nil || response.StatusCode != http.StatusOK || !strings.HasPrefix(text, `{"error":`) || !strings.Contains(text, `"EXPIRED_TOKEN"`) || strings.Contains(text, "about:blank") {
		t.Errorf("%d, %q, %v", response.StatusCode, rest, err)
	}
}

// TestStreamThatFailsLater shows that the details of a later error are left out if they
// cannot be rendered, and that the error arrives.
func TestStreamThatFailsLater(t *testing.T) {
	b := newBackend(t)
	b.sends = 1
	front := b.front(t, gatewayauth.Config{})
	for _, err := range []error{detailed(t, codes.Unauthenticated, "ended", unlinked), status.Error(codes.Unauthenticated, "ended")} {
		b.fails = err
		got := call(t, http.MethodGet, front+"/v1/orders/7/watch", "", b.signed()...)
		if !strings.Contains(compact(got.body), `"message":"ended"`) {
			t.Errorf("%v: %+v", err, got)
		}
	}
}

// TestStreamWithoutMiddleware shows that HandleStreamError alone keeps the class, in the
// form that grpc-gateway gives it.
func TestStreamWithoutMiddleware(t *testing.T) {
	g, err := gatewayauth.New(gatewayauth.Config{})
	if err != nil {
		t.Fatal(err)
	}
	refused := errorOf(newBackend(t).refusals(t)[string(validator.Expired)])
	if s := g.HandleStreamError(t.Context(), refused); s.Code() != codes.Unauthenticated || len(s.Details()) != 2 {
		t.Errorf("%v", s)
	}
}

// TestOwnStreamErrorHandler shows that Config.StreamErrorHandler does not get refusals.
func TestOwnStreamErrorHandler(t *testing.T) {
	g, err := gatewayauth.New(gatewayauth.Config{StreamErrorHandler: func(context.Context, error) *status.Status { return status.New(codes.DataLoss, "own") }})
	if err != nil {
		t.Fatal(err)
	}
	refused := errorOf(newBackend(t).refusals(t)[string(validator.Expired)])
	if s := g.HandleStreamError(t.Context(), refused); s.Code() != codes.Unauthenticated {
		t.Errorf("refusal: %v", s)
	}
	if s := g.HandleStreamError(t.Context(), io.EOF); s.Code() != codes.DataLoss {
		t.Errorf("another error: %v", s)
	}
}
