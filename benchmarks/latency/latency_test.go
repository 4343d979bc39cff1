package latency

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/benchmarks"
	"github.com/sallyport-auth/sallyport/jose"
)

func TestMain(m *testing.M) {
	Child()
	os.Exit(m.Run())
}

// tiny returns options for tests: they check that everything is measured, not the figures.
func tiny(protocols ...string) Options {
	o := Quick()
	o.Protocols, o.Rate, o.Windows, o.Window, o.Workers = protocols, 200, 2, 50*time.Millisecond, 16
	o.Algorithm, o.Tokens = jose.ES256.String(), 64
	return o
}

func measured(t *testing.T, o Options) *Report {
	t.Helper()
	m := NewMeasurement(o)
	defer m.Close()
	if err := m.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	return &m.Report
}

// A budget fails if the middleware is slow. The sleep is a hundred times as long as a
// request takes, so that no busy machine hides it.
func TestBudgetFails(t *testing.T) {
	for _, protocol := range Protocols {
		o := tiny(protocol)
		o.Only, o.Delay, o.Rate = regexp.MustCompile(RepeatName), 50*time.Millisecond, 100
		report := measured(t, o)
		for figure, wants := range map[string]int{"p95=1.10": 1, "p50=1.10": 1, "p95=1e9": 0} {
			budget, err := ParseBudget(figure, RepeatName)
			if err != nil {
				t.Fatal(err)
			}
			excesses, err := report.Excesses([]Budget{budget})
			if err != nil || len(excesses) != wants {
				t.Errorf("%s: %s: %d rows above the budget, want %d (error %v)", protocol, figure, len(excesses), wants, err)
			}
			for _, excess := range excesses {
				for _, part := range []string{protocol, "100 requests/s", RepeatName, budget.Figure, "× that without auth"} {
					if !strings.Contains(excess.What, part) {
						t.Errorf("%q does not name %q", excess.What, part)
					}
				}
			}
		}
	}
}

// A budget for what was not measured is an error, and not a budget that is kept.
func TestBudgetWithoutRow(t *testing.T) {
	r := &Report{Rows: []Row{{Protocol: HTTP1, Subject: RepeatName, Load: 70, Percentiles: map[string]Percentile{"p95": {Ratio: benchmarks.Quartiles{Median: 1}}}}}}
	for text, wrong := range map[string]bool{
		"p95=1.10": false, "p95=1.10@70": false, "p95=1.10@50": true, "go-oidc: p95=2": true,
	} {
		b, err := ParseBudget(text, RepeatName)
		if err != nil {
			t.Fatal(err)
		}
		if excesses, err := r.Excesses([]Budget{b}); (err != nil) != wrong || len(excesses) > 0 {
			t.Errorf("%s: %d rows, error %v", text, len(excesses), err)
		}
	}
	// Where noise is large, Sure asks three quarters of the rounds.
	r.Rows[0].Percentiles["p95"] = Percentile{Ratio: benchmarks.Quartiles{Q1: 1.1, Median: 1.6, Q3: 9}}
	for ratio, want := range map[float64][2]int{1.0: {1, 1}, 1.5: {1, 0}, 2: {0, 0}} {
		for i, sure := range []bool{false, true} {
			if excesses, err := r.Excesses([]Budget{{RepeatName, "p95", ratio, 0, sure}}); err != nil || len(excesses) != want[i] {
				t.Errorf("a budget of %.1f, sure %t: %d rows, error %v", ratio, sure, len(excesses), err)
			}
		}
	}
	// A server that does not answer has fast answers, too.
	r.Rows[0].Unanswered = 0.5
	if excesses, err := r.Excesses([]Budget{{RepeatName, "p95", 2, 0, false}}); err != nil || len(excesses) != 1 {
		t.Errorf("half of the requests without an answer: %d rows above the budget, error %v", len(excesses), err)
	}
}

func TestParseBudget(t *testing.T) {
	for text, want := range map[string]Budget{
		"p95=1.10":                         {"x", "p95", 1.10, 0, false},
		"p99.9=3@90":                       {"x", "p99.9", 3, 90, false},
		"Sallyport, first seen: p50=1.5":   {"Sallyport, first seen", "p50", 1.5, 0, false},
		"Sallyport, first seen:p50=1.5@10": {"Sallyport, first seen", "p50", 1.5, 10, false},
		"":                                 {},
		"p95":                              {},
		"p90=1.1":                          {},
		"p95=":                             {},
		"p95=0":                            {},
		"p95=-1":                           {},
		"p95=NaN":                          {},
		"p95=1.1@":                         {},
		"p95=1.1@x":                        {},
		"p95=1.1@0":                        {},
	} {
		got, err := ParseBudget(text, "x")
		if want == (Budget{}) {
			if err == nil {
				t.Errorf("%q is a budget: %+v", text, got)
			}
		} else if err != nil || got != want {
			t.Errorf("%q: %+v, error %v, want %+v", text, got, err, want)
		}
	}
}

// All servers accept their tokens over all protocols.
func TestAllServers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	o := tiny(Protocols...)
	o.Windows = 1
	report := measured(t, o)
	for _, protocol := range Protocols {
		for _, kind := range []string{trafficJWT, trafficOpaque, trafficMix} {
			for _, c := range contenders(protocol, kind) {
				found := false
				for _, row := range report.Rows {
					if row.Protocol == protocol && row.Traffic == kind && row.Subject == c.name {
						found = true
						if row.Percentiles["p50"].Micros.Median <= 0 || row.CPU.Median <= 0 {
							t.Errorf("%s has no figures: %+v", row.where(), row)
						}
					}
				}
				if !found {
					t.Errorf("%s, %s: %s was not measured", protocol, kind, c.name)
				}
			}
		}
	}
	checkPages(t, report)
}

