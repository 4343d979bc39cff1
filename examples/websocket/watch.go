package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// The codes with which the server closes a WebSocket because of its token. Clients act on
// them as README.md says.
const (
	closeExpired     websocket.StatusCode = 4001                          // get a new token and come back
	closeRefused     websocket.StatusCode = 4003                          // log in again; this token will not do
	closeUnavailable                      = websocket.StatusTryAgainLater // come back later with the same token
)

// closeFor returns the code and the reason for a class: constants, so that nothing of the
// token is in them.
func closeFor(class middleware.Class) (websocket.StatusCode, string) {
	switch class {
	case middleware.ClassExpiredToken:
		return closeExpired, "the token expired"
	case middleware.ClassUnavailable:
		return closeUnavailable, "the token cannot be checked now"
	default:
		return closeRefused, "the token is refused"
	}
}

// feed sends one order after the other to every client.
type feed struct {
	every time.Duration
	order func(n int) string
}

// ServeHTTP serves a WebSocket until its request ends. The guard has checked the token
// before, and answers with 401 instead of the upgrade.
func (f *feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }()
	held := middleware.HeldFrom(r.Context())
	// A Read or Write whose context ends drops the connection without a close frame. So
	// both get one that does not end. Shortly after the close frame the guard makes them
	// fail, whether or not the peer has answered it.
	ctx := context.WithoutCancel(r.Context())
	stop := context.AfterFunc(r.Context(), func() {
		if denial := held.Denial(); denial != nil {
			_ = conn.Close(closeFor(denial.Class))
		}
	})
	defer stop()
	received := make(chan string)
	go func() {
		defer close(received)
		for {
			_, message, err := conn.Read(ctx)
			if err != nil {
				return
			}
			select {
			case received <- string(message):
			case <-r.Context().Done():
				return
			}
		}
	}()
	f.serve(ctx, conn, held, received)
}

// serve sends orders, and renews the token with those that the client sends, until the
// connection ends.
func (f *feed) serve(ctx context.Context, conn *websocket.Conn, held *middleware.Held, received <-chan string) {
	ticker := time.NewTicker(f.every)
	defer ticker.Stop()
	ending := held.Ending()
	for n := 1; ; {
		var message string
		select {
		case <-ticker.C:
			message = f.order(n)
			n++
		case <-ending:
			message, ending = "renew before "+held.Ends().UTC().Format(time.RFC3339), nil
		case text, ok := <-received:
			if !ok {
				return // the connection has ended
			}
			token, isRenewal := strings.CutPrefix(text, "token ")
			if !isRenewal {
				continue
			}
			p := validator.Presentation{Scheme: validator.Bearer, Token: token}
			if denial := held.Renew(ctx, p, scopes.Operation{}); denial != nil {
				message = "not renewed: " + string(denial.Class) // the old token counts until its end
			} else {
				message, ending = "renewed", held.Ending()
			}
		}
		if err := conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
			return
		}
	}
}
