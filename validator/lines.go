package validator

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/internal/logline"
	"github.com/sallyport-auth/sallyport/internal/sampling"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// resolvedLines bounds the lines about issuers that Config.ResolveIssuer finds, by
// message: there may be thousands of them.
var resolvedLines = sampling.Limits{First: 5, Window: time.Minute, Keys: 32}

// lines are what a Validator logs by itself; see [Config].Logger.
type lines struct {
	log      *logline.Log
	logger   *slog.Logger // of Config; may be nil
	resolved *sampling.Sampler[string]
	issuers  []*checkedIssuer // the configured ones; set by New

	start    sync.Once
	attended atomic.Bool // Warm or Run was called
	advised  atomic.Bool // to call Run
}

func newLines(logger *slog.Logger, start time.Time) *lines {
	l := &lines{logger: logger, resolved: sampling.New(resolvedLines, "", start)}
	l.log = logline.New(l.current)
	return l
}

// current returns the logger to use now.
func (l *lines) current() *slog.Logger {
	if l.logger != nil {
		return l.logger
	}
	return slog.Default()
}

// Logger returns Config.Logger, or [slog.Default] if that is nil.
func (v *Validator) Logger() *slog.Logger {
	if !v.initialized() {
		return slog.Default()
	}
	return v.lines.current()
}

// about writes a line about an issuer. The lines about resolved issuers are sampled.
func (l *lines) about(is *checkedIssuer, level slog.Level, message string, attrs ...slog.Attr) {
	if !l.log.Enabled(level) {
		return
	}
	if is.resolved {
		passes, told := l.resolved.Sample(message, time.Now())
		l.tell(told)
		if !passes {
			return
		}
	}
	l.log.Write(level, message, append([]slog.Attr{logline.Text("issuer", is.URL)}, attrs...)...)
}

// tell writes how many lines about resolved issuers were not written.
func (l *lines) tell(told []sampling.Dropped[string]) {
	for _, dropped := range told {
		l.log.Write(slog.LevelWarn, "sallyport: lines about resolved issuers were left out",
			slog.String("line", dropped.Key), slog.Uint64("count", dropped.Count), slog.Time("from", dropped.From), slog.Time("to", dropped.To))
	}
}

// end writes what is left to be told, and waits for the logger for a second at most.
func (l *lines) end() {
	l.tell(l.resolved.Flush())
	l.log.Flush()
}

// attend records that Warm or Run was called, and writes the start-up lines.
func (l *lines) attend() {
	l.attended.Store(true)
	l.begin()
}

// begin writes the start-up lines, once. A constructor writes nothing, so this is called by
// the first of Warm, Run and a token that is not in the cache.
func (l *lines) begin() { l.start.Do(l.writeStart) }

func (l *lines) writeStart() {
	for _, is := range l.issuers {
		l.about(is, slog.LevelInfo, "sallyport: issuer configured", is.startAttrs()...)
		for _, warning := range is.warnings() {
			l.log.Write(slog.LevelWarn, "sallyport: configuration", logline.Text("warning", warning))
		}
	}
}

// startAttrs returns what the start-up line says of the issuer.
func (is *checkedIssuer) startAttrs() []slog.Attr {
	attrs := []slog.Attr{logline.Texts("audiences", is.Audiences), slog.String("algorithms", is.algorithmNames()), logline.Text("keys", is.keySource())}
	if is.MetadataURL != "" {
		attrs = append(attrs, logline.Text("metadata", withoutQuery(is.MetadataURL)))
	}
	if len(is.ClientIDs) > 0 {
		attrs = append(attrs, logline.Texts("client_ids", is.ClientIDs))
	}
	if is.Profile == ProfileLegacy {
		attrs = append(attrs, slog.String("profile", "legacy"))
	}
	if is.Opaque != nil {
		endpoint := is.Opaque.Endpoint
		if endpoint == "" {
			endpoint = "of the metadata"
		}
		attrs = append(attrs, logline.Text("introspection", withoutQuery(endpoint)))
	}
	return attrs
}

// keySource returns where the keys come from.
func (is *checkedIssuer) keySource() string {
	if !is.needsKeys() {
		return "not used"
	}
	switch s := is.keys.Status(); s.Source {
	case "static":
		return keyCount(len(s.Keys)) + " of the configuration"
	case "discovery":
		return "of the metadata"
	default:
		return withoutQuery(s.Location)
	}
}

// storeTrace returns the hook for the snapshot of the accepted issuers.
func (l *lines) storeTrace() *jwkscache.Trace {
	return &jwkscache.Trace{Stored: func(_ string, stored jwkscache.Stored) {
		if stored.Err != nil {
			l.log.Write(slog.LevelWarn, snapshotFault, slog.String("use", stored.Use), logline.Error("error", stored.Err))
		}
	}}
}

const snapshotFault = "sallyport: the snapshot directory cannot be used"
