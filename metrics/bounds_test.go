package metrics_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/metrics"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestFlood (R-OB-07, A9) checks that no client can add a series: random methods, paths,
// kids, issuers and tokens leave the number of series as it is after the first hundred
// requests.
func TestFlood(t *testing.T) {
	a := newAPI(t)
	good := a.issuer.Sign(testissuer.Token{Scope: "read"})
	random := func() string { return fmt.Sprintf("x%x", rand.Uint64()) }
	tokens := []func() string{
		func() string { return "" },
		func() string { return "Bearer " + good },
		func() string { return random() + " " + random() },
		func() string { return "Bearer " + random() },
		func() string {
			return "Bearer " + a.issuer.Sign(testissuer.Token{Header: map[string]any{"kid": random()}})
		},
		func() string {
			return "Bearer " + a.issuer.Sign(testissuer.Token{Claims: map[string]any{"iss": "https://" + random() + ".test", "client_id": random()}})
		},
		func() string {
			return "Bearer " + a.issuer.Sign(testissuer.Token{Claims: map[string]any{"client_id": random(), "scope": random()}})
		},
	}
	methods := []func() string{func() string { return "GET" }, func() string { return strings.ToUpper(random()) }}
	paths := []func() string{
		func() string { return "/orders/" + random() }, func() string { return "/" + random() }, func() string { return "/open" },
		func() string { return "/optional" }, func() string { return "/../" + random() },
	}
	request := func() {
		method, path := methods[rand.N(len(methods))], paths[rand.N(len(paths))]
		a.call(method(), path(), tokens[rand.N(len(tokens))]())
	}
	for _, method := range methods { // each kind once
		for _, path := range paths {
			for _, token := range tokens {
				a.call(method(), path(), token())
			}
		}
	}
	before := scrape(t, a.registry)
	for range 10_000 {
		request()
	}
	after := scrape(t, a.registry)
	for series := range after.values() {
		if _, known := before.values()[series]; !known {
			t.Errorf("%s is new", series)
		}
	}
	if len(after) > 64<<10 || len(after) > len(before)+len(before)/4 { // the numbers get longer
		t.Errorf("the scrape has %d bytes, and had %d", len(after), len(before))
	}
}

// TestRouteNames (A9) checks that the number of routes is bounded if a program makes routes
// out of requests, and that names which are no text do not spoil the scrape.
func TestRouteNames(t *testing.T) {
	collector := metrics.NewCollector()
	registry := register(t, collector)
	const routes = 5000
	for i := range routes {
		collector.Trace().Decided(t.Context(), middleware.Decision{Route: fmt.Sprintf("GET /%d", i), Transport: "http"})
	}
	for _, name := range []string{"", "GET /\xff", "GET /\xfe"} {
		collector.Trace().Decided(t.Context(), middleware.Decision{Route: name, Transport: "http"})
	}
	page := scrape(t, registry)
	families := 0
	for series := range page.values() {
		if strings.HasPrefix(series, "sallyport_route_decisions_total") {
			families++
		}
	}
	if families > 1001 || page.sum("sallyport_route_decisions_total") != routes+3 || page.sum("sallyport_route_decisions_total", `route="other"`) != routes+3-1000 {
		t.Errorf("%d series, %v decisions, %v of others", families, page.sum("sallyport_route_decisions_total"), page.sum("sallyport_route_decisions_total", `route="other"`))
	}
}

// TestUnnamedRoute checks the label of a route whose router set no pattern.
func TestUnnamedRoute(t *testing.T) {
	collector := metrics.NewCollector()
	registry := register(t, collector)
	collector.Trace().Decided(t.Context(), middleware.Decision{Transport: "http"})
	if n := scrape(t, registry).sum("sallyport_route_decisions_total", `route="unnamed"`); n != 1 {
		t.Errorf("%v decisions of unnamed", n)
	}
}

// TestResolvedIssuers (A11) checks that thousands of resolved issuers have one label, that
// their state goes with them, and that their counters stay.
func TestResolvedIssuers(t *testing.T) {
	trace, registry := switchOn(t)
	signer := issuertest.New(t)
	tenants := 5000
	if testing.Short() {
		tenants = 500
	}
	v := issuertest.Validator(t, validator.Config{
		ResolveIssuer: func(_ context.Context, url string) (validator.Issuer, error) {
			return signer.Config(all, func(config *validator.Issuer) { config.URL = url }), nil
		},
	})
	guard := issuertest.Guard(t, middleware.Config{Trace: trace, Validator: v})
	keep(t, guard)
	route, err := guard.Route("x", scopes.Authenticated())
	if err != nil {
		t.Fatal(err)
	}
	base := scrape(t, registry)
	url := func(i int) string { return fmt.Sprintf("https://tenant-%d.test", i) }
	token := func(i int) validator.Presentation { return signer.Bearer(issuertest.Claims{"iss": url(i)}) }
	accepted := 0
	for i := range tenants {
		if route.Check(t.Context(), token(i), scopes.Operation{}).Denial() == nil {
			accepted++
		}
	}
	full := scrape(t, registry)
	if accepted < tenants/2 || full.sum("sallyport_resolved_issuers") < 1 || full.sum("sallyport_keys_state", `state="fresh"`) != full.sum("sallyport_resolved_issuers") {
		t.Errorf("%d accepted, %v known, %v fresh", accepted, full.sum("sallyport_resolved_issuers"), full.sum("sallyport_keys_state", `state="fresh"`))
	}
	for i := range tenants {
		v.ForgetIssuer(url(i))
	}
	after := scrape(t, registry)
	if added := len(after.values()) - len(base.values()); added > 2 { // the series of the route
		t.Errorf("%d series more than before", added)
	}
	if after.sum("sallyport_resolved_issuers") != 0 || after.sum("sallyport_keys_state") != 0 || after.sum("sallyport_keys_in_use") != 0 {
		t.Errorf("issuers that are forgotten are seen:\n%s", after)
	}
	if n := after.sum("sallyport_decisions_total", `issuer="resolved"`, `outcome="allowed"`); n != float64(accepted) {
		t.Errorf("%v decisions, want %d", n, accepted)
	}
	runtime.KeepAlive(guard)
}

