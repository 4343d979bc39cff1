package validator

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/internal/logline"
	"github.com/sallyport-auth/sallyport/introspect"
)

// askLines writes the lines about asking one issuer about tokens. It gets what it writes
// from the hooks of [introspect.Trace].
type askLines struct {
	lines  *lines
	issuer *checkedIssuer

	mu      sync.Mutex
	outage  outage
	doubted bool // a line about answers to JWTs was written
}

// trace returns the hooks.
func (a *askLines) trace() *introspect.Trace {
	return &introspect.Trace{
		AskDone:      func(_ string, done introspect.AskDone) { a.askDone(&done) },
		StateChanged: func(_ string, state introspect.State) { a.stateChanged(state) },
		Moved: func(_, from, to string) {
			a.write(slog.LevelWarn, "the metadata names another endpoint for tokens or credentials than before",
				logline.Text("from", from), logline.Text("to", to),
				slog.String("mend", "if the issuer did not move it, configure the endpoint: who controls this one gets tokens and credentials"))
		},
	}
}

func (a *askLines) write(level slog.Level, text string, attrs ...slog.Attr) {
	a.lines.about(a.issuer, level, "sallyport: "+text, attrs...)
}

func (a *askLines) askDone(done *introspect.AskDone) {
	if done.Kind != "" {
		a.failed(done)
		return
	}
	a.mu.Lock()
	ended, now := a.outage.end(), time.Now()
	never := int64(0)
	if !a.doubted && a.issuer.opaque != nil {
		never = a.issuer.opaque.jwts.neverActive()
		a.doubted = never > 0
	}
	a.mu.Unlock()
	if ended.failures > 0 {
		a.write(slog.LevelInfo, "introspection works again",
			slog.Duration("down", now.Sub(ended.since).Round(time.Second)), slog.Int("failures", ended.failures))
	}
	if never > 0 {
		a.write(slog.LevelWarn, "the issuer called none of the valid JWTs active that it was asked about", slog.Int64("asked", never),
			slog.String("mend", "see how this API is registered at the issuer, or ask for no answers about JWTs (ActiveWithin)"))
	}
}

// failed writes that the issuer gave no verdict.
func (a *askLines) failed(done *introspect.AskDone) {
	now := time.Now()
	a.mu.Lock()
	tell := a.outage.fail(now, string(done.Kind))
	failures, since := a.outage.failures, a.outage.since
	a.mu.Unlock()
	if !tell {
		return
	}
	attrs := []slog.Attr{slog.String("kind", string(done.Kind)), logline.Error("error", withoutKind(done.Err))}
	if mend := askMends[done.Kind]; mend != "" {
		attrs = append(attrs, slog.String("mend", mend))
	}
	if failures > 1 {
		attrs = append(attrs, slog.Int("failures", failures), slog.Duration("for", now.Sub(since).Round(time.Second)))
	}
	a.write(slog.LevelWarn, "the issuer cannot be asked about tokens", attrs...)
}

// withoutKind returns the cause of an error of introspection.
func withoutKind(err error) error {
	if known, ok := errors.AsType[*introspect.Error](err); ok && known.Unwrap() != nil {
		return known.Unwrap()
	}
	return err
}

// askMends are what an operator can do. Kinds whose error says it already have none.
var askMends = map[introspect.Kind]string{
	introspect.NoEndpoint:        "set Issuer.Opaque.Endpoint, or let the metadata name introspection_endpoint; if the metadata are elsewhere, name them in Issuer.MetadataURL",
	introspect.NoCredentials:     "look at the secret or key in Issuer.Opaque.Authentication: it could not be read",
	introspect.Unreachable:       "check the host and port of Issuer.Opaque.Endpoint, and whether it may be reached from here",
	introspect.TimedOut:          "the issuer is too slow or cannot be reached; Client.Limits.Timeout is the bound",
	introspect.Throttled:         "ask the issuer for a higher limit, or raise Client.Cache.TTL so that it is asked less often",
	introspect.ServerError:       "the issuer fails: its own log says why",
	introspect.NotAnAnswer:       "check that Issuer.Opaque.Endpoint is the introspection endpoint (RFC 7662)",
	introspect.UntrustedAnswer:   "with Client.Signed, the issuer must sign its answers for this API (RFC 9701): register it so, or leave Signed out",
	introspect.AnswerKeysMissing: "see the line about the keys of the issuer",
	introspect.Overloaded:        "raise Client.Limits.Concurrency or Client.Limits.Queue if the issuer can take it",
}

// stateChanged writes that requests are held back. That they are sent again is told with
// the first that succeeds.
func (a *askLines) stateChanged(state introspect.State) {
	if state == introspect.Asking {
		return
	}
	attrs := []slog.Attr{slog.String("state", string(state))}
	if err := a.issuer.opaque.asker.Ready(); err != nil {
		attrs = append(attrs, logline.Error("error", withoutKind(err)), slog.String("mend", askMends[introspect.NoEndpoint]))
	}
	a.write(slog.LevelError, "requests about tokens are held back: tokens that were not asked about are answered with 503", attrs...)
}
