package audit

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/internal/recordqueue"
	"github.com/sallyport-auth/sallyport/internal/sampling"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/validator"
)

// Room for security events, and for numbers of refusals that were left out.
const (
	noticesWaiting = 1024
	noticesBytes   = 1 << 20
)

// maxKeys is how many combinations of reason, issuer and route are sampled apart.
const maxKeys = 4096

// Kinds of records for the queue.
const (
	denials = iota
	allows
	events
	numbers // apart from events, since a flood has many
)

// Log writes audit records. [New] makes one. It is safe for concurrent use, and several
// Guards may share it. A nil Log and the zero Log write nothing.
type Log struct {
	config  Config
	queue   *recordqueue.Queue
	hasher  *hasher
	sampler *sampling.Sampler[sampleKey] // nil: all refusals are written
	sampled atomic.Uint64                // refusals that were left out
	telling atomic.Bool                  // a timer will tell what was left out
	events  *watch
}

// sampleKey is what refusals are sampled by. All of its members are of closed sets.
type sampleKey struct {
	reason validator.Reason
	issuer string
	route  string
}

// otherKey has the refusals of all combinations beyond maxKeys.
var otherKey = sampleKey{reason: "other", issuer: "other", route: "other"}

// New checks config and makes a Log, or reports every fault of it at once. It writes nothing
// and starts no goroutine.
func New(config Config) (*Log, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	log := &Log{config: config, hasher: newHasher(config.Key.secret()), queue: recordqueue.New(recordqueue.Config{
		Handler: config.Logger.Handler(),
		Summary: "audit records were lost",
		Kinds: []recordqueue.Kind{
			denials: {Name: "denials", Records: config.Waiting, Bytes: config.WaitingBytes},
			allows:  {Name: "privileged_allows", Records: config.Waiting, Bytes: config.WaitingBytes},
			events:  {Name: "security_events", Records: noticesWaiting, Bytes: noticesBytes},
			numbers: {Name: "numbers", Records: noticesWaiting, Bytes: noticesBytes},
		},
	})}
	if !config.Sampling.Off {
		limits := sampling.Limits{First: config.Sampling.First, Every: config.Sampling.Every, Window: config.Sampling.Window, Keys: maxKeys}
		log.sampler = sampling.New(limits, otherKey, time.Now())
	}
	log.events = newWatch(config.Thresholds, config.Window, log.put)
	return log, nil
}

// Trace returns the hooks for Config.Trace of package middleware. A permitted request that
// is not privileged costs a comparison.
func (l *Log) Trace() *middleware.Trace {
	if !l.made() {
		return nil
	}
	return &middleware.Trace{Decided: l.decided, HeldEnded: l.heldEnded, TokenInURL: l.tokenInURL}
}

// ValidatorTrace returns the hooks for Config.Trace of package validator: they notice tokens
// that are used after their issuer ceased to call them active.
func (l *Log) ValidatorTrace() *validator.Trace {
	if !l.made() {
		return nil
	}
	return &validator.Trace{Introspection: &introspect.Trace{AskDone: func(issuer string, done introspect.AskDone) {
		if done.Flipped {
			l.events.count(UsedAfterRevocation, issuer, nil)
		}
	}}}
}

// Counts are the numbers of records since New. Every refusal, and every permitted privileged
// request, counts exactly once. One that the handler works on is Waiting.
type Counts struct {
	Denials    Count  // refusals, and requests that the Guard ended
	Allows     Count  // permitted privileged requests
	Notices    Count  // security events, and numbers of refusals that were left out
	SampledOut uint64 // refusals that were left out by Sampling, and are in no other number
}

// Count is what became of the records of one kind.
type Count struct {
	Written uint64 // or the level is not enabled
	Lost    uint64 // there was no room, or the handler failed
	Waiting uint64 // for the handler
}

// Counts returns the numbers of records so far. A program that must not go on without its
// audit log can let its readiness depend on Lost: the Log itself refuses no request.
func (l *Log) Counts() Counts {
	if !l.made() {
		return Counts{}
	}
	all := make([]Count, 0, numbers+1)
	for _, c := range l.queue.Counts() {
		all = append(all, Count{Written: c.Written + c.Skipped, Lost: c.Failed + c.Dropped, Waiting: c.Waiting})
	}
	told, n := all[events], all[numbers]
	notices := Count{Written: told.Written + n.Written, Lost: told.Lost + n.Lost, Waiting: told.Waiting + n.Waiting}
	return Counts{Denials: all[denials], Allows: all[allows], Notices: notices, SampledOut: l.sampled.Load()}
}

