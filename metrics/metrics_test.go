package metrics_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/metrics"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// api is an API with metrics.
type api struct {
	issuer   *issuertest.Issuer
	guard    *middleware.Guard
	mux      *middleware.Mux
	registry *prometheus.Registry
}

func newAPI(tb testing.TB) *api {
	tb.Helper()
	trace, registry := switchOn(tb)
	a := &api{issuer: issuertest.New(tb), registry: registry}
	a.guard = a.issuer.Guard(tb, middleware.Config{Trace: trace})
	keep(tb, a.guard)
	a.mux = a.guard.NewMux()
	serve := func(http.ResponseWriter, *http.Request) {}
	a.mux.HandleFunc("GET /orders/{id}", scopes.All("read"), serve)
	a.mux.HandleFunc("GET /open", scopes.Public(), serve)
	a.mux.HandleFunc("GET /optional", scopes.Optional(scopes.All("read")), serve)
	return a
}

// call sends a request with this Authorization, if it is not "".
func (a *api) call(method, path, authorization string) int {
	r := httptest.NewRequest(method, "http://api.test/", http.NoBody)
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(path, "?")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	a.mux.ServeHTTP(w, r)
	return w.Code
}

// TestDecisions (R-OB-09) checks that each decision is counted once by issuer and once by
// route, under the outcome and reason that docs/metrics.md names, and that requests to
// public routes are told apart (A14).
func TestDecisions(t *testing.T) {
	a := newAPI(t)
	good := "Bearer " + a.issuer.Sign(testissuer.Token{Scope: "read"})
	weak := "Bearer " + a.issuer.Sign(testissuer.Token{})
	for _, row := range []struct {
		name, method, path, authorization string
		status                            int
		issuer, route, outcome, reason    string
	}{
		{"passes", "GET", "/orders/7", good, 200, a.issuer.URL(), "GET /orders/{id}", "allowed", "none"},
		{"from the cache", "GET", "/orders/8", good, 200, a.issuer.URL(), "GET /orders/{id}", "allowed", "none"},
		{"lacks a scope", "GET", "/orders/7", weak, 403, a.issuer.URL(), "GET /orders/{id}", "denied", "insufficient_scope"},
		{"malformed token", "GET", "/orders/7", "Bearer a", 401, "none", "GET /orders/{id}", "denied", "malformed_token"},
		{"malformed request", "GET", "/orders/7", "Bearer", 400, "none", "GET /orders/{id}", "denied", "malformed_request"},
		{"no token", "GET", "/orders/7", "", 401, "none", "GET /orders/{id}", "denied", "no_credentials"},
		{"public", "GET", "/open", good, 200, "none", "GET /open", "anonymous", "none"},
		{"anonymous", "GET", "/optional", "", 200, "none", "GET /optional", "anonymous", "none"},
		{"optional with a token", "GET", "/optional", good, 200, a.issuer.URL(), "GET /optional", "allowed", "none"},
		{"no route", "GET", "/none", good, 404, a.issuer.URL(), "unlisted", "not_found", "forbidden"},
		{"another method", "PUT", "/open", good, 405, a.issuer.URL(), "unlisted", "not_found", "forbidden"},
		{"no route, no token", "GET", "/none", "", 401, "none", "unlisted", "denied", "no_credentials"},
		{"ambiguous path", "GET", "/orders/../x", good, 400, "none", "ambiguous", "denied", "malformed_request"},
	} {
		before := scrape(t, a.registry)
		if status := a.call(row.method, row.path, row.authorization); status != row.status {
			t.Errorf("%s: status %d, want %d", row.name, status, row.status)
		}
		after := scrape(t, a.registry)
		labels := []string{`outcome="` + row.outcome + `"`, `reason="` + row.reason + `"`}
		byIssuer, byRoute := slices.Concat(labels, []string{`issuer="` + row.issuer + `"`}), slices.Concat(labels, []string{`transport="http"`, `route="` + row.route + `"`})
		for family, of := range map[string][]string{"sallyport_decisions_total": byIssuer, "sallyport_route_decisions_total": byRoute} {
			if n := after.sum(family, of...) - before.sum(family, of...); n != 1 {
				t.Errorf("%s: %s%v rose by %v", row.name, family, of, n)
			}
			if n := after.sum(family) - before.sum(family); n != 1 {
				t.Errorf("%s: %s rose by %v in all", row.name, family, n)
			}
		}
	}
}

