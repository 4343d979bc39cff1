package middleware_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// trailerNote is a handler that notes the names of the trailer before and after
// the body was read, of its request and of a copy that it makes first.
type trailerNote struct {
	announced, came, copied []string
}

func (n *trailerNote) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	n.announced = slices.Sorted(maps.Keys(r.Trailer))
	copied := r.WithContext(r.Context())
	_, _ = io.Copy(io.Discard, r.Body)
	n.came, n.copied = slices.Sorted(maps.Keys(r.Trailer)), slices.Sorted(maps.Keys(copied.Trailer))
}

// TestScreenedTrailers covers R-BT-11 and R-BT-15: a field that is removed from
// the header does not come back as a trailer, announced or not, over HTTP/1.1 and
// HTTP/2. The trailer in front of the guard is not changed.
func TestScreenedTrailers(t *testing.T) {
	issuer := issuertest.New(t)
	fields := http.Header{
		"X-Sum": {"a"}, "X-Forwarded-For": {"b"}, "X_forwarded_for": {"c"}, "X-Http-Method-Override": {"d"}, "Remote-User": {"e"}, "Forwarded": {"for=f"},
	}
	all := slices.Sorted(maps.Keys(fields))
	passed := map[string][]string{
		"untrusted": {"X-Sum"},
		"kept":      {"Remote-User", "X-Sum"},
		"proxy":     {"Forwarded", "Remote-User", "X-Forwarded-For", "X-Sum"},
	}
	for peer, config := range map[string]middleware.Config{
		"untrusted": {},
		"kept":      {InsecureKeepFields: []string{"Remote-User"}},
		"proxy":     {TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	} {
		guard := issuer.Guard(t, config)
		var note trailerNote
		for kind, h := range map[string]http.Handler{
			"Require": guard.Require(scopes.Authenticated(), &note), "Public": guard.Require(scopes.Public(), &note),
			"Optional": guard.Require(scopes.Optional(scopes.Authenticated()), &note), "two guards": guard.Require(scopes.Public(), guard.Require(scopes.Authenticated(), &note)),
		} {
			var front []string
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(w, r)
				front = slices.Sorted(maps.Keys(r.Trailer))
			}))
			server.EnableHTTP2 = true
			server.StartTLS()
			for _, how := range []string{"announced", "announced, HTTP/2", "announced in part", "not announced"} {
				client := server.Client()
				if how != "announced, HTTP/2" {
					client = http1(server)
				}
				body := &trailing{Reader: strings.NewReader("text")}
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
				if err != nil {
					t.Fatal(err)
				}
				if kind != "Optional" {
					r.Header.Set("Authorization", "Bearer "+issuer.Sign(testissuer.Token{}))
				}
				announced := passed[peer]
				switch how {
				case "announced in part":
					announced = []string{"X-Sum"}
					r.Trailer = http.Header{"X-Sum": nil, "X-Http-Method-Override": nil}
				case "not announced":
					announced = nil
					r.Trailer = http.Header{}
				default:
					r.Trailer = http.Header{}
					for name := range fields {
						r.Trailer[name] = nil
					}
				}
				body.atEnd = func() { maps.Copy(r.Trailer, fields) }
				note = trailerNote{}
				response, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				_ = response.Body.Close()
				if want := passed[peer]; response.StatusCode != 200 || !slices.Equal(note.announced, announced) || !slices.Equal(note.came, want) {
					t.Errorf("%s, %s, %s: %d, a handler sees %q and then %q, want %q and %q", peer, kind, how, response.StatusCode, note.announced, note.came, announced, want)
				}
				if how != "not announced" && !slices.Equal(note.copied, note.came) {
					t.Errorf("%s, %s, %s: a copy has %q", peer, kind, how, note.copied)
				}
				if !slices.Equal(front, all) {
					t.Errorf("%s, %s, %s: %q in front", peer, kind, how, front)
				}
			}
			server.Close()
		}
	}
}

// http1 returns a client of server that uses HTTP/1.1.
func http1(server *httptest.Server) *http.Client {
	client := *server.Client()
	transport := client.Transport.(*http.Transport).Clone()
	transport.ForceAttemptHTTP2 = false
	transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
	client.Transport = transport
	return &client
}

// trailing is a body of unknown length that sets the trailer at its end.
type trailing struct {
	io.Reader

	atEnd func()
}

func (b *trailing) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil {
		b.atEnd()
	}
	return n, err
}