// Flush waits until the records so far are written, with the numbers of those that were left
// out or lost. The error says how many still wait when ctx ends. Sampling begins a new window,
// so that Sampling.First refusals of each kind are written again.
func (l *Log) Flush(ctx context.Context) error {
	if !l.made() {
		return nil
	}
	l.tellSampled(l.flushSampler())
	return l.queue.Flush(ctx)
}

// Close is Flush, after which the Log takes no more records. Call it when the server has
// shut down. Records that still wait when ctx ends are lost.
func (l *Log) Close(ctx context.Context) error {
	if !l.made() {
		return nil
	}
	l.tellSampled(l.flushSampler())
	return l.queue.Close(ctx)
}

// Format writes the type only.
func (l *Log) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "%T", l) }

func (l *Log) made() bool { return l != nil && l.queue != nil }

// put hands over a record.
func (l *Log) put(kind int, level slog.Level, message string, attrs []slog.Attr) {
	record := slog.NewRecord(time.Now(), level, message, 0)
	record.AddAttrs(slog.Int("schema", schemaVersion))
	record.AddAttrs(attrs...)
	l.queue.Put(kind, record)
}

// decided is the hook for decisions.
func (l *Log) decided(ctx context.Context, d middleware.Decision) {
	if d.Denial != nil || d.Privileged {
		l.record(ctx, d)
	}
}

// record writes a record about d. It is apart from decided because d is on the heap here.
func (l *Log) record(ctx context.Context, d middleware.Decision) {
	if d.Denial == nil {
		l.put(allows, slog.LevelInfo, "privileged access allowed", l.attrs(ctx, &d, allowed))
		return
	}
	l.events.decided(&d, func() []slog.Attr { return l.identity(ctx, &d) })
	if l.passes(&d) {
		l.put(denials, slog.LevelInfo, "access denied", l.attrs(ctx, &d, denied))
	}
}

// heldEnded is the hook for requests that the Guard has ended.
func (l *Log) heldEnded(ctx context.Context, d middleware.Decision) {
	l.events.decided(&d, func() []slog.Attr { return l.identity(ctx, &d) })
	if l.passes(&d) {
		l.put(denials, slog.LevelInfo, "request ended", l.attrs(ctx, &d, ended))
	}
}

// tokenInURL is the hook for tokens in a URL.
func (l *Log) tokenInURL(ctx context.Context) {
	l.events.count(TokenInURL, "", func() []slog.Attr { return l.requestID(ctx, nil) })
}

// passes reports whether the refusal is written, and counts it otherwise.
func (l *Log) passes(d *middleware.Decision) bool {
	if l.sampler == nil {
		return true
	}
	reason := validator.Unavailable
	if d.Denial != nil {
		reason = d.Denial.Reason
	}
	passes, told := l.sampler.Sample(sampleKey{reason, d.Issuer, d.Route}, time.Now())
	l.tellSampled(told)
	if !passes {
		l.sampled.Add(1)
		l.remind()
	}
	return passes
}

// remind lets a timer tell what was left out when the window has ended, since no refusal may
// follow.
func (l *Log) remind() {
	if l.telling.Swap(true) {
		return
	}
	time.AfterFunc(l.config.Sampling.Window, func() {
		l.telling.Store(false)
		l.tellSampled(l.sampler.Due(time.Now()))
	})
}

func (l *Log) flushSampler() []sampling.Dropped[sampleKey] {
	if l.sampler == nil {
		return nil
	}
	return l.sampler.Flush()
}

// tellSampled writes how many refusals were left out.
func (l *Log) tellSampled(told []sampling.Dropped[sampleKey]) {
	for _, dropped := range told {
		attrs := []slog.Attr{
			slog.String("event", string(sampledOut)), slog.String("reason", string(dropped.Key.reason)), slog.String("route", dropped.Key.route),
		}
		if dropped.Key.issuer != "" {
			attrs = append(attrs, slog.String("issuer_label", dropped.Key.issuer))
		}
		attrs = append(attrs, slog.Uint64("count", dropped.Count), slog.Time("from", dropped.From), slog.Time("to", dropped.To))
		l.put(numbers, slog.LevelWarn, "denials left out", attrs)
	}
}
