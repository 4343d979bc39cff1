package issuerkeys

import (
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

// TestFailureAfterASuspension shows that Run does not fetch without a pause when
// the keys are due by the wall clock and not by the monotonic clock, because the
// machine was suspended or its clock was set.
func TestFailureAfterASuspension(t *testing.T) {
	s := schedule{random: anyRandom, limits: testLimits(t), cap: time.Minute}
	now := time.Now()
	s.due = deadline{at: now.Add(5 * time.Minute), wall: now.Add(-time.Second).UnixNano()}
	if !s.due.passed(now) {
		t.Fatal("it is not due")
	}
	s.failed(now, 0)
	if s.due.passed(now) || s.due != until(s.retry) {
		t.Errorf("after a failure at %v it is due at %v", now, s.due)
	}
}

// TestFailureKeepsALaterRenewal shows that a failed fetch does not move a planned
// renewal to an earlier time.
func TestFailureKeepsALaterRenewal(t *testing.T) {
	s := schedule{random: anyRandom, limits: testLimits(t), cap: time.Minute}
	now := time.Now()
	planned := until(now.Add(2 * time.Minute))
	s.due = planned
	s.failed(now, 0)
	if s.due != planned {
		t.Errorf("planned for %v, now for %v", planned.at, s.due.at)
	}
	s.failed(now, 10*time.Minute) // of which half is heeded
	if want := until(now.Add(5 * time.Minute)); s.due != want {
		t.Errorf("left alone until %v, want %v", s.due.at, want.at)
	}
}

// TestNap shows how long Run sleeps: at least a second, at most a minute, and no
// longer than MinFresh.
func TestNap(t *testing.T) {
	now := time.Now()
	for due, want := range map[time.Duration]time.Duration{
		-time.Hour:       time.Second,
		0:                time.Second,
		time.Millisecond: time.Second,
		20 * time.Second: 20 * time.Second,
		time.Hour:        time.Minute,
	} {
		s := schedule{random: anyRandom, limits: testLimits(t), due: until(now.Add(due))}
		if got := s.nap(now); got != want {
			t.Errorf("due in %v: %v, want %v", due, got, want)
		}
	}
	s := schedule{limits: testLimits(t, func(l *jwkscache.Limits) { l.MinFresh = 10 * time.Second }), due: until(now.Add(time.Hour))}
	if got := s.nap(now); got != 10*time.Second {
		t.Errorf("fresh for ten seconds: %v", got)
	}
}

// TestDeadlineOfEitherClock shows that a deadline has passed as soon as one of the
// two clocks says so.
func TestDeadlineOfEitherClock(t *testing.T) {
	now := time.Now()
	for name, row := range map[string]struct {
		at, wall time.Duration
		want     bool
	}{
		"neither":   {time.Second, time.Second, false},
		"wall":      {time.Second, 0, true},
		"monotonic": {0, time.Second, true},
		"both":      {-time.Second, -time.Second, true},
	} {
		d := deadline{at: now.Add(row.at), wall: now.Add(row.wall).UnixNano()}
		if d.passed(now) != row.want {
			t.Errorf("%s: %t", name, !row.want)
		}
	}
}
