package alertrules_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/metrics"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// scrape returns the metrics page of an API that was just started: its keys are there, and
// one request of each kind was sent. early is the page before these requests.
func scrape(t *testing.T) (early, page string) {
	t.Helper()
	issuer := issuertest.New(t)
	config := issuer.HybridConfig()
	config.Keys, config.Grants = jwkscache.Discovered(), []string{validator.AllScopes}
	registry := prometheus.NewRegistry()
	trace, err := metrics.New(registry)
	if err != nil {
		t.Fatal(err)
	}
	guard := issuertest.Guard(t, middleware.Config{Trace: trace, Validator: issuertest.Validator(t, validator.Config{
		Issuers: []validator.Issuer{config},
		ResolveIssuer: func(context.Context, string) (validator.Issuer, error) {
			return validator.Issuer{}, errors.New("unknown")
		},
	})})
	if err := guard.Warm(context.Background()); err != nil {
		t.Fatal(err)
	}
	read := func() string {
		w := httptest.NewRecorder()
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return w.Body.String()
	}
	early = read()
	mux := guard.NewMux()
	mux.HandleFunc("GET /", scopes.All("read"), func(http.ResponseWriter, *http.Request) {})
	for _, token := range []string{issuer.Token(issuertest.Claims{"scope": "read"}), issuer.OpaqueToken(issuertest.Claims{"scope": "read"}), "x"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		mux.ServeHTTP(httptest.NewRecorder(), r)
	}
	return early, read()
}

// TestPromtoolMetrics covers R-OB-09: the metrics page follows the conventions of Prometheus.
func TestPromtoolMetrics(t *testing.T) {
	_, page := scrape(t)
	promtool(t, page, "check", "metrics")
}

// external are labels that Prometheus adds to what it scrapes.
var external = []string{"job", "instance", "le"}

// TestNamesExist covers R-OB-09 and situations A7 and A16: every series, label and value of a
// label that a rule or a runbook names is on the metrics page, and what a rule reads is there
// before the first request.
func TestNamesExist(t *testing.T) {
	early, page := scrape(t)
	check := func(source, text, page string) {
		u := usageOf(text)
		for series := range u.series {
			if !regexp.MustCompile(`(?m)^` + series + `[{ ]`).MatchString(page) {
				t.Errorf("%s: there is no series %s", source, series)
			}
		}
		for label := range u.labels {
			if !slices.Contains(external, label) && !strings.Contains(page, label+`="`) {
				t.Errorf("%s: there is no label %s", source, label)
			}
		}
		for other := range u.others {
			if !strings.Contains(page, other) {
				t.Errorf("%s: no series has %s", source, other)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(u.values)) {
			series, label, _ := strings.Cut(key, " ")
			for _, value := range u.values[key] {
				if !slices.Contains(external[:2], label) && !regexp.MustCompile(`(?m)^`+series+`\{[^}]*\b`+label+`="`+regexp.QuoteMeta(value)+`"`).MatchString(page) {
					t.Errorf("%s: no series %s has %s=%q", source, series, label, value)
				}
			}
		}
	}
	check("rules", read(t, rules), early)
	for _, query := range queries(t) {
		check("runbooks", query, page)
	}
}