// TestCache (R-OB-09) checks what is counted as a hit and a miss of the cache, and where
// the durations are observed.
func TestCache(t *testing.T) {
	a := newAPI(t)
	good := "Bearer " + a.issuer.Sign(testissuer.Token{Scope: "read"})
	weak := "Bearer " + a.issuer.Sign(testissuer.Token{})
	for _, token := range []string{good, good, good, weak, weak, "Bearer a"} {
		a.call("GET", "/orders/7", token)
	}
	page := scrape(t, a.registry)
	for series, want := range map[string]float64{
		"sallyport_token_cache_hits_total":                               3,
		"sallyport_token_cache_misses_total":                             2,
		"sallyport_token_cache_entries":                                  2,
		"sallyport_token_cache_evictions_total":                          0,
		`sallyport_validation_duration_seconds_count{source="verified"}`: 2,
		`sallyport_validation_duration_seconds_count{source="none"}`:     0,
	} {
		if got := page.values()[series]; got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
	if page.sum("sallyport_token_cache_bytes") < 100 {
		t.Error("the tokens in the cache take no memory")
	}
	for i := range 20_000 {
		_ = i
		a.call("GET", "/orders/7", good)
	}
	if n := scrape(t, a.registry).values()[`sallyport_validation_duration_seconds_count{source="cached"}`]; n < 100 || n > 1000 {
		t.Errorf("%v of 20000 durations of cached tokens were observed; one in 64 is 312", n)
	}
}

// TestEvictions (R-OB-09) checks that tokens that give way to others in the cache are
// counted.
func TestEvictions(t *testing.T) {
	trace, registry := switchOn(t)
	issuer := issuertest.New(t)
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{issuer.Config()}, Cache: validator.CacheConfig{Entries: 64}})
	guard := issuertest.Guard(t, middleware.Config{Validator: v, Trace: trace})
	keep(t, guard)
	route, err := guard.Route("x", scopes.Authenticated())
	if err != nil {
		t.Fatal(err)
	}
	const tokens = 200
	for range tokens {
		if denial := route.Check(t.Context(), issuer.Bearer(nil), scopes.Operation{}).Denial(); denial != nil {
			t.Fatal(denial.Cause())
		}
	}
	values := scrape(t, registry).values()
	if in, out := values["sallyport_token_cache_entries"], values["sallyport_token_cache_evictions_total"]; in+out != tokens || out < tokens-64 {
		t.Errorf("%v entries and %v evictions, of %d tokens", in, out, tokens)
	}
}

// TestReady checks that the gauge is 0 while no issuer can be judged, and 1 while one can.
func TestReady(t *testing.T) {
	trace, registry := switchOn(t)
	one, two := issuertest.At(t, "https://one.test"), issuertest.At(t, "https://two.test")
	two.Down(true)
	guard := issuertest.Guard(t, middleware.Config{Trace: trace, Validator: issuertest.Validator(t, validator.Config{
		Issuers: []validator.Issuer{one.Config(one.Fetched, all), two.Config(two.Fetched, all)},
	})})
	if page := scrape(t, registry); !page.has("sallyport_ready") || page.sum("sallyport_ready") != 0 {
		t.Error("ready before the first fetch")
	}
	if err := guard.Warm(t.Context()); err == nil {
		t.Error("Warm reports nothing")
	}
	keep(t, guard)
	if page := scrape(t, registry); page.sum("sallyport_ready") != 1 || page.sum("sallyport_keys_state", `issuer="https://two.test"`, `state="unavailable"`) != 1 {
		t.Error("not ready, or the keys of the other issuer are not unavailable")
	}
}

