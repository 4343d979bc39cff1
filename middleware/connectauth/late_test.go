package connectauth_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
)

// slowBody is a body that arrives after a while.
type slowBody struct {
	bytes.Reader

	before func()
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.before != nil {
		b.before()
		b.before = nil
	}
	return b.Reader.Read(p)
}

func (*slowBody) Close() error { return nil }

// TestLateMessage covers R-GR-07: a unary call whose message arrives when the token is not
// valid any more does not reach the handler, however long the client took.
func TestLateMessage(t *testing.T) {
	for name, row := range map[string]struct {
		procedure string
		wait      time.Duration
		forbid    bool
		status    int
	}{
		"withdrawn key":           {placeOrder, time.Second, true, http.StatusUnauthorized},
		"expired":                 {placeOrder, time.Hour, false, http.StatusUnauthorized},
		"still valid":             {placeOrder, 2 * time.Second, false, http.StatusOK},
		"withdrawn within bounds": {placeOrder, time.Second - 1, true, http.StatusOK},
		"public":                  {listShops, time.Hour, true, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				is := issuertest.New(t)
				guard := is.Guard(t, middleware.Config{})
				o := new(orders)
				body := &slowBody{before: func() {
					if row.forbid {
						if err := guard.Validator().ForbidKey(t.Context(), is.URL(), jwkscache.KeyName{KeyID: is.SigningKey()}); err != nil {
							t.Error(err)
						}
					}
					time.Sleep(row.wait)
				}}
				body.Reset([]byte(`"hello"`))
				r, w := httptest.NewRequestWithContext(t.Context(), http.MethodPost, row.procedure, body), httptest.NewRecorder()
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Authorization", "Bearer "+is.Token(issuertest.Claims{"scope": "orders:write"}))
				mounted(t, guard, o).ServeHTTP(w, r)
				if ran := o.ran.Load() == 1; w.Code != row.status || ran != (row.status == http.StatusOK) {
					t.Errorf("status %d, and the handler ran: %t", w.Code, ran)
				}
				if challenge := w.Header().Get("WWW-Authenticate"); (challenge != "") != (row.status == http.StatusUnauthorized) {
					t.Errorf("challenge %q", challenge)
				}
			})
		})
	}
}
