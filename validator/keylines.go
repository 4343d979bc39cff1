package validator

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/discovery"
	"github.com/sallyport-auth/sallyport/internal/logline"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// keyLines writes the lines about the keys of one issuer. It gets what it writes from the
// hooks of [jwkscache.Trace], as a user's program would.
type keyLines struct {
	lines  *lines
	issuer *checkedIssuer
	keys   string                  // what they are called in the lines
	status func() jwkscache.Status // of the keys

	mu      sync.Mutex
	outage  outage
	fetched bool // a set was in use before
}

// trace returns the hooks.
func (k *keyLines) trace() *jwkscache.Trace {
	return &jwkscache.Trace{
		FetchDone: func(_ string, done jwkscache.FetchDone) { k.fetchDone(&done) },
		Moved: func(_, from, to string) {
			k.write(slog.LevelWarn, "the metadata names another URL for the "+k.keys+" than before",
				logline.Text("from", withoutQuery(from)), logline.Text("to", withoutQuery(to)),
				slog.String("mend", "if the issuer did not move them, configure Issuer.Keys with the right URL: who controls this one can mint tokens"))
		},
		Stored: func(_ string, stored jwkscache.Stored) {
			if stored.Err != nil {
				k.lines.about(k.issuer, slog.LevelWarn, snapshotFault, slog.String("use", stored.Use), logline.Error("error", stored.Err))
			}
		},
	}
}

func (k *keyLines) write(level slog.Level, text string, attrs ...slog.Attr) {
	k.lines.about(k.issuer, level, "sallyport: "+text, attrs...)
}

// isFetch reports whether a fetch has ended. Otherwise the set in use has changed.
func isFetch(done *jwkscache.FetchDone) bool {
	return done.Cause != "start" && done.Cause != "forbid" && done.Cause != "permit"
}

func (k *keyLines) fetchDone(done *jwkscache.FetchDone) {
	if !isFetch(done) {
		return // "start" may be in the constructor, and the others are calls of the program
	}
	now := time.Now()
	err := done.Err
	if err == nil {
		err = k.unfit()
	}
	k.mu.Lock()
	if err != nil {
		tell := k.outage.fail(now, err.Error())
		failures, since := k.outage.failures, k.outage.since
		k.mu.Unlock()
		if tell {
			k.tellFailure(done, err, failures, now.Sub(since))
		}
		return
	}
	first, ended := !k.fetched, k.outage.end()
	k.fetched = true
	k.mu.Unlock()
	k.tellSuccess(done, first, &ended, now)
}

// unfit returns why no key of the set in use can verify a token, or nil if one can.
func (k *keyLines) unfit() error {
	s := k.status()
	keys := s.Keys
	switch {
	case len(keys) == 0 && len(s.Ignored) == 0 && len(s.Forbidden) > 0:
		return errForbidden
	case len(keys) == 0:
		return errNoUsableKey
	case slices.ContainsFunc(keys, func(key *jose.Key) bool { return k.issuer.allowed[key.Algorithm()] }):
		return nil
	default:
		return fmt.Errorf("%w: %s", errNoFittingKey, keyIDs(keys))
	}
}

// tellFailure writes that keys could not be fetched, or that none of them can be used.
func (k *keyLines) tellFailure(done *jwkscache.FetchDone, err error, failures int, lasts time.Duration) {
	attrs := []slog.Attr{logline.Error("error", err)}
	unusable := done.Err == nil
	if len(done.Ignored) > 0 || unusable {
		attrs = append(attrs, slog.String("algorithms", k.issuer.algorithmNames()))
	}
	if len(done.Ignored) > 0 || errors.Is(err, errNoUsableKey) {
		attrs = append(attrs, logline.Text("not_used", ignoredTexts(done.Ignored)))
	}
	attrs = append(attrs, slog.String("mend", keyMend(err, done.Ignored)))
	if done.Location != "" {
		attrs = append(attrs, logline.Text("location", withoutQuery(done.Location)))
	}
	if failures > 1 {
		attrs = append(attrs, slog.Int("failures", failures), slog.Duration("for", lasts.Round(time.Second)))
	}
	level, s, now := slog.LevelError, k.status(), time.Now()
	if next := s.NextRefresh.Sub(now); next > 0 {
		attrs = append(attrs, slog.Duration("next_try_in", next.Round(time.Second)))
	}
	if s.State != "unavailable" && !unusable {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("keys_serve", serveTime(&s, now)))
	} else {
		attrs = append(attrs, slog.String("keys_serve", "no: tokens of the issuer are refused"))
	}
	text := "the " + k.keys + " of the issuer cannot be fetched"
	if unusable {
		text = "the issuer publishes no key that can be used"
	}
	k.write(level, text, attrs...)
}