// TestFromTheStart (A7) checks that the series of issuers exist before the first request,
// and that no later event adds one to them.
func TestFromTheStart(t *testing.T) {
	trace, registry := switchOn(t)
	keys, asked := issuertest.At(t, "https://keys.test"), issuertest.At(t, "https://asked.test")
	guard := issuertest.Guard(t, middleware.Config{Trace: trace, Validator: issuertest.Validator(t, validator.Config{
		Issuers: []validator.Issuer{keys.Config(keys.Fetched, all), asked.OpaqueConfig(all)},
		ResolveIssuer: func(context.Context, string) (validator.Issuer, error) {
			return validator.Issuer{}, validator.ErrUnknownIssuer
		},
	})})
	page := scrape(t, registry)
	if page.sum("sallyport_ready") != 1 { // one of them can be judged
		t.Error("not ready")
	}
	for _, issuer := range []string{keys.URL(), asked.URL(), "resolved", "none"} {
		label := `issuer="` + issuer + `"`
		for _, reason := range validator.Reasons() {
			if !page.has("sallyport_decisions_total", label, `reason="`+string(reason)+`"`) {
				t.Errorf("%s: no decisions because of %s", issuer, reason)
			}
			if !page.has("sallyport_held_requests_ended_total", label, `reason="`+string(reason)+`"`) {
				t.Errorf("%s: no ends because of %s", issuer, reason)
			}
		}
		for _, outcome := range []string{"allowed", "anonymous", "denied", "not_found", "undetermined", "timed_out", "canceled", "deadline_exceeded"} {
			if !page.has("sallyport_decisions_total", label, `outcome="`+outcome+`"`) {
				t.Errorf("%s: no outcome %s", issuer, outcome)
			}
		}
		fetches := issuer == keys.URL() || issuer == "resolved"
		for _, family := range []string{
			"sallyport_key_fetches_total", "sallyport_keys_state", "sallyport_unknown_kid_requests_total", "sallyport_key_fetch_duration_seconds_count",
			"sallyport_key_fetch_consecutive_failures", "sallyport_unknown_kid_interval_seconds",
		} {
			if page.has(family, label) != fetches {
				t.Errorf("%s: %s exists: %t", issuer, family, !fetches)
			}
		}
		asks := issuer == asked.URL() || issuer == "resolved"
		for _, family := range []string{
			"sallyport_introspections_total", "sallyport_introspection_state", "sallyport_introspections_in_flight", "sallyport_introspection_duration_seconds_count",
		} {
			if page.has(family, label) != asks {
				t.Errorf("%s: %s exists: %t", issuer, family, !asks)
			}
		}
	}
	if page.has("sallyport_keys_age_seconds") || page.has("sallyport_keys_usable_seconds") {
		t.Error("keys that were never fetched have an age")
	}
	if err := guard.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitFetches(t, registry, 1)
	after := scrape(t, registry)
	for series := range after.values() {
		if _, before := page.values()[series]; !before && !strings.HasPrefix(series, "sallyport_keys_age_seconds") && !strings.HasPrefix(series, "sallyport_keys_usable_seconds") {
			t.Errorf("%s came with a fetch", series)
		}
	}
	want := map[string]float64{
		"sallyport_ready": 1,
		`sallyport_keys_state{issuer="https://keys.test",state="fresh"}`:                            1,
		`sallyport_keys_state{issuer="https://keys.test",state="unavailable"}`:                      0,
		`sallyport_key_fetches_total{cause="missing",issuer="https://keys.test",outcome="fetched"}`: 1,
		`sallyport_key_fetch_duration_seconds_count{issuer="https://keys.test"}`:                    1,
		`sallyport_keys_in_use{issuer="https://keys.test"}`:                                         1,
		`sallyport_introspection_state{issuer="https://asked.test",state="asking"}`:                 1,
		`sallyport_unknown_kid_interval_seconds{issuer="https://keys.test"}`:                        1,
	}
	for series, value := range want {
		if got, ok := after.values()[series]; !ok || got != value {
			t.Errorf("%s is %v, want %v", series, got, value)
		}
	}
	runtime.KeepAlive(guard)
	if usable := after.sum("sallyport_keys_usable_seconds"); usable < 60 {
		t.Errorf("the keys are usable for %v s", usable)
	}
}

// all lets an issuer grant all scopes, which several issuers need.
func all(config *validator.Issuer) { config.Grants = []string{validator.AllScopes} }

// TestIntrospection (A5) checks that answers "not active" are a success of the issuer, and
// that failures of the issuer are told by their kind and enter no refusal.
func TestIntrospection(t *testing.T) {
	synctest.Test(t, testIntrospection)
}

