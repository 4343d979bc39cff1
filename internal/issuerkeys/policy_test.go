package issuerkeys

import (
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

// newTestPolicy returns a policy whose random durations are the given part of the
// largest one.
func newTestPolicy(t *testing.T, part float64) *Policy {
	t.Helper()
	p, err := NewPolicy(jwkscache.Limits{}, func(n time.Duration) time.Duration { return min(time.Duration(part*float64(n)), n-1) })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPlan covers the jitter of R-JK-08: the range of renewals is narrow only after a
// fetch at a random time that nothing else than the renewal before has caused.
// Otherwise, processes that fetched at one moment would fetch together for hours.
func TestPlan(t *testing.T) {
	const fresh = 10 * time.Minute
	const narrow, wide = 8 * time.Minute, time.Minute
	for name, row := range map[string]struct {
		cause    string
		renewed  bool
		failures int
		earliest time.Duration
	}{
		"start":                     {CauseMissing, false, 0, wide},
		"start of Run":              {CauseSchedule, false, 0, wide},
		"renewal":                   {CauseSchedule, true, 0, narrow},
		"renewal that comes late":   {CauseSchedule, false, 0, wide},
		"renewal after a failure":   {CauseSchedule, true, 1, wide},
		"stale keys":                {CauseStale, false, 0, wide},
		"new kid":                   {CauseUnknownKid, true, 0, wide},
		"bad signature":             {CauseBadSignature, true, 0, wide},
		"token without kid":         {CauseNoKid, true, 0, wide},
		"new kid after an outage":   {CauseUnknownKid, true, 3, wide},
		"stale keys after failures": {CauseStale, false, 3, wide},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			for part, want := range map[float64]time.Duration{0: 9 * time.Minute, 1: row.earliest} {
				p := newTestPolicy(t, part)
				for range row.failures {
					p.Begin(row.cause, now)
					p.Fail(row.cause, "a", now, 0)
				}
				p.Begin(row.cause, now)
				got := p.Plan(row.cause, now, fresh, row.renewed)
				if got.Renewal.Sub(now) != want || got.Fresh.Sub(now) != fresh || got.Usable.Sub(now) != fresh+time.Hour {
					t.Errorf("renewal after %v, fresh for %v, usable for %v; want a renewal after %v", got.Renewal.Sub(now), got.Fresh.Sub(now), got.Usable.Sub(now), want)
				}
			}
		})
	}
}

// TestPlanIsBoundByMaxAge shows that no deadline is later than Limits.MaxAge.
func TestPlanIsBoundByMaxAge(t *testing.T) {
	p := newTestPolicy(t, 0)
	now := time.Now()
	p.limits.MaxAge = 5 * time.Minute
	got := p.Plan(CauseSchedule, now, time.Hour, true)
	if got.Renewal.Sub(now) != 4*time.Minute+30*time.Second || got.Fresh.Sub(now) != 5*time.Minute || got.Usable.Sub(now) != 5*time.Minute {
		t.Errorf("%+v at %v", got, now)
	}
}

// TestNewPolicyChecksLimits shows that NewPolicy refuses limits that are out of bounds.
func TestNewPolicyChecksLimits(t *testing.T) {
	if _, err := NewPolicy(jwkscache.Limits{MinFresh: time.Second}, nil); err == nil {
		t.Error("it accepts them")
	}
	p, err := NewPolicy(jwkscache.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d, _ := p.Ask(CauseMissing, "", time.Now()); d != Starts {
		t.Errorf("the first request %s", d)
	}
}
