package middleware_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
)

// protocol records what a handler of Protect does.
type protocol struct {
	permitted []middleware.Permitted
	denials   []*middleware.Denial
	request   *http.Request
}

func (p *protocol) next(_ http.ResponseWriter, r *http.Request, permitted middleware.Permitted) {
	p.permitted, p.request = append(p.permitted, permitted), r
}

func (p *protocol) deny(w http.ResponseWriter, _ *http.Request, denial *middleware.Denial) {
	p.denials = append(p.denials, denial)
	denial.WriteFields(w.Header())
	w.WriteHeader(http.StatusTeapot)
}

// TestProtect covers R-CH-01: Protect decides and changes requests as Require does, and
// the adapter writes every refusal.
func TestProtect(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{ExposeHeaders: true, RefuseURLTokens: true})
	route, err := guard.Route("/s/m", scopes.All("read"))
	if err != nil {
		t.Fatal(err)
	}
	p := new(protocol)
	h := route.Protect(p.next, p.deny)
	token := issuer.Token(issuertest.Claims{"scope": "read", "sub": "alice"})

	r := request("Bearer " + token)
	r.Header.Set("X-Original-Url", "/admin")
	r.Pattern = "/"
	w := serve(h, r)
	if len(p.permitted) != 1 || len(p.denials) != 0 {
		t.Fatalf("%d permitted, %d denied", len(p.permitted), len(p.denials))
	}
	got := p.permitted[0]
	if got.Verdict.Token().Subject() != "alice" || got.Presentation.Token != token || got.Operation.Name != "/s/m" || got.Operation.Value != nil {
		t.Errorf("permitted %+v", got.Operation)
	}
	if middleware.TokenFrom(p.request.Context()).Subject() != "alice" || p.request.Header["X-Original-Url"] != nil {
		t.Error("the request was not changed as by Require")
	}
	if w.Header.Get("Cache-Control") != "private" || w.Header.Get("Access-Control-Expose-Headers") == "" {
		t.Errorf("header %v", w.Header)
	}

	certificate := new(x509.Certificate)
	for _, verified := range []bool{false, true} {
		r := request("Bearer " + token)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}}
		if verified {
			r.TLS.VerifiedChains = [][]*x509.Certificate{{certificate}}
		}
		p.permitted = nil
		serve(h, r)
		if len(p.permitted) != 1 || (p.permitted[0].Presentation.Certificate == certificate) != verified {
			t.Errorf("verified %t: certificate %v", verified, p.permitted)
		}
	}

	bare := request("Bearer " + token)
	bare.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{certificate}}} // of a transport of its own
	p.permitted = nil
	serve(h, bare)
	if len(p.permitted) != 1 || p.permitted[0].Presentation.Certificate != nil {
		t.Errorf("a chain without certificates of the peer: certificate %v", p.permitted)
	}

	inURL := request("Bearer " + token)
	inURL.URL.RawQuery = "access_token=x"
	noURL := request("Bearer " + token)
	noURL.URL = nil
	for class, r := range map[middleware.Class]*http.Request{
		middleware.ClassNoCredentials: request(), middleware.ClassInvalidRequest: inURL,
		middleware.ClassInsufficientScope: request("Bearer " + issuer.Token(issuertest.Claims{"scope": "write"})),
	} {
		p.denials = nil
		w := serve(h, r)
		if len(p.denials) != 1 || p.denials[0].Class != class || w.StatusCode != http.StatusTeapot {
			t.Fatalf("%s: %v, status %d", class, p.denials, w.StatusCode)
		}
		if !slices.Equal(w.Header.Values("WWW-Authenticate"), p.denials[0].Challenges) || w.Header.Get("Cache-Control") != "no-store" ||
			w.Header.Get("Content-Type") != "" || len(w.Header.Values("Access-Control-Expose-Headers")) != 1 {
			t.Errorf("%s: header %v", class, w.Header)
		}
	}
	p.denials = nil
	if serve(h, noURL); len(p.denials) != 1 {
		t.Error("a request without a URL")
	}
	if len(p.permitted) != 1 {
		t.Error("a refused request was permitted")
	}
	new(middleware.Denial).WriteFields(nil) // does nothing
	for _, route := range []*middleware.Route{nil, new(middleware.Route)} {
		if w := serve(route.Protect(p.next, p.deny), request()); w.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("a Route that no Guard made: %d", w.StatusCode)
		}
	}
}

// TestProtectUnlisted covers R-GR-08: the adapter also writes the refusals of the route of
// unlisted operations, which permits nothing.
func TestProtectUnlisted(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{})
	methods := []string{http.MethodGet, http.MethodPost}
	other := guard.Unlisted(methods...)
	methods[0] = "changed"
	for class, route := range map[middleware.Class]*middleware.Route{middleware.ClassNotFound: guard.Unlisted(), middleware.ClassMethodNotAllowed: other} {
		p := new(protocol)
		h := route.Protect(p.next, p.deny)
		serve(h, request())
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request("Bearer "+issuer.Token(nil)))
		if len(p.permitted) != 0 || len(p.denials) != 2 || p.denials[0].Class != middleware.ClassNoCredentials || p.denials[1].Class != class {
			t.Fatalf("%s: %v", class, p.denials)
		}
		want := ""
		if class == middleware.ClassMethodNotAllowed {
			want = "GET, POST"
		}
		if got := w.Header().Get("Allow"); got != want {
			t.Errorf("Allow %q, want %q", got, want)
		}
	}
}
