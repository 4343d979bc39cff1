package validator

import (
	"log/slog"
	"reflect"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// TestReportRecord checks which result of a check stays in a report: the first failure,
// otherwise the first result.
func TestReportRecord(t *testing.T) {
	seen := cause.Details{Found: "a", Wanted: "b"}
	passed := Judgement{Check: checkKey, Reached: true, Passed: true, Found: "a", Wanted: "b"}
	first, second := refusal(UnknownKey, "the first"), refusal(BadSignature, "the second")
	failed := Judgement{Check: checkKey, Reached: true, Reason: UnknownKey, Found: "validator: the first"}
	for name, row := range map[string]struct {
		steps func(*report)
		want  Judgement
	}{
		"passed twice":             {func(r *report) { r.pass(checkKey, seen); r.record(checkKey, nil) }, passed},
		"passed, then failed":      {func(r *report) { r.pass(checkKey, seen); r.record(checkKey, first) }, failed},
		"failed, then passed":      {func(r *report) { r.record(checkKey, first); r.record(checkKey, nil) }, failed},
		"failed twice":             {func(r *report) { r.record(checkKey, first); r.record(checkKey, second) }, failed},
		"not reached, then passed": {func(r *report) { r.skip(checkKey, "why"); r.record(checkKey, nil) }, Judgement{Check: checkKey, Found: "why"}},
		"failed, then not reached": {func(r *report) { r.record(checkKey, first); r.skip(checkKey, "why") }, failed},
	} {
		r := &report{rows: map[string]Judgement{}}
		row.steps(r)
		if got := r.judgements(); !reflect.DeepEqual(got, []Judgement{row.want}) {
			t.Errorf("%s: %+v, want %+v", name, got, row.want)
		}
	}
}

// TestSeenRequired checks which claims count as missing under each profile.
func TestSeenRequired(t *testing.T) {
	for profile, want := range map[Profile]cause.Details{
		ProfileRFC9068: {Found: "no exp, no sub, no client_id, no iat, no jti", Wanted: "exp, sub, client_id, iat, jti"},
		ProfileLegacy:  {Found: "no exp, no sub", Wanted: "exp, sub"},
	} {
		if got := (&checkedIssuer{Issuer: Issuer{Profile: profile}}).seenRequired(new(tokenClaims)); got != want {
			t.Errorf("profile %d: %+v, want %+v", profile, got, want)
		}
	}
}

// TestAlmostEqualURLs checks that a URL is not almost itself.
func TestAlmostEqualURLs(t *testing.T) {
	const url = "https://as.example.com/a"
	for other, want := range map[string]bool{
		url: false, url + "/": true, "http://AS.example.com/a": true, "as.example.com/a/": true, "https://as.example.com/b": false,
	} {
		if got := isAlmost(other, url); got != want {
			t.Errorf("%s is almost %s: %t", other, url, got)
		}
	}
}

// TestDetailsOfNoCause checks that a refusal without a cause has no details.
func TestDetailsOfNoCause(t *testing.T) {
	if got := detailsOf(&Error{reason: UnknownKey}); got != (cause.Details{}) {
		t.Errorf("%+v", got)
	}
}

// TestExplainAcceptsNothing checks that Explain does not record that a token of the issuer
// was accepted.
func TestExplainAcceptsNothing(t *testing.T) {
	key := testkey.New(jose.ES256, "k")
	v, err := New(Config{Issuers: []Issuer{{
		URL: "https://issuer.test", Audiences: []string{"a"}, Keys: jwkscache.Static(testkey.Set(key)),
	}}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	accepted := 0
	v.issuers[0].configured = func() bool {
		accepted++
		return true
	}
	p := Presentation{Scheme: Bearer, Token: key.Sign(`{"alg":"ES256","kid":"k","typ":"at+jwt"}`,
		`{"iss":"https://issuer.test","aud":"a","sub":"s","client_id":"c","iat":1,"exp":99999999999,"jti":"j"}`)}
	done := v.Inspect(t.Context(), p)
	if done.Err != nil || accepted == 0 {
		t.Fatalf("%v, accepted %d times", done.Err, accepted)
	}
	before := accepted
	v.Explain(t.Context(), p, done)
	if accepted != before {
		t.Error("Explain counts as an acceptance")
	}
}
