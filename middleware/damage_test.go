package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Canaries in claims that causes never show.
const (
	canarySubject = "canary-of-the-subject-4711"
	canaryID      = "canary-of-the-token-id-4712"
)

// damaged are tokens that are damaged at every 50th byte: of the token, of the payload
// and of the header. The latter two are signed after they were damaged.
func damaged(key testkey.Key) map[string]string {
	header := `{"alg":"EdDSA","typ":"at+jwt","kid":"` + key.ID + `"}`
	payload := `{"iss":"https://issuer.test","sub":"` + canarySubject + `","aud":"https://api.test","exp":4000000000,"iat":1700000000,"jti":"` + canaryID +
		`","client_id":"client","scope":"read","email":"` + canarySubject + `@example.com","groups":["` + canarySubject + `"]}`
	good := key.Sign(header, payload)
	all := map[string]string{}
	for at := 0; at < len(good); at += 50 {
		for name, text := range map[string]string{"star": "*", "padding": "=", "dot": ".", "space": " ", "slash": "/", "nothing": "", "other": "-_", "UTF-8": "\xff", "line": "\r\n"} {
			all[fmt.Sprintf("token, %s at %d", name, at)] = good[:at] + text + good[at+1:]
		}
		all[fmt.Sprintf("token, cut at %d", at)] = good[:at]
	}
	for part, document := range map[string]string{"header": header, "payload": payload} {
		signed := func(changed string) string {
			if part == "header" {
				return key.Sign(changed, payload)
			}
			return key.Sign(header, changed)
		}
		for at := 0; at < len(document); at += 50 {
			for name, text := range map[string]string{
				"UTF-8": "\xff", "quote": `"`, "brace": "}", "control": "\x00", "escape": `\u`, "surrogate": `\ud800`, "nothing": "", "number": "1e999",
			} {
				all[fmt.Sprintf("%s, %s at %d", part, name, at)] = signed(document[:at] + text + document[at+1:])
			}
			all[fmt.Sprintf("%s, cut at %d", part, at)] = signed(document[:at])
		}
		for i, c := range document {
			if c == ',' { // a member starts behind it
				all[fmt.Sprintf("%s, twice at %d", part, i)] = signed(document[:i+1] + `"` + canaryID + `":1,"` + canaryID + `":2,` + document[i+1:])
			}
		}
	}
	for _, number := range []string{"1e999", "-1", "99999999999999999999", "1.5e308", "null", `"4000000000"`} {
		all["exp "+number] = key.Sign(header, strings.Replace(payload, "4000000000", number, 1))
	}
	return all
}

// TestDamagedTokens (A2, R-OB-01): whatever is damaged in a token, the answer, the text of
// the refusal and its cause have no 12 bytes of it, and the cause says what was found.
func TestDamagedTokens(t *testing.T) {
	key := testkey.New(jose.EdDSA, "k1")
	var decided []middleware.Decision
	guard := issuertest.Guard(t, middleware.Config{
		Validator: issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{{
			URL: "https://issuer.test", Audiences: []string{"https://api.test"}, Keys: jwkscache.Static(testkey.Set(key)),
			Mappings: []validator.Mapping{{Claim: []string{"groups"}, To: validator.ToRole}},
		}}}),
		Trace: &middleware.Trace{Decided: func(_ context.Context, d middleware.Decision) { decided = append(decided, d) }},
	})
	mux := guard.NewMux()
	mux.HandleFunc("GET /", scopes.All("read"), func(http.ResponseWriter, *http.Request) {})
	route, err := guard.Route("any", scopes.All("read"))
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for name, token := range damaged(key) {
		secrets := append(issuertest.SecretsOf(token), token, canarySubject, canaryID)
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		decided = nil
		mux.ServeHTTP(w, r)
		verdict := route.Check(t.Context(), issuertest.Bearer(token), scopes.Operation{})
		if len(decided) != 2 {
			t.Fatalf("%s: %d decisions", name, len(decided))
		}
		if (w.Code == http.StatusOK) != (verdict.Denial() == nil) {
			t.Errorf("%s: status %d, and %v", name, w.Code, verdict.Denial())
		}
		if verdict.Denial() == nil { // such as another character in an unknown claim
			continue
		}
		refused++
		if piece := issuertest.Shows(fmt.Sprint(w.Header(), w.Body), secrets...); piece != "" {
			t.Errorf("%s: the answer shows %q", name, piece)
		}
		for _, d := range decided {
			found, ok := cause.Of(d.Denial)
			if !ok || found.Details().Found == "" {
				t.Errorf("%s: %s: the cause says nothing of what was found: %v", name, d.Denial.Reason, d.Denial.Cause())
				continue
			}
			if piece := issuertest.Shows(sinks(d), secrets...); piece != "" {
				t.Errorf("%s: %v shows %q", name, found, piece)
			}
		}
	}
	if refused < 150 {
		t.Errorf("%d tokens were refused", refused)
	}
}

// sinks are the texts of a decision in a log, and of the errors in its chain.
func sinks(d middleware.Decision) string {
	var b strings.Builder
	slog.New(slog.NewJSONHandler(&b, nil)).Error("denied", "decision", d, "denial", d.Denial, "cause", d.Denial.Cause())
	for err := error(d.Denial); err != nil; err = errors.Unwrap(err) {
		fmt.Fprintf(&b, "%v %+v %#v %q\n", err, err, err, err)
	}
	return b.String()
}
