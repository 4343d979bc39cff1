package metrics_test

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sallyport-auth/sallyport/metrics"
	"github.com/sallyport-auth/sallyport/middleware"
)

// page is the text of a scrape.
type page string

// scrape returns what a Prometheus server gets.
func scrape(tb testing.TB, registry *prometheus.Registry) page {
	tb.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		tb.Fatalf("the scrape is answered %d: %s", w.Code, w.Body)
	}
	return page(w.Body.String())
}

// keep keeps a Guard in memory until the test ends. A trace does not, and shows nothing of
// one that is not used any more.
func keep(tb testing.TB, guard *middleware.Guard) {
	tb.Helper()
	tb.Cleanup(func() { runtime.KeepAlive(guard) })
}

// values returns the value of each series.
func (p page) values() map[string]float64 {
	values := make(map[string]float64)
	lines := bufio.NewScanner(strings.NewReader(string(p)))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || at < 0 {
			continue
		}
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			panic(err)
		}
		values[line[:at]] = value
	}
	return values
}

// sum returns the sum of the series of a family that have all of the labels, such as
// `outcome="denied"`.
func (p page) sum(family string, labels ...string) (sum float64) {
	for series, value := range p.values() {
		if name, rest, _ := strings.Cut(series, "{"); name == family && hasAll(rest, labels) {
			sum += value
		}
	}
	return sum
}

func hasAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// has reports whether a series of the family has all of the labels.
func (p page) has(family string, labels ...string) bool {
	for series := range p.values() {
		if name, rest, _ := strings.Cut(series, "{"); name == family && hasAll(rest, labels) {
			return true
		}
	}
	return false
}

// switchOn returns a Trace whose series are in a registry of their own.
func switchOn(tb testing.TB) (*middleware.Trace, *prometheus.Registry) {
	tb.Helper()
	registry := prometheus.NewPedanticRegistry()
	trace, err := metrics.New(registry)
	if err != nil {
		tb.Fatal(err)
	}
	return trace, registry
}

// register returns a registry with the Collector.
func register(tb testing.TB, collector *metrics.Collector) *prometheus.Registry {
	tb.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(collector); err != nil {
		tb.Fatal(err)
	}
	return registry
}

// awaitFetches waits until the number of key fetches is want: fetches are counted after those
// who waited for them have gone on.
func awaitFetches(tb testing.TB, registry *prometheus.Registry, want float64) {
	tb.Helper()
	for began := time.Now(); scrape(tb, registry).sum("sallyport_key_fetches_total") != want && time.Since(began) < time.Minute; {
		runtime.Gosched()
	}
}
