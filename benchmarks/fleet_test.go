package benchmarks

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// simulate runs a scenario of a fleet.
func simulate(t *testing.T, f Fleet, scenario string) *FleetReport {
	t.Helper()
	report, err := f.Run(scenario)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// phaseOf returns the phase of that name.
func phaseOf(t *testing.T, r *FleetReport, name string) FleetPhase {
	t.Helper()
	for _, p := range r.Phases {
		if strings.HasPrefix(p.Name, name) {
			return p
		}
	}
	t.Fatalf("%s has no phase %q", r.Scenario, name)
	return FleetPhase{}
}

// mostOverMean is the budget of the fleet: at a TTL of 10 min, from the third TTL on, no
// 10 s have more than twice the mean.
const mostOverMean = 2

// TestFleetPeaks holds the budget for 10 000 processes, also after everything that lets
// all of them fetch at once (R-JK-08).
func TestFleetPeaks(t *testing.T) {
	t.Parallel()
	f := DefaultFleet
	f.Flood, f.Outage = time.Minute, 5*time.Minute // takes less time, and lets all of them fetch as well
	for _, name := range []string{"startup", "steady", "rotation", "flood", "outage"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantEven(t, f, name)
		})
	}
}

// wantEven runs a scenario and holds the budget in its last phase. Each process then
// fetches once in 8 to 9 minutes.
func wantEven(t *testing.T, f Fleet, scenario string) {
	t.Helper()
	p := phaseOf(t, simulate(t, f, scenario), "from the third TTL")
	if p.Ratio > mostOverMean {
		t.Errorf("the busiest 10 s have %.2f times the mean: %+v", p.Ratio, p)
	}
	if most, least := float64(f.Replicas)/(8*60), float64(f.Replicas)/(9*60+2); p.Mean > most || p.Mean < least {
		t.Errorf("%.1f requests a second, want %.1f to %.1f", p.Mean, least, most)
	}
}

// TestFleetPeaksWithoutJitter shows that the budget is missed if processes renew at the
// same time.
func TestFleetPeaksWithoutJitter(t *testing.T) {
	r := newFleetRun(DefaultFleet)
	r.report = new(FleetReport)
	r.jitter = func(time.Duration) time.Duration { return 0 }
	r.planStartup()
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	if p := phaseOf(t, r.report, "from the third TTL"); p.Ratio <= mostOverMean {
		t.Errorf("the busiest 10 s have %.2f times the mean", p.Ratio)
	}
}

// TestFleetIsDeterministic shows that a seed decides the report.
func TestFleetIsDeterministic(t *testing.T) {
	f := DefaultFleet
	f.Replicas = 50
	for _, name := range FleetScenarios() {
		first, again := simulate(t, f, name), simulate(t, f, name)
		if !reflect.DeepEqual(first, again) {
			t.Errorf("%s: two runs differ", name)
		}
		other := f
		other.Seed++
		if reflect.DeepEqual(first, simulate(t, other, name)) {
			t.Errorf("%s: two seeds give the same", name)
		}
	}
}

// TestFleetEvents shows what the events of the scenarios cause: a key that is published a
// TTL before its use causes no fetch, one that is used at once causes one in each
// process, a flood causes no more than the policy allows, and an outage no more than one
// attempt in half of the longest pause.
func TestFleetEvents(t *testing.T) {
	f := DefaultFleet
	f.Replicas = 1000
	rotation := simulate(t, f, "rotation")
	before := phaseOf(t, rotation, "before").Mean
	if got := phaseOf(t, rotation, "key published").Mean; math.Abs(got/before-1) > 0.1 {
		t.Errorf("a key that is published early: %.2f requests a second, and %.2f before", got, before)
	}
	if got := phaseOf(t, rotation, "key used at once").Requests; got < f.Replicas || got > f.Replicas+200 {
		t.Errorf("a key that is used at once: %d requests", got)
	}
	flood := simulate(t, f, "flood").Phases[2]
	if each := float64(flood.Requests) / float64(f.Replicas); each < 115 || each > 10+120+10 || flood.Second > 2*f.Replicas {
		t.Errorf("%.1f fetches of each process in a flood of 10 min, at most %d in a second; ten a second apart and then one in 5 s are right", each, flood.Second)
	}
	outage := phaseOf(t, simulate(t, f, "outage"), "outage")
	if each := float64(outage.Requests) / float64(f.Replicas); each < 30 || each > 30*2+10 {
		t.Errorf("%.1f fetches of each process in half an hour", each)
	}
}

// TestLongOutage shows that tokens cause fetches once no keys are usable, at most one in
// 5 s in each process.
func TestLongOutage(t *testing.T) {
	f := DefaultFleet
	f.Replicas, f.Outage = 100, 2*time.Hour
	r := simulate(t, f, "outage")
	last := r.Buckets[int((4*f.TTL+f.Outage)/FleetBucket)-1] // in 10 s
	if last < f.Replicas || last > 3*f.Replicas {
		t.Errorf("%d requests in 10 s of %d processes without usable keys", last, f.Replicas)
	}
}

