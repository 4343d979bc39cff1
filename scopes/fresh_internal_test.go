package scopes

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/validator"
)

// outdated is what [validator.Token.Meets] returns if the last answer is too old.
func outdated() error {
	return validator.Refuse(validator.Unavailable, introspect.NewError(introspect.AnswerOutdated, errors.New("asked a minute ago"), 0))
}

// TestUnmetFreshness shows that the refusal of a token whose issuer would have to be
// asked again says so, and no other refusal does.
func TestUnmetFreshness(t *testing.T) {
	demands := &validator.Demands{ActiveWithin: time.Second, MaxTokenAge: time.Hour}
	for _, row := range []struct {
		err    error
		reason validator.Reason
		within time.Duration
	}{
		{outdated(), validator.Unavailable, time.Second},
		{validator.Refuse(validator.Unavailable, introspect.NewError(introspect.TimedOut, nil, 0)), validator.Unavailable, 0},
		{validator.Refuse(validator.BadClaims, nil), validator.BadClaims, 0},
	} {
		r := unmetDemand(row.err, demands)
		if r.Reason != row.reason || r.ActiveWithin != row.within || !errors.Is(r, row.reason) {
			t.Errorf("%v: %+v", row.err, r)
		}
		if errors.Is(r, introspect.AnswerOutdated) != (row.within != 0) {
			t.Errorf("%v: %+v has lost its cause", row.err, r)
		}
	}
}

// TestMergedFreshness shows that a refusal of several parts has an ActiveWithin only if
// nothing about the token as a whole is worse, and then one that serves all parts.
func TestMergedFreshness(t *testing.T) {
	stale := func(within time.Duration) *Refusal {
		return unmetDemand(outdated(), &validator.Demands{ActiveWithin: within})
	}
	hour, minute, each := stale(time.Hour), stale(time.Minute), stale(validator.EachRequest)
	for _, row := range []struct {
		refusals []*Refusal
		reason   validator.Reason
		within   time.Duration
	}{
		{[]*Refusal{hour}, validator.Unavailable, time.Hour},
		{[]*Refusal{hour, minute, hour}, validator.Unavailable, time.Minute},
		{[]*Refusal{minute, hour}, validator.Unavailable, time.Minute},
		{[]*Refusal{minute, each}, validator.Unavailable, validator.EachRequest},
		{[]*Refusal{each, minute}, validator.Unavailable, validator.EachRequest},
		{[]*Refusal{{Reason: validator.Forbidden}, minute, {Reason: validator.StepUpRequired}}, validator.Unavailable, time.Minute},
		{[]*Refusal{minute, {Reason: validator.BadClaims}}, validator.BadClaims, 0},
		{[]*Refusal{{Reason: validator.Unavailable}}, validator.Unavailable, 0},
	} {
		var m merger
		for _, r := range row.refusals {
			m.add(r)
		}
		if got := m.refusal(nil, nil); got.Reason != row.reason || got.ActiveWithin != row.within {
			t.Errorf("%+v became %+v", row.refusals, got)
		}
	}
	if hour.ActiveWithin != time.Hour || minute.ActiveWithin != time.Minute {
		t.Error("a refusal was modified")
	}
}

// TestFreshnessExplained shows how an Explanation prints a demand for a fresh answer.
func TestFreshnessExplained(t *testing.T) {
	for within, want := range map[time.Duration]string{
		time.Minute: "clause: unavailable, active within 1m0s", validator.EachRequest: "clause: unavailable, active for each request", 0: "clause: unavailable",
	} {
		e := Explanation{Clause: "clause", Refusal: &Refusal{Reason: validator.Unavailable, ActiveWithin: within}}
		if got := strings.TrimSpace(e.String()); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