func testIntrospection(t *testing.T) {
	trace, registry := switchOn(t)
	issuer := issuertest.New(t)
	guard := issuertest.Guard(t, middleware.Config{Trace: trace, Validator: issuertest.Validator(t, validator.Config{
		Issuers: []validator.Issuer{issuer.OpaqueConfig()},
	})})
	keep(t, guard)
	route, err := guard.Route("x", scopes.Authenticated())
	if err != nil {
		t.Fatal(err)
	}
	check := func(token string) {
		route.Check(t.Context(), issuertest.Bearer(token), scopes.Operation{})
	}
	const inactive = 500
	for range inactive {
		token := issuer.OpaqueToken(nil)
		issuer.Revoke(token)
		check(token)
	}
	check(issuer.OpaqueToken(nil))
	label := `issuer="` + issuer.URL() + `"`
	page := scrape(t, registry)
	for _, row := range []struct {
		outcome string
		want    float64
	}{{"inactive", inactive}, {"active", 1}} {
		if n := page.sum("sallyport_introspections_total", label, `outcome="`+row.outcome+`"`); n != row.want {
			t.Errorf("%v %s, want %v", n, row.outcome, row.want)
		}
	}
	if n := page.sum("sallyport_introspections_total"); n != inactive+1 {
		t.Errorf("%v questions, want %d", n, inactive+1)
	}
	if n := page.sum("sallyport_decisions_total", `outcome="denied"`, `reason="inactive"`); n != inactive {
		t.Errorf("%v refusals of inactive tokens, want %d", n, inactive)
	}
	if page.sum("sallyport_introspection_state", `state="asking"`) != 1 || page.sum("sallyport_introspection_state") != 1 {
		t.Error("the state of the issuer is another than asking")
	}
	if n := page.values()[`sallyport_introspection_duration_seconds_count{`+label+`}`]; n != inactive+1 {
		t.Errorf("%v durations", n)
	}

	time.Sleep(time.Minute) // the verdicts are too old to keep the breaker closed
	issuer.Down(true)
	for range 50 {
		check(issuer.OpaqueToken(nil))
	}
	after := scrape(t, registry)
	failed := after.sum("sallyport_introspections_total", `outcome="unreachable"`)
	held := after.sum("sallyport_introspections_total", `outcome="`+string(introspect.BreakerOpen)+`"`)
	if failed == 0 || held == 0 || failed+held != 50 {
		t.Errorf("%v failures and %v that were not sent, of 50", failed, held)
	}
	if n := after.sum("sallyport_decisions_total", `outcome="undetermined"`, `reason="unavailable"`); n != 50 {
		t.Errorf("%v undetermined decisions, want 50", n)
	}
	if n := after.sum("sallyport_decisions_total", `outcome="denied"`); n != inactive {
		t.Errorf("%v refusals, want those of before", n)
	}
	if after.sum("sallyport_introspection_state", `state="failing"`) != 1 || after.sum("sallyport_introspection_state") != 1 {
		t.Error("the breaker is not shown")
	}
}

// TestTwice (A10) checks that a second New with one registerer is an error that says what
// to do, that a label or unregistering helps, and that two Guards may have one Trace.
func TestTwice(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	trace, err := metrics.New(registry)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := metrics.New(registry); err == nil || !strings.Contains(err.Error(), "both Guards") || !strings.Contains(err.Error(), "WrapRegistererWith") {
		t.Errorf("a second New: %v", err)
	}
	if _, err := metrics.New(nil); err == nil {
		t.Error("no error for a nil registerer")
	}
	if _, err := metrics.New(prometheus.WrapRegistererWith(prometheus.Labels{"guard": "admin"}, registry)); err == nil {
		t.Error("series with and without the label in one registerer") // prometheus does not take this
	}
	labelled := prometheus.NewPedanticRegistry()
	public, err1 := metrics.New(prometheus.WrapRegistererWith(prometheus.Labels{"guard": "public"}, labelled))
	admin, err2 := metrics.New(prometheus.WrapRegistererWith(prometheus.Labels{"guard": "admin"}, labelled))
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	issuer := issuertest.New(t)
	for _, row := range []struct {
		trace *middleware.Trace
		calls int
	}{{trace, 1}, {trace, 2}, {public, 3}, {admin, 4}} {
		route, err := issuer.Guard(t, middleware.Config{Trace: row.trace}).Route("x", scopes.Authenticated())
		if err != nil {
			t.Fatal(err)
		}
		for range row.calls {
			route.Check(t.Context(), issuer.Bearer(nil), scopes.Operation{})
		}
	}
	if n := scrape(t, registry).sum("sallyport_decisions_total"); n != 3 {
		t.Errorf("%v decisions of two Guards with one Trace, want 3", n)
	}
	page := scrape(t, labelled)
	if p, a := page.sum("sallyport_decisions_total", `guard="public"`), page.sum("sallyport_decisions_total", `guard="admin"`); p != 3 || a != 4 {
		t.Errorf("%v and %v decisions, want 3 and 4", p, a)
	}
}

