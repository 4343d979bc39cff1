package audit

import (
	"log/slog"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/internal/misuse"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/validator"
)

// Event is a kind of security event. The set is closed.
type Event string

// The security events.
const (
	// UnknownKeySpike means that many tokens name keys that the issuer does not have: a
	// rotation that went wrong, or an attempt to cause key fetches.
	UnknownKeySpike Event = "unknown_key_spike"
	// WrongAudienceSpike means that many tokens are meant for other APIs: a client that is
	// misconfigured, or an API that passes on the tokens of its callers.
	WrongAudienceSpike Event = "wrong_audience_spike"
	// WrongTypeSpike means that many tokens are no access tokens. Under the default profile,
	// ID tokens are among them, since their header does not tell what they are.
	WrongTypeSpike Event = "wrong_type_spike"
	// OtherTokenPresented means that a token was certainly an ID token, a refresh token or
	// the like, or that Issuer.OtherTokens says so: a client sends it to APIs, or somebody
	// tries a stolen one.
	OtherTokenPresented Event = "other_token_presented"
	// TokenInURL means that a request had an access_token in its URL, which may be in logs
	// and histories now.
	TokenInURL Event = "token_in_url" //nolint:gosec // no credential
	// BoundTokenAsBearer means that a token which is bound to a key was presented as a bearer
	// token: a client that lost its proofs, or a thief who has only the token.
	BoundTokenAsBearer Event = "bound_token_as_bearer" //nolint:gosec // no credential
	// UsedAfterRevocation means that a revoked token was presented, or one that its issuer
	// called active before and does not any more.
	UsedAfterRevocation Event = "used_after_revocation"
	// CrossTenant means that a valid token was refused because the resource belongs to
	// another tenant.
	CrossTenant Event = "cross_tenant"
)

// defaultThresholds has every event.
var defaultThresholds = map[Event]int{
	UnknownKeySpike: 100, WrongAudienceSpike: 100, WrongTypeSpike: 100,
	OtherTokenPresented: 1, TokenInURL: 1, BoundTokenAsBearer: 1, UsedAfterRevocation: 1, CrossTenant: 1,
}

// eventOfReason has the events that a reason alone tells.
var eventOfReason = map[validator.Reason]Event{
	validator.UnknownKey: UnknownKeySpike, validator.WrongAudience: WrongAudienceSpike, validator.WrongType: WrongTypeSpike,
	validator.Revoked: UsedAfterRevocation,
}

// eventOfMisuse has the events that a cause tells.
var eventOfMisuse = map[misuse.Kind]Event{
	misuse.OtherToken: OtherTokenPresented, misuse.BoundAsBearer: BoundTokenAsBearer, misuse.OtherTenant: CrossTenant,
}

// maxSpikes is how many combinations of event and issuer are counted apart.
const maxSpikes = 1024

// watch counts occurrences, and writes a record when they reach a threshold.
type watch struct {
	thresholds map[Event]int
	window     time.Duration
	put        func(kind int, level slog.Level, message string, attrs []slog.Attr)

	mu     sync.Mutex
	spikes map[spikeKey]*spike
}

// spikeKey is what occurrences are counted by. The issuer is as in a Decision: configured, or
// "resolved".
type spikeKey struct {
	event  Event
	issuer string
}

// spike is the occurrences in the latest window.
type spike struct {
	began time.Time
	count uint64
	told  uint64 // the count in the record; 0: there is none
}

func newWatch(thresholds map[Event]int, window time.Duration, put func(int, slog.Level, string, []slog.Attr)) *watch {
	return &watch{thresholds: thresholds, window: window, put: put, spikes: map[spikeKey]*spike{}}
}

// decided counts what a refusal is an occurrence of. attrs returns the attributes of the
// request.
func (w *watch) decided(d *middleware.Decision, attrs func() []slog.Attr) {
	if event, ok := eventOfReason[d.Denial.Reason]; ok {
		w.count(event, d.Issuer, attrs)
	}
	if event, ok := eventOfMisuse[misuse.Of(d.Denial)]; ok {
		w.count(event, d.Issuer, attrs)
	}
}

// count counts an occurrence. attrs may be nil.
func (w *watch) count(event Event, issuer string, attrs func() []slog.Attr) {
	if w.thresholds[event] < 0 {
		return
	}
	key, before, reached := w.add(event, issuer)
	w.finish(key, before)
	if reached == nil {
		return
	}
	w.write(key, *reached, "reached", attrs)
	time.AfterFunc(w.window, func() { w.windowEnded(key, reached.began) })
}

// add adds an occurrence. before is the window that it ended, and reached the one in which
// it was the last one up to the threshold, or nil.
func (w *watch) add(event Event, issuer string) (key spikeKey, before spike, reached *spike) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	key = spikeKey{event, issuer}
	if w.spikes[key] == nil && len(w.spikes) >= maxSpikes {
		key.issuer = "other"
	}
	s := w.spikes[key]
	if s == nil {
		s = &spike{began: now}
		w.spikes[key] = s
	}
	if now.Sub(s.began) >= w.window {
		before, *s = *s, spike{began: now}
	}
	s.count++
	if s.count == uint64(w.thresholds[event]) { //nolint:gosec // not negative
		s.told = s.count
		told := *s
		return key, before, &told
	}
	return key, before, nil
}

// windowEnded writes the number of a window that began then, unless that was done.
func (w *watch) windowEnded(key spikeKey, began time.Time) {
	w.mu.Lock()
	s := w.spikes[key]
	if s == nil || !s.began.Equal(began) {
		w.mu.Unlock()
		return
	}
	delete(w.spikes, key)
	w.mu.Unlock()
	w.finish(key, *s)
}

// finish writes the number of a window, if it grew after the record about it.
func (w *watch) finish(key spikeKey, s spike) {
	if s.told > 0 && s.count > s.told {
		w.write(key, s, "window_ended", nil)
	}
}

// write writes a record about the occurrences.
func (w *watch) write(key spikeKey, s spike, state string, attrs func() []slog.Attr) {
	all := []slog.Attr{
		slog.String("event", string(security)), slog.String("security_event", string(key.event)), slog.String("state", state),
		slog.Uint64("count", s.count), slog.Int("threshold", w.thresholds[key.event]), slog.Duration("window", w.window),
	}
	if key.issuer != "" {
		all = append(all, slog.String("issuer_label", key.issuer))
	}
	if attrs != nil {
		all = append(all, attrs()...)
	}
	w.put(events, slog.LevelWarn, "security event", all)
}
