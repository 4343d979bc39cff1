package middleware

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/internal/logline"
	"github.com/sallyport-auth/sallyport/internal/sampling"
	"github.com/sallyport-auth/sallyport/validator"
)

// refusalLimits bounds the lines about requests, by lineKey.
var refusalLimits = sampling.Limits{First: 5, Window: time.Minute, Keys: 1024}

// lineKey is what lines about requests are counted by. Each field has one of a fixed set of
// texts.
type lineKey struct {
	message string
	reason  validator.Reason
	issuer  string
}

// Messages of lines about requests.
const (
	refusedMessage    = "sallyport: request refused"
	endedMessage      = "sallyport: request ended"
	tokenInURLMessage = "sallyport: access_token in the URL" //nolint:gosec // no credential
	droppedMessage    = "sallyport: lines were left out"
)

// lines are what a Guard logs by itself; see [Config].Logger.
type lines struct {
	log     *logline.Log
	sampler *sampling.Sampler[lineKey]
}

// newLines returns the lines of a Guard. A nil logger is that of the Validator.
func newLines(logger *slog.Logger, v *validator.Validator) *lines {
	current := v.Logger
	if logger != nil {
		current = func() *slog.Logger { return logger }
	}
	return &lines{log: logline.New(current), sampler: sampling.New(refusalLimits, lineKey{message: "others"}, time.Now())}
}

// level returns the level of lines about refusals for reason. What could not be determined
// is a fault of this side or of the issuer, and everything else one of the caller.
func level(reason validator.Reason) slog.Level {
	if reason == validator.Unavailable {
		return slog.LevelError
	}
	return slog.LevelInfo
}

// refused writes that a request was refused. A caller that left was not refused.
func (l *lines) refused(d *Decision) {
	if d.Denial != nil && d.Denial.Class != ClassCanceled {
		l.write(level(d.Denial.Reason), refusedMessage, d)
	}
}

// ended writes that a request ended that was permitted before. The end of a token is where
// such a request ends as a rule.
func (l *lines) ended(d *Decision) {
	at := level(d.Denial.Reason)
	if d.Denial.Reason == validator.Expired {
		at = slog.LevelDebug
	}
	l.write(at, endedMessage, d)
}

func (l *lines) write(at slog.Level, message string, d *Decision) {
	if !l.passes(at, lineKey{message, d.Denial.Reason, d.Issuer}) {
		return
	}
	attrs := make([]slog.Attr, 0, 7)
	attrs = append(attrs, slog.String("reason", string(d.Denial.Reason)), logline.Error("cause", d.Denial.Cause()))
	for _, a := range [...]slog.Attr{logline.Text("issuer", d.Issuer), logline.Text("client", d.Client), logline.Text("route", d.Route), slog.String("kind", string(d.Kind))} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	l.log.Write(at, message, append(attrs, slog.String("transport", d.Transport))...)
}

// tokenInURL writes that a request had a token in its URL.
func (l *lines) tokenInURL(route, transport string) {
	if !l.passes(slog.LevelWarn, lineKey{message: tokenInURLMessage}) {
		return
	}
	l.log.Write(slog.LevelWarn, tokenInURLMessage,
		slog.String("cause", "found access_token in the query, which is never used as a credential and may be in logs and histories now"),
		slog.String("mend", "let the client send Authorization: Bearer, and revoke the token"),
		logline.Text("route", route), slog.String("transport", transport))
}

// passes reports whether a line is written, and writes how many were not before.
func (l *lines) passes(at slog.Level, key lineKey) bool {
	if !l.log.Enabled(at) {
		return false
	}
	passes, told := l.sampler.Sample(key, time.Now())
	l.tell(told)
	return passes
}

// tell writes how many lines were not written.
func (l *lines) tell(told []sampling.Dropped[lineKey]) {
	for _, dropped := range told {
		attrs := []slog.Attr{slog.Uint64("count", dropped.Count), slog.String("line", dropped.Key.message)}
		if dropped.Key.reason != "" {
			attrs = append(attrs, slog.String("reason", string(dropped.Key.reason)))
		}
		if dropped.Key.issuer != "" {
			attrs = append(attrs, logline.Text("issuer", dropped.Key.issuer))
		}
		l.log.Write(level(dropped.Key.reason), droppedMessage, append(attrs, slog.Time("from", dropped.From), slog.Time("to", dropped.To))...)
	}
}

// begin tells, until ctx ends, how many lines were not written in a minute after which no
// request was refused. The caller waits for all.
func (l *lines) begin(ctx context.Context, all *sync.WaitGroup) {
	if hook.CheckContext(ctx) != nil {
		return
	}
	all.Go(func() {
		ticker := time.NewTicker(refusalLimits.Window)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				l.tell(l.sampler.Due(time.Now())) //nolint:contextcheck // lines are written later
			case <-ctx.Done():
				l.tell(l.sampler.Flush()) //nolint:contextcheck // lines are written later
				l.log.Flush()             //nolint:contextcheck // lines are written later
				return
			}
		}
	})
}