// checkPages writes the files of a report and reads them again.
func checkPages(t *testing.T, report *Report) {
	t.Helper()
	dir := t.TempDir()
	if err := report.WriteFiles(dir); err != nil {
		t.Fatal(err)
	}
	again, err := ReadReport(dir)
	if err != nil {
		t.Fatal(err)
	}
	if again.Markdown() != report.Markdown() {
		t.Error("the page made from the JSON differs")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(dir + "/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(e.Name(), ".svg") && (!strings.Contains(string(text), "prefers-color-scheme:dark") || sentinel.Match(text)) {
			t.Errorf("%s does not follow the reader's choice of light or dark", e.Name())
		}
	}
}

// The latency of a request counts from when it was due: while one request stalls, those
// that wait for it are charged too.
func TestNoCoordinatedOmission(t *testing.T) {
	const stall = 200 * time.Millisecond
	l := load{rate: 100, length: 500 * time.Millisecond, drain: time.Second, workers: 1}
	samples, err := l.run(context.Background(), time.Now(), func(_ context.Context, _, i int) int {
		if i == 10 {
			time.Sleep(stall)
		}
		return http.StatusOK
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(samples) != 50 {
		t.Fatalf("%d requests, want 50", len(samples))
	}
	for i := 10; i < 20; i++ {
		if least := stall - time.Duration(i-10)*10*time.Millisecond; samples[i].latency < least {
			t.Errorf("request %d took %v, want at least %v", i, samples[i].latency, least)
		}
	}
}

// Requests that a server does not answer end with the window, and count.
func TestUnanswered(t *testing.T) {
	l := load{rate: 100, length: 100 * time.Millisecond, drain: 50 * time.Millisecond, workers: 2}
	samples, err := l.run(context.Background(), time.Now(), func(ctx context.Context, _, _ int) int {
		<-ctx.Done()
		return 0
	})
	if err != nil {
		t.Fatal(err)
	}
	w := newWindow(samples, 0)
	if w.Unanswered != 10 || w.Micros["p50"] < 50_000 {
		t.Errorf("%d of 10 requests are unanswered, p50 is %.0f µs", w.Unanswered, w.Micros["p50"])
	}
}

// Requests that a busy machine could not send in time have no answer, and are no error.
// That the caller gives up is one.
func TestUnsent(t *testing.T) {
	l := load{rate: 100, length: 100 * time.Millisecond, workers: 2}
	never := func(context.Context, int, int) int { t.Error("a request was sent after the end"); return 0 }
	over := time.Now().Add(-time.Second)
	samples, err := l.run(context.Background(), over, never)
	if err != nil {
		t.Fatal(err)
	}
	if w := newWindow(samples, 0); w.Unanswered != 10 || w.Micros["p50"] < 900_000 {
		t.Errorf("%d of 10 requests are unanswered, p50 is %.0f µs", w.Unanswered, w.Micros["p50"])
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.run(ctx, over, never); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

// The servers of a measurement may be those of a user, over both versions of HTTP.
func TestOwnServers(t *testing.T) {
	serve := func(next http.HandlerFunc) string {
		s := httptest.NewServer(next)
		t.Cleanup(s.Close)
		return s.URL + "/x"
	}
	header := http.Header{"Authorization": {"Bearer secret"}}
	own := func(slow time.Duration) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(slow)
			if r.Header.Get("Authorization") != "Bearer secret" || r.URL.Path != "/x" {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}
	}
	o := tiny(HTTP1)
	o.Servers = &Servers{Base: serve(own(0)), Guarded: serve(own(30 * time.Millisecond)), Header: header}
	report := measured(t, o)
	if excesses, err := report.Excesses([]Budget{{GuardedName, "p50", 2, 0, false}}); err != nil || len(excesses) != 1 {
		t.Errorf("a slow server: %d rows above the budget, error %v", len(excesses), err)
	}
	o.Servers.Header = nil
	m := NewMeasurement(o)
	defer m.Close()
	if err := m.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("a server that refuses the requests: error %v", err)
	}
}

// The mix replaces tokens before they expire, and signs with a key only after it was
// published.
func TestMix(t *testing.T) {
	m := NewMeasurement(tiny(HTTP1))
	defer m.Close()
	made, err := m.newTraffic(trafficMix)
	if err != nil {
		t.Fatal(err)
	}
	mixed := made.(*mix)
	key := mixed.issuer.SigningKey()
	start := time.Now()
	events := mixed.window(start, 10*time.Millisecond, 1000)
	if len(events) != 1 || events[0].after >= 5*time.Second || mixed.issuer.SigningKey() == key {
		t.Fatalf("%d events in a window with a new key", len(events))
	}
	if strings.Contains(string(mixed.issuer.JWKS()), fmt.Sprintf("%q", mixed.issuer.SigningKey())) {
		t.Error("the new key is published before its time")
	}
	events[0].do()
	if !strings.Contains(string(mixed.issuer.JWKS()), fmt.Sprintf("%q", mixed.issuer.SigningKey())) {
		t.Error("the new key is not published")
	}
	for i, u := range mixed.users {
		mixed.users[i].expiry = u.expiry.Add(-time.Hour)
	}
	before := time.Now()
	mixed.reset()
	for _, u := range mixed.users {
		if left := u.expiry.Sub(before); left < mixMargin {
			t.Fatalf("a token expires in %v", left)
		}
	}
	if events := mixed.window(start.Add(mixBetween-1), time.Millisecond, 1000); events != nil {
		t.Error("the next window has a new key, too")
	}
	if events := mixed.window(start.Add(mixBetween), time.Millisecond, 1000); len(events) != 1 {
		t.Error("a later window has no new key")
	}
}