// TestFleetSettings shows that settings that cannot be simulated are refused.
func TestFleetSettings(t *testing.T) {
	if _, err := DefaultFleet.Run("holiday"); err == nil || !strings.Contains(err.Error(), "rotation") {
		t.Errorf("an unknown scenario: %v", err)
	}
	for name, change := range map[string]func(*Fleet){
		"no process":  func(f *Fleet) { f.Replicas = 0 },
		"short TTL":   func(f *Fleet) { f.TTL = time.Second },
		"long TTL":    func(f *Fleet) { f.TTL = 25 * time.Hour },
		"no traffic":  func(f *Fleet) { f.Traffic = 0 },
		"NaN":         func(f *Fleet) { f.Kids = math.NaN() },
		"no latency":  func(f *Fleet) { f.Latency = 0 },
		"no lifetime": func(f *Fleet) { f.Lifetime = 0 },
		"no rollout":  func(f *Fleet) { f.Rollout = 0 },
		"no outage":   func(f *Fleet) { f.Outage = 0 },
		"no flood":    func(f *Fleet) { f.Flood = 0 },
	} {
		f := DefaultFleet
		if change(&f); f.check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestFleetMemory shows that a process takes little memory in the simulation.
func TestFleetMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := newFleetRun(DefaultFleet)
	r.report = new(FleetReport)
	r.planStartup()
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(after.HeapAlloc-before.HeapAlloc) / float64(len(r.replicas))
	t.Logf("%.0f bytes for each process", each)
	if each > 4096 {
		t.Errorf("%.0f bytes for each process", each)
	}
	runtime.KeepAlive(r)
}

// TestFleetSVG shows that the picture is XML and has a panel for each report.
func TestFleetSVG(t *testing.T) {
	f := DefaultFleet
	f.Replicas = 20
	reports := []*FleetReport{simulate(t, f, "steady"), simulate(t, f, "rotation")}
	svg, err := FleetSVG(reports)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"steady state", "two rotations", "key published", "minutes"} {
		if !strings.Contains(string(svg), text) {
			t.Errorf("it does not contain %q", text)
		}
	}
	decoder := xml.NewDecoder(strings.NewReader(string(svg)))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// countingIssuer answers with a key set and counts the requests in each ten seconds.
type countingIssuer struct {
	start   time.Time
	buckets []int
	jwks    string
	mutex   chan struct{} // holds one value while buckets is changed
}

func (c *countingIssuer) RoundTrip(*http.Request) (*http.Response, error) {
	c.mutex <- struct{}{}
	c.buckets[int(time.Since(c.start)/FleetBucket)]++
	<-c.mutex
	time.Sleep(DefaultFleet.Latency)
	return &http.Response{
		StatusCode: http.StatusOK,
		Header:     http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"max-age=600"}, "Etag": {`"1"`}},
		Body:       io.NopCloser(strings.NewReader(c.jwks)),
	}, nil
}

// TestFleetIsLikeKeys compares the simulation with real Keys: the same number of
// processes that start at once, in the same time, with and without Run.
func TestFleetIsLikeKeys(t *testing.T) {
	f := DefaultFleet
	f.Replicas = 300
	simulated := simulate(t, f, "startup")
	const jwks = `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`
	synctest.Test(t, func(t *testing.T) {
		issuer := &countingIssuer{start: time.Now(), jwks: jwks, buckets: make([]int, 12*60+1), mutex: make(chan struct{}, 1)}
		ctx, cancel := context.WithCancel(t.Context())
		for range f.Replicas {
			keys, err := issuerkeys.Open(jwkscache.URL("https://issuer.example/keys"), issuerkeys.Binding{
				Issuer: "https://issuer.example", HTTPClient: &http.Client{Transport: issuer},
			})
			if err != nil {
				t.Fatal(err)
			}
			go keys.Run(ctx)
		}
		time.Sleep(12*f.TTL - time.Second)
		cancel()
		time.Sleep(f.Latency) // a fetch that is under way ends
		synctest.Wait()
		for _, window := range []struct {
			name     string
			from, to int // buckets
			within   float64
		}{
			{"the start", 0, 1, 0},
			{"before a tenth of the TTL", 1, 6, 0},
			{"the first half of the TTL", 6, 30, 0.25},
			{"the first TTL", 1, 60, 0.1},
			{"the second", 60, 120, 0.1},
			{"all others", 120, 720, 0.03},
		} {
			got, want := sum(issuer.buckets[window.from:window.to]), sum(simulated.Buckets[window.from:window.to])
			if math.Abs(float64(got-want)) > window.within*float64(want) {
				t.Errorf("%s: Keys send %d requests, the simulation has %d", window.name, got, want)
			}
		}
	})
}

func sum(counts []int) (n int) {
	for _, count := range counts {
		n += count
	}
	return n
}