// TestUnregister (A10) checks that a Collector can be unregistered, and that New works
// again after that.
func TestUnregister(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	collector := metrics.NewCollector()
	if err := registry.Register(collector); err != nil {
		t.Fatal(err)
	}
	if trace := collector.Trace(); trace == nil || trace != collector.Trace() {
		t.Error("no Trace, or another one each time")
	}
	if !registry.Unregister(collector) {
		t.Error("not unregistered")
	}
	if page := scrape(t, registry); len(page.values()) != 0 {
		t.Errorf("series after Unregister:\n%s", page)
	}
	if _, err := metrics.New(registry); err != nil {
		t.Error(err)
	}
}

// TestParallel (A10) checks that Guards in tests that run at once have metrics of their
// own.
func TestParallel(t *testing.T) {
	t.Parallel()
	issuer := issuertest.New(t)
	token := issuer.Token(nil)
	for i := range 100 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			trace, registry := switchOn(t)
			route, err := issuer.Guard(t, middleware.Config{Trace: trace}).Route("x", scopes.Authenticated())
			if err != nil {
				t.Fatal(err)
			}
			for range i {
				route.Check(t.Context(), issuertest.Bearer(token), scopes.Operation{})
			}
			if n := scrape(t, registry).sum("sallyport_decisions_total"); n != float64(i) { // also if the Guard was garbage-collected
				t.Errorf("%v decisions, want %d", n, i)
			}
		})
	}
}

// TestZero checks that a nil and a zero Collector have no series and do not panic.
func TestZero(t *testing.T) {
	var none *metrics.Collector
	for _, c := range []*metrics.Collector{none, new(metrics.Collector)} {
		if c.Trace() != nil {
			t.Error("a Trace")
		}
		c.Forget(nil)
		descs, values := make(chan *prometheus.Desc, 100), make(chan prometheus.Metric, 100)
		c.Describe(descs)
		c.Collect(values)
		if len(descs)+len(values) != 0 {
			t.Error("it has series")
		}
	}
}

// TestTokenInURL (R-OB-08) checks that requests with a token in the URL are counted.
func TestTokenInURL(t *testing.T) {
	a := newAPI(t)
	a.call("GET", "/orders/7?access_token=x", "")
	a.call("GET", "/orders/7?access=x", "")
	if n := scrape(t, a.registry).sum("sallyport_tokens_in_url_total"); n != 1 {
		t.Errorf("%v, want 1", n)
	}
}

// TestWarnings checks that warnings about the configuration are counted, those of the
// Guard and of its Validator.
func TestWarnings(t *testing.T) {
	trace, registry := switchOn(t)
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{Trace: trace}, func(config *validator.Issuer) {
		config.Profile = validator.ProfileLegacy
		config.Marker = []validator.ClaimRule{{Name: "client_id"}}
	})
	of := len(guard.Validator().Warnings())
	if n := scrape(t, registry).sum("sallyport_warnings"); n != float64(of) || of == 0 {
		t.Errorf("%v, want %d", n, of)
	}
	_, _ = guard.Route("x", scopes.And(scopes.Authenticated(), scopes.Audience("https://other.test")))
	if n := scrape(t, registry).sum("sallyport_warnings"); n != float64(of+1) || !slices.ContainsFunc(guard.Warnings(), func(string) bool { return true }) {
		t.Errorf("%v, want %d", n, of+1)
	}
}
