package middleware_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// TestExtraction covers R-BT-01, R-BT-02, R-BT-03, R-BT-04, R-BT-09 and R-CH-02.
func TestExtraction(t *testing.T) {
	issuer := issuertest.New(t)
	good := issuer.Sign(testissuer.Token{})
	for _, test := range []struct {
		name   string
		fields []string
		status int
	}{
		{"Bearer", []string{"Bearer " + good}, 200},
		{"bearer", []string{"bearer " + good}, 200},
		{"BEARER", []string{"BEARER " + good}, 200},
		{"bEaReR", []string{"bEaReR " + good}, 200},
		{"more spaces", []string{"Bearer    " + good}, 200},
		{"outer white space", []string{" \tBearer " + good + " \t"}, 200},
		{"none", nil, 401},
		{"Basic", []string{"Basic dTpw"}, 401},
		{"Negotiate", []string{"Negotiate"}, 401},
		{"misspelt", []string{"Barer " + good}, 401},
		{"longer scheme", []string{"Bearer-invalid"}, 401},
		{"longer scheme with token", []string{"Bearers " + good}, 401},
		{"tab", []string{"Bearer\t" + good}, 400},
		{"space and tab", []string{"Bearer \t" + good}, 400},
		{"no separator", []string{"Bearer=" + good}, 400},
		{"comma", []string{"Bearer," + good}, 400},
		{"no token", []string{"Bearer"}, 400},
		{"no token but spaces", []string{"Bearer   "}, 400},
		{"empty field", []string{""}, 400},
		{"only a token in quotes", []string{`"` + good + `"`}, 400},
		{"quoted token", []string{`Bearer "` + good + `"`}, 400},
		{"inner space", []string{"Bearer " + good[:20] + " " + good[20:]}, 400},
		{"trailing words", []string{"Bearer " + good + " m a l"}, 400},
		{"control octet", []string{"Bearer " + good + "\x01"}, 400},
		{"non-ASCII octet", []string{"Bearer " + good + "\xe9"}, 400},
		{"two lines", []string{"Bearer " + good, "Bearer bad"}, 400},
		{"two lines, bad first", []string{"Bearer bad", "Bearer " + good}, 400},
		{"two equal lines", []string{"Bearer " + good, "Bearer " + good}, 400},
		{"two in one line", []string{"Bearer " + good + ", Bearer " + good}, 400},
		{"Bearer and DPoP in one line", []string{"Bearer " + good + ", DPoP " + good}, 400},
		{"Bearer and DPoP", []string{"Bearer " + good, "DPoP " + good}, 400},
		{"behind another scheme", []string{"Basic dTpw, Bearer " + good}, 400},
		{"behind another scheme, DPoP", []string{`Digest a="b",dpop ` + good}, 400},
		{"parameters of another scheme", []string{`Digest username="Bearer x", realm="a", bearer="b"`}, 401},
		{"words behind a comma", []string{"Custom a, b c"}, 401},
		{"bracket for a space", []string{"Bearer[ " + good}, 400},
		{"brace for a space", []string{"Bearer{ " + good}, 400},
		{"digit more", []string{"Bearer1 " + good}, 401},
		{"padding", []string{"Bearer " + good + "="}, 401}, // a token68, and no JWS
		{"DPoP", []string{"DPoP " + good}, 401},
		{"too large", []string{"Bearer " + strings.Repeat("a", 16385)}, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			var h handler
			response := serve(issuer.Guard(t, middleware.Config{}).Require(scopes.Authenticated(), &h), request(test.fields...))
			if response.StatusCode != test.status || h.ran != 0 != (test.status == 200) {
				t.Errorf("status %d, handler ran %d times, want %d", response.StatusCode, h.ran, test.status)
			}
			challenges := response.Header.Values("WWW-Authenticate")
			if (len(challenges) == 1) != (test.status != 200) {
				t.Errorf("challenges %q", challenges)
			}
			if bare := len(test.fields) == 0; bare && !slices.Equal(challenges, []string{plainChallenge}) {
				t.Errorf("challenges %q, want a plain one", challenges)
			}
		})
	}
}

// TestOtherPlaces covers R-BT-05, R-BT-07, R-BT-09: a token that is not in the
// Authorization field does not count, and the body is not read.
func TestOtherPlaces(t *testing.T) {
	issuer := issuertest.New(t)
	good := issuer.Sign(testissuer.Token{})
	for name, change := range map[string]func(*http.Request){
		"query":               func(r *http.Request) { r.URL.RawQuery = "access_token=" + good },
		"cookie":              func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "access_token", Value: good}) },
		"Proxy-Authorization": func(r *http.Request) { r.Header.Set("Proxy-Authorization", "Bearer "+good) },
		"X-Access-Token":      func(r *http.Request) { r.Header.Set("X-Access-Token", good) },
		"WebSocket protocol":  func(r *http.Request) { r.Header.Set("Sec-WebSocket-Protocol", "bearer, "+good) },
		"identity headers":    func(r *http.Request) { r.Header.Set("X-Auth-Request-User", "admin") },
		"form": func(r *http.Request) {
			r.Method = http.MethodPost
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Body = io.NopCloser(unread{t})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := request()
			change(r)
			var h handler
			response := serve(issuer.Guard(t, middleware.Config{}).Require(scopes.Authenticated(), &h), r)
			if response.StatusCode != 401 || response.Header.Get("WWW-Authenticate") != plainChallenge || h.ran != 0 {
				t.Errorf("%d %v", response.StatusCode, response.Header)
			}
		})
	}
}

// unread fails the test when it is read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// TestTokenInURL covers R-BT-06.
func TestTokenInURL(t *testing.T) {
	issuer := issuertest.New(t)
	good := issuer.Sign(testissuer.Token{})
	for _, test := range []struct {
		query   string
		refuse  bool
		status  int
		noticed int
	}{
		{"a=b", false, 200, 0},
		{"xaccess_token=b&access_tokens=c&b=access_token", false, 200, 0},
		{"a=%zz&%zz=access_token", false, 200, 0},
		{"access_token=bad", false, 200, 1},
		{"a=b&access_token", false, 200, 1},
		{"a=b&access%5Ftoken=bad&c", false, 200, 1},
		{"+access_token%00%=bad", false, 200, 1},
		{"access%5Ftoken%00%zz=bad", true, 400, 1},
		{"access_token%=bad", true, 200, 0},
		{"access_token=bad", true, 400, 1},
		{"a=b", true, 200, 0},
	} {
		noticed := 0
		config := middleware.Config{
			RefuseURLTokens: test.refuse,
			Trace:           &middleware.Trace{TokenInURL: func(context.Context) { noticed++ }},
		}
		var h handler
		r := request("Bearer " + good)
		r.URL.RawQuery = test.query
		response := serve(issuer.Guard(t, config).Require(scopes.Authenticated(), &h), r)
		if response.StatusCode != test.status || noticed != test.noticed {
			t.Errorf("%+v: status %d, noticed %d", test, response.StatusCode, noticed)
		}
	}
	r := request()
	r.URL.RawQuery = "access_token=" + good
	response := serve(issuer.Guard(t, middleware.Config{RefuseURLTokens: true}).Require(scopes.Authenticated(), new(handler)), r)
	if response.StatusCode != 401 {
		t.Errorf("a token in the URL alone: %d, want 401", response.StatusCode)
	}
}
