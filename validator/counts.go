package validator

import (
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Counts are what a Validator asked of an issuer since [New], for metrics. The maps have
// closed sets of keys, which are safe as labels. They have them all, also those that
// were never counted.
type Counts struct {
	// Issuer is the URL of a configured issuer. It is "resolved" for all issuers that
	// Config.ResolveIssuer found, together; the counts of an issuer that was forgotten
	// stay in these.
	Issuer string

	// Fetches are the fetches of keys by cause and outcome, as in jwkscache.FetchDone,
	// those for signed answers included. nil if the issuer's keys are not used.
	Fetches   map[string]map[jwkscache.Outcome]uint64
	FetchTook Durations // of the fetches
	// UnknownKids are tokens with unknown kids by decision, as in jwkscache.UnknownKid.
	// nil if the issuer's keys are not used.
	UnknownKids      map[string]uint64
	KeysMoved        uint64 // times that metadata named another URL for the keys
	SnapshotFailures uint64 // uses of Config.SnapshotDir that failed

	// Asked are the questions to the issuer about tokens: "active", "inactive", or the
	// introspect.Kind of a question without a verdict. Some of the latter were not
	// sent. nil if the issuer is not asked.
	Asked         map[string]uint64
	AskTook       Durations // of the questions that were sent
	EndpointMoved uint64    // times that metadata named another endpoint for introspection
}

// Durations is a histogram.
type Durations struct {
	Count  uint64                   // of all durations
	Sum    time.Duration            // of all durations
	Within map[time.Duration]uint64 // how many were at most that long
}

// Labels of Counts.
var (
	fetchCauses   = [...]string{"missing", "schedule", "stale", "unknown_kid", "bad_signature", "no_kid"}
	fetchOutcomes = [...]jwkscache.Outcome{
		jwkscache.Fetched, jwkscache.Unchanged, jwkscache.Unreachable, jwkscache.TimedOut, jwkscache.TLSFailed, jwkscache.ServerError,
		jwkscache.Throttled, jwkscache.RequestRefused, jwkscache.NotKeys, jwkscache.NoLocation, jwkscache.Overloaded,
	}
	kidDecisions = [...]string{"starts", "joins", "waits", "refuses"}
	askOutcomes  = [...]string{
		"active", "inactive",
		string(introspect.NoEndpoint), string(introspect.NoCredentials), string(introspect.Unreachable), string(introspect.TimedOut),
		string(introspect.TLSFailed), string(introspect.CredentialsRefused), string(introspect.Throttled), string(introspect.ServerError),
		string(introspect.RequestRefused), string(introspect.NotAnAnswer), string(introspect.UntrustedAnswer),
		string(introspect.AnswerKeysMissing), string(introspect.Overloaded), string(introspect.BreakerOpen),
	}
	durationBounds = [...]time.Duration{
		5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
		500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second,
	}
)

// counters count for one issuer, or for all resolved ones. They are fed by hooks.
type counters struct {
	fetches                   [len(fetchCauses)][len(fetchOutcomes)]atomic.Uint64
	kids                      [len(kidDecisions)]atomic.Uint64
	asked                     [len(askOutcomes)]atomic.Uint64
	fetchTook, askTook        durations
	keysMoved, endpointsMoved atomic.Uint64
	snapshotFailures          atomic.Uint64
}

// durations is a histogram with the bounds of durationBounds.
type durations struct {
	within [len(durationBounds)]atomic.Uint64 // at most the bound, and more than the one before
	longer atomic.Uint64
	sum    atomic.Int64
}

func (d *durations) add(took time.Duration) {
	d.sum.Add(int64(took))
	for i, bound := range durationBounds {
		if took <= bound {
			d.within[i].Add(1)
			return
		}
	}
	d.longer.Add(1)
}

func (d *durations) read() Durations {
	read := Durations{Within: make(map[time.Duration]uint64, len(durationBounds)), Sum: time.Duration(d.sum.Load())}
	for i, bound := range durationBounds {
		read.Count += d.within[i].Load()
		read.Within[bound] = read.Count
	}
	read.Count += d.longer.Load()
	return read
}

// count adds 1 to the counter of label. It does nothing for an unknown one.
func count[T comparable](labels []T, counters []atomic.Uint64, label T) {
	for i, known := range labels {
		if known == label {
			counters[i].Add(1)
			return
		}
	}
}

// keyHooks returns hooks that count, and then call those of next, which may be nil.
func (c *counters) keyHooks(next *jwkscache.Trace) *jwkscache.Trace {
	own := &jwkscache.Trace{
		FetchDone: func(_ string, done jwkscache.FetchDone) {
			for i, cause := range fetchCauses {
				if cause == done.Cause && done.Outcome != "" {
					count(fetchOutcomes[:], c.fetches[i][:], done.Outcome)
					c.fetchTook.add(done.Took)
				}
			}
		},
		UnknownKid: func(_ string, asked jwkscache.UnknownKid) { count(kidDecisions[:], c.kids[:], asked.Decision) },
		Moved:      func(string, string, string) { c.keysMoved.Add(1) },
		Stored: func(_ string, stored jwkscache.Stored) {
			if stored.Err != nil {
				c.snapshotFailures.Add(1)
			}
		},
	}
	return own.Join(next)
}

// askHooks is keyHooks for asking issuers about tokens.
func (c *counters) askHooks(next *introspect.Trace) *introspect.Trace {
	own := &introspect.Trace{
		AskDone: func(_ string, done introspect.AskDone) {
			outcome := string(done.Kind)
			switch {
			case outcome != "":
			case done.Active:
				outcome = "active"
			default:
				outcome = "inactive"
			}
			count(askOutcomes[:], c.asked[:], outcome)
			if done.Requests > 0 {
				c.askTook.add(done.Took)
			}
		},
		Moved: func(string, string, string) { c.endpointsMoved.Add(1) },
	}
	return own.Join(next)
}

// addKeys adds the counts about keys to read.
func (c *counters) addKeys(read *Counts) {
	read.Fetches = make(map[string]map[jwkscache.Outcome]uint64, len(fetchCauses))
	for i, cause := range fetchCauses {
		read.Fetches[cause] = make(map[jwkscache.Outcome]uint64, len(fetchOutcomes))
		for j, outcome := range fetchOutcomes {
			read.Fetches[cause][outcome] = c.fetches[i][j].Load()
		}
	}
	read.UnknownKids = make(map[string]uint64, len(kidDecisions))
	for i, decision := range kidDecisions {
		read.UnknownKids[decision] = c.kids[i].Load()
	}
	read.FetchTook, read.KeysMoved, read.SnapshotFailures = c.fetchTook.read(), c.keysMoved.Load(), c.snapshotFailures.Load()
}

// addAsked adds the counts about introspection to read.
func (c *counters) addAsked(read *Counts) {
	read.Asked = make(map[string]uint64, len(askOutcomes))
	for i, outcome := range askOutcomes {
		read.Asked[outcome] = c.asked[i].Load()
	}
	read.AskTook, read.EndpointMoved = c.askTook.read(), c.endpointsMoved.Load()
}

// counts returns the counts of a configured issuer.
func (is *checkedIssuer) counts() Counts {
	read := Counts{Issuer: is.URL}
	if is.needsKeys() || is.opaque.answerKeys != nil {
		is.counters.addKeys(&read)
	}
	if is.opaque != nil {
		is.counters.addAsked(&read)
	}
	return read
}
