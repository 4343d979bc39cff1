package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sallyport-auth/sallyport/testissuer"
)

// TestInFront (A6) checks the recipe of docs/metrics.md for HTTP: a collector in front of the
// mux sees each refusal once, with its status, as the series of the guard do.
func TestInFront(t *testing.T) {
	a := newAPI(t)
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "Requests."}, []string{"code", "method"})
	a.registry.MustRegister(requests)
	mux := a.mux
	handler := promhttp.InstrumentHandlerCounter(requests, mux)
	good := "Bearer " + a.issuer.Sign(testissuer.Token{Scope: "read"})
	for _, row := range []struct{ path, authorization, code, outcome string }{
		{"/orders/7", good, "200", "allowed"},
		{"/orders/7", "", "401", "denied"},
		{"/orders/7", "Bearer a", "401", "denied"},
		{"/orders/7", "Bearer", "400", "denied"},
		{"/orders/7", "Bearer " + a.issuer.Sign(testissuer.Token{}), "403", "denied"},
		{"/none", good, "404", "not_found"},
		{"/open", "", "200", "anonymous"},
	} {
		before := scrape(t, a.registry)
		r := httptest.NewRequest(http.MethodGet, "http://api.test"+row.path, http.NoBody)
		if row.authorization != "" {
			r.Header.Set("Authorization", row.authorization)
		}
		handler.ServeHTTP(httptest.NewRecorder(), r)
		after := scrape(t, a.registry)
		for family, label := range map[string]string{"http_requests_total": `code="` + row.code + `"`, "sallyport_decisions_total": `outcome="` + row.outcome + `"`} {
			if n, all := after.sum(family, label)-before.sum(family, label), after.sum(family)-before.sum(family); n != 1 || all != 1 {
				t.Errorf("%s with %q: %s{%s} rose by %v, all by %v", row.path, row.authorization, family, label, n, all)
			}
		}
	}
}
