package validator

import (
	"testing"
	"time"
)

// TestOutage checks which failures in a row are told: the first, one after intervals that
// double, and one with another cause after ten seconds.
func TestOutage(t *testing.T) {
	start := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	var o outage
	for _, step := range []struct {
		after time.Duration // since the start
		text  string
		tell  bool
	}{
		{0, "a", true},
		{time.Second, "a", false},
		{9 * time.Second, "b", false},
		{10 * time.Second, "b", true},
		{15 * time.Second, "a", false},
		{69 * time.Second, "b", false},
		{70 * time.Second, "b", true},
		{189 * time.Second, "b", false},
		{190 * time.Second, "b", true},
		{time.Hour, "b", true},
		{10 * time.Hour, "b", true},
		{20 * time.Hour, "b", true},
		{30 * time.Hour, "b", true},
		{30*time.Hour + 29*time.Minute, "b", false},
		{30*time.Hour + 30*time.Minute, "b", true},
	} {
		if tell := o.fail(start.Add(step.after), step.text); tell != step.tell {
			t.Errorf("after %v: %v, want %v", step.after, tell, step.tell)
		}
	}
	if ended := o.end(); ended.failures != 15 || !ended.since.Equal(start) {
		t.Errorf("the outage: %+v", ended)
	}
	if ended := o.end(); ended.failures != 0 {
		t.Errorf("no outage: %+v", ended)
	}
	if !o.fail(start.Add(31*time.Hour), "b") {
		t.Error("the next outage is not told")
	}
}
