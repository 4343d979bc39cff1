package middleware_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestMuxWarnings shows which open patterns have a warning: those that serve another
// spelling or method of a guarded path.
func TestMuxWarnings(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	const slash, bare, methods = "with a slash more", "without the slash at its end", "under all other methods"
	for _, test := range []struct {
		guarded, public string
		want            []string // "pattern|other patterns|what"
	}{
		{"GET /admin", "/", []string{"/|GET /admin|" + slash}},
		{"GET /admin", "/{rest...}", []string{"/{rest...}|GET /admin|" + slash}},
		{"GET /admin", "GET /", []string{"GET /|GET /admin|" + slash}},
		{"HEAD /admin", "GET /", []string{"GET /|HEAD /admin|" + slash}},
		{"/admin", "/", []string{"/|/admin|" + slash}},
		{"GET /admin/{id}; GET /b", "/admin/; /c/", []string{"/admin/|GET /admin/{id}|" + slash}},
		{"GET /admin; /", "/admin/", []string{"/admin/|GET /admin|" + slash}},
		{"GET /admin; GET /x/{$}", "/", []string{"/|GET /admin|" + slash}},
		{"GET a.test/admin", "/", []string{"/|GET a.test/admin|" + slash}},
		{"GET /admin", "a.test/", []string{"a.test/|GET /admin|" + slash}},
		{"GET /a; GET /b", "/", []string{`/|GET /a", "GET /b|` + slash}},
		{"GET /admin", "/admin", []string{"/admin|GET /admin|" + methods}},
		{"GET /admin/", "/admin/{rest...}", []string{"/admin/{rest...}|GET /admin/|" + methods}},
		{"GET /admin", "/{page}/{$}", []string{"/{page}/{$}|GET /admin|" + slash}},
		{"/admin", "GET /{page}/{$}", []string{"GET /{page}/{$}|/admin|" + slash}},
		{"GET /admin/{id}", "/{a}/{b}/{$}", []string{"/{a}/{b}/{$}|GET /admin/{id}|" + slash}},
		{"GET /admin/{id}", "/{a}/x/", []string{"/{a}/x/|GET /admin/{id}|" + slash}},
		{"GET /admin/", "/{page}", []string{"/{page}|GET /admin/|" + bare}},
		{"GET /admin/{$}", "/{page}", []string{"/{page}|GET /admin/{$}|" + bare}},
		{"GET /admin/{rest...}", "GET /{page}", []string{"GET /{page}|GET /admin/{rest...}|" + bare}},
		{"GET /admin/x/; GET /admin/{id}/", "/{a}/{b}", []string{`/{a}/{b}|GET /admin/x/", "GET /admin/{id}/|` + bare}},
		{"GET a.test/admin/", "/{page}", []string{"/{page}|GET a.test/admin/|" + bare}},
		{"GET /admin/; GET /b", "/{page}; /b/{$}", []string{"/{page}|GET /admin/|" + bare}},
		// Nothing is open.
		{"GET /admin; GET /admin/{$}", "/{page}/{$}", nil},
		{"GET /admin; POST /admin/{$}", "/{page}/{$}", nil},
		{"GET /admin", "/admin/{$}", nil},
		{"GET /admin", "a.test/admin", nil},
		{"GET /admin/{id}", "/admin/new/{$}", nil},
		{"GET /admin/; GET /admin", "/{page}", nil},
		{"GET /admin/; POST /admin", "/{page}", nil},
		{"GET /admin/", "/admin", nil},
		{"GET /admin/", "PUT /{page}", nil},
		{"GET /admin/{x}/; GET /a/b", "/a/{y}", nil},
		{"GET /admin", "", nil},
		{"", "/", nil},
		{"GET /admin; GET /admin/", "/", nil},
		{"GET /admin; GET /admin/{$}", "/", nil},
		{"GET /admin; POST /admin/", "/", nil}, // the guard answers GET /admin/
		{"GET /{page}; /{page}/{$}", "/", nil},
		{"GET /admin/", "/", nil},
		{"GET /{$}", "/", nil},
		{"GET /admin", "PUT /", nil},
		{"POST /admin", "GET /", nil},
		{"GET /admin", "PUT /admin", nil},
		{"GET /admin", "/other/", nil},
		{"GET /admin", "/{page}", nil},
		{"GET a.test/admin", "b.test/", nil},
	} {
		for i, open := range openPolicies {
			kind := []string{"public", "optional"}[i]
			for _, openFirst := range []bool{false, true} {
				got := muxOfOpen(guard, test.guarded, test.public, open, openFirst).Warnings()
				if len(got) != len(test.want) {
					t.Errorf("%s guarded, %s %s: %q, want %d", test.guarded, test.public, kind, got, len(test.want))
					continue
				}
				for i, want := range test.want {
					parts := strings.Split(want, "|")
					if !strings.HasPrefix(got[i], fmt.Sprintf("pattern %q is %s", parts[0], kind)) ||
						!strings.Contains(got[i], fmt.Sprintf("path of \"%s\" %s", parts[1], parts[2])) {
						t.Errorf("%s guarded, %s %s: %q, want %q", test.guarded, test.public, kind, got[i], want)
					}
				}
			}
		}
	}
}