// serveTime returns how long the keys serve at most.
func serveTime(s *jwkscache.Status, now time.Time) string {
	if s.UsableUntil.IsZero() {
		return "without end"
	}
	return "for " + max(s.UsableUntil.Sub(now), 0).Round(time.Second).String()
}

// tellSuccess writes that keys were fetched, if that is new.
func (k *keyLines) tellSuccess(done *jwkscache.FetchDone, first bool, ended *outage, now time.Time) {
	changed := len(done.Added) > 0 || len(done.Removed) > 0
	attrs := []slog.Attr{slog.Int("keys", done.Keys)}
	switch {
	case ended.failures > 0:
		attrs = append(attrs, slog.Duration("down", now.Sub(ended.since).Round(time.Second)), slog.Int("failures", ended.failures))
		k.write(slog.LevelInfo, "the "+k.keys+" of the issuer are fetched again", attrs...)
	case first:
		k.write(slog.LevelInfo, "the "+k.keys+" of the issuer were fetched", append(attrs, logline.Text("location", withoutQuery(done.Location)))...)
	case changed:
		attrs = append(attrs, logline.Text("added", keyIDs(done.Added)), logline.Text("removed", keyIDs(done.Removed)))
		k.write(slog.LevelInfo, "the "+k.keys+" of the issuer changed", attrs...)
	}
	if first || changed {
		k.tellIgnored(done.Ignored)
	}
	if first {
		k.advise(done.Cause)
	}
}

// tellIgnored writes which published keys are not used. Keys for another use, another
// algorithm or another issuer are no fault.
func (k *keyLines) tellIgnored(ignored []jose.IgnoredKey) {
	if len(ignored) == 0 {
		return
	}
	level := slog.LevelInfo
	for _, key := range ignored {
		if !key.Expected() {
			level = slog.LevelWarn
		}
	}
	k.write(level, "keys of the issuer are not used", logline.Text("not_used", ignoredTexts(ignored)))
}

// advise writes what follows from the metadata, and once that Run is not called.
func (k *keyLines) advise(fetchedFor string) {
	if !k.issuer.location.listsAudience() {
		k.write(slog.LevelWarn, "the metadata lists protected_resources, and none of Audiences is one (RFC 9728 §4)",
			logline.Texts("audiences", k.issuer.Audiences), slog.String("mend", "check that Issuer.Audiences has the identifier under which the issuer knows this API"))
	}
	if fetchedFor == "missing" && !k.lines.attended.Load() && k.lines.advised.CompareAndSwap(false, true) {
		k.write(slog.LevelInfo, "the keys were fetched when a token came, because neither Warm nor Run was called",
			slog.String("mend", "at start-up, call Warm(ctx) and then go Run(ctx): no request waits for keys, and Ready is nil before the first one"))
	}
}

// maxKeyTexts is how many keys a line names.
const maxKeyTexts = 8

// ignoredTexts returns the keys that are not used, and why.
func ignoredTexts(ignored []jose.IgnoredKey) string {
	if len(ignored) == 0 {
		return "the set is empty"
	}
	texts := make([]string, 0, maxKeyTexts+1)
	for i, key := range ignored {
		if i == maxKeyTexts {
			texts = append(texts, fmt.Sprintf("%d more", len(ignored)-i))
			break
		}
		texts = append(texts, fmt.Sprintf("keys[%d] kid %s: %v", key.Index, cause.Quote(key.KeyID), key.Reason))
	}
	return strings.Join(texts, "; ")
}

// keyIDs returns the kids of keys, or their thumbprints where they have none.
func keyIDs(keys []*jose.Key) string {
	texts := make([]string, 0, maxKeyTexts+1)
	for i, key := range keys {
		if i == maxKeyTexts {
			texts = append(texts, fmt.Sprintf("%d more", len(keys)-i))
			break
		}
		name := "thumbprint " + key.Thumbprint()
		if id, ok := key.ID(); ok {
			name = cause.Quote(id)
		}
		texts = append(texts, fmt.Sprintf("%s (%s)", name, key.Algorithm()))
	}
	return strings.Join(texts, ", ")
}

func keyCount(n int) string {
	if n == 1 {
		return "1 key"
	}
	return fmt.Sprintf("%d keys", n)
}

// withoutQuery returns a URL without its query, which may have secrets.
func withoutQuery(target string) string { return discovery.WithoutQuery(target) }