// TestForget (A11) checks that the series of a Guard that was replaced go: those of its
// issuers at once, and the counters of issuers that the new one has too go on.
func TestForget(t *testing.T) {
	for _, collected := range []bool{false, true} {
		collector := metrics.NewCollector()
		registry := register(t, collector)
		kept, gone := issuertest.At(t, "https://kept.test"), issuertest.At(t, "https://gone.test")
		configure := func(issuers ...*issuertest.Issuer) *middleware.Guard {
			config := validator.Config{}
			for _, issuer := range issuers {
				config.Issuers = append(config.Issuers, issuer.Config(issuer.Fetched, all))
			}
			return issuertest.Guard(t, middleware.Config{Trace: collector.Trace(), Validator: issuertest.Validator(t, config)})
		}
		check := func(guard *middleware.Guard, issuer *issuertest.Issuer) {
			route, err := guard.Over("grpc").Route("x", scopes.Authenticated())
			if err != nil {
				t.Fatal(err)
			}
			if denial := route.Check(t.Context(), issuer.Bearer(nil), scopes.Operation{}).Denial(); denial != nil {
				t.Fatal(denial.Cause())
			}
		}
		before := configure(kept, gone)
		check(before, kept)
		check(before, gone)
		label := `issuer="` + gone.URL() + `"`
		awaitFetches(t, registry, 2)
		if page := scrape(t, registry); page.sum("sallyport_decisions_total", label) != 1 || page.sum("sallyport_key_fetches_total") != 2 {
			t.Fatalf("at first:\n%s", page)
		}
		after := configure(kept)
		check(after, kept)
		awaitFetches(t, registry, 3)
		if n := scrape(t, registry).sum("sallyport_key_fetches_total", `issuer="`+kept.URL()+`"`); n != 2 {
			t.Errorf("%v fetches of two guards, want 2", n)
		}
		late := before.Validator().Issuers() // what an old request reports
		if collected {
			before = nil
			for range 100 {
				runtime.GC()
				if !scrape(t, registry).has("sallyport_decisions_total", label) {
					break
				}
			}
		} else {
			collector.Forget(before)
		}
		page := scrape(t, registry)
		for series := range page.values() {
			if strings.Contains(series, gone.URL()) {
				t.Errorf("%s is still there", series)
			}
		}
		for family, want := range map[string]float64{
			"sallyport_decisions_total": 2, "sallyport_key_fetches_total": 2, "sallyport_key_fetch_duration_seconds_count": 2, "sallyport_token_cache_misses_total": 3,
		} {
			if n := page.sum(family); n != want {
				t.Errorf("%s is %v, want %v", family, n, want)
			}
		}
		collector.Trace().Decided(t.Context(), middleware.Decision{Route: "x", Transport: "http", Issuer: late[1], Denial: &middleware.Denial{Reason: validator.Expired}})
		if page := scrape(t, registry); page.has("sallyport_decisions_total", label) || page.sum("sallyport_decisions_total", `issuer="other"`) != 1 {
			t.Errorf("a late decision:\n%s", page)
		}
		runtime.KeepAlive(before)
		runtime.KeepAlive(after)
	}
}

// TestSharedValidator checks that the state of a Validator that two Guards have counts once.
func TestSharedValidator(t *testing.T) {
	trace, registry := switchOn(t)
	issuer := issuertest.New(t)
	v := issuer.Validator(t, issuer.Fetched)
	one, two := issuertest.Guard(t, middleware.Config{Trace: trace, Validator: v}), issuertest.Guard(t, middleware.Config{Trace: trace, Validator: v})
	if err := v.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitFetches(t, registry, 1)
	page := scrape(t, registry)
	if page.sum("sallyport_key_fetches_total") != 1 || page.sum("sallyport_keys_in_use") != 1 || page.sum("sallyport_ready") != 1 {
		t.Errorf("%s", page)
	}
	runtime.KeepAlive(one)
	runtime.KeepAlive(two)
}