// TestMuxWarningsList shows that a public pattern beside many guarded ones has one
// warning, which names ten of them.
func TestMuxWarningsList(t *testing.T) {
	mux := issuertest.New(t).Guard(t, middleware.Config{}).NewMux()
	mux.Handle("/", scopes.Public(), new(handler))
	for i := range 12 {
		mux.Handle(fmt.Sprintf("GET /r%d", i), scopes.Authenticated(), new(handler))
		got, rest := mux.Warnings(), " with a slash more"
		if i >= 10 {
			rest = fmt.Sprintf(` "GET /r9" and %d more with a slash more`, i-9)
		}
		if len(got) != 1 || strings.Count(got[0], `"GET /r`) != min(i+1, 10) || !strings.Contains(got[0], rest) {
			t.Errorf("%d guarded patterns: %q", i+1, got)
		}
	}
}

// TestUnsatisfiableWarnings shows that a route that refuses every token of the
// configured issuers has a warning when it is registered, under any router.
func TestUnsatisfiableWarnings(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	foreign, own := scopes.And(scopes.All("read"), scopes.Audience("https://other.test")), scopes.Audience("https://api.test", "https://other.test")
	mux := guard.NewMux()
	mux.Handle("GET /own", own, new(handler))
	mux.Handle("GET /foreign", foreign, new(handler))
	mux.Handle("GET /bound", scopes.SenderConstrained(), new(handler))
	got := mux.Warnings()
	if len(got) != 2 || !strings.HasPrefix(got[0], `pattern "GET /foreign": `) || !strings.Contains(got[0], `"https://other.test"`) ||
		!strings.HasPrefix(got[1], `pattern "GET /bound": `) {
		t.Errorf("%q", got)
	}
	if warnings := guard.Warnings(); len(warnings) != 0 {
		t.Errorf("Guard.Warnings has those of routes of the Mux: %q", warnings)
	}
	guard.Require(own, new(handler))
	for range 2 { // the warning is not repeated
		guard.Require(foreign, new(handler))
	}
	guard.Require(scopes.Optional(scopes.Audience("https://second.test")), new(handler))
	guard.Middleware(scopes.Audience("https://third.test"))
	if _, err := guard.Route("GET /", scopes.Audience("https://fourth.test")); err != nil {
		t.Fatal(err)
	}
	got = guard.Warnings()
	for i, audience := range []string{"other", "second", "third", "fourth"} {
		if len(got) != 4 || !strings.Contains(got[i], "https://"+audience+".test") || !strings.HasPrefix(got[i], "policy ") {
			t.Fatalf("%q", got)
		}
	}
	for i := range 200 {
		guard.Require(scopes.Audience(fmt.Sprint(i)), new(handler))
	}
	if got = guard.Warnings(); len(got) != 100 {
		t.Errorf("%d warnings are kept", len(got))
	}
	if slices.Reverse(got); slices.Equal(got, guard.Warnings()) {
		t.Error("a caller can change what is kept")
	}
}

// TestUnsatisfiableACR shows that a route has a warning if its acr values count for no
// issuer and it has no alternative.
func TestUnsatisfiableACR(t *testing.T) {
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{
		{URL: "https://a.test", Audiences: []string{"https://api.test"}, ACRs: []string{"gold"}, Grants: []string{"read"}},
		{URL: "https://b.test", Audiences: []string{"https://api.test"}, Grants: []string{"read"}},
	}})
	guard := issuertest.Guard(t, middleware.Config{Validator: v})
	for _, test := range []struct {
		policy scopes.Policy
		warned bool
	}{
		{scopes.ACR("gold"), false},
		{scopes.ACR("platinum", "gold"), false},
		{scopes.Or(scopes.ACR("platinum"), scopes.All("read")), false},
		{scopes.MFA("platinum"), false}, // the challenge names it, and no token needs it
		{scopes.ACR("platinum"), true},
		{scopes.And(scopes.All("read"), scopes.And(scopes.ACR("platinum"))), true},
	} {
		mux := guard.NewMux()
		mux.Handle("GET /", test.policy, new(handler))
		before := len(guard.Warnings())
		guard.Require(test.policy, new(handler))
		got, noted := mux.Warnings(), len(guard.Warnings())-before
		if (len(got) == 1) != test.warned || (noted == 1) != test.warned || test.warned && !strings.Contains(got[0], `"platinum"`) {
			t.Errorf("%v: %q, and %d of the Guard", test.policy, got, noted)
		}
	}
}

// TestUnsatisfiableFreshness shows that a route has a warning if it demands an answer of
// an issuer and no issuer, or not the one that it names, can be asked.
func TestUnsatisfiableFreshness(t *testing.T) {
	issuer := issuertest.New(t)
	without := issuer.Guard(t, middleware.Config{})
	with := issuertest.Guard(t, middleware.Config{Validator: issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{issuer.OpaqueConfig()}})})
	for _, test := range []struct {
		policy        scopes.Policy
		without, with int // warnings
	}{
		{scopes.All("read"), 0, 0},
		{scopes.FreshlyActive(0), 1, 0},
		{scopes.And(scopes.All("read"), scopes.FreshlyActive(time.Minute)), 1, 0},
		{scopes.OpaqueIssuer(issuer.URL()), 1, 0},
		{scopes.OpaqueIssuer("https://other.test"), 1, 1},
	} {
		for guard, want := range map[*middleware.Guard]int{without: test.without, with: test.with} {
			mux := guard.NewMux()
			mux.Handle("GET /", test.policy, new(handler))
			if got := mux.Warnings(); len(got) != want {
				t.Errorf("%v: %q, want %d", test.policy, got, want)
			}
		}
	}
}
