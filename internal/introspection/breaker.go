package introspection

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/sallyport-auth/sallyport/introspect"
)

// outcome is what the result of a request says to a breaker.
type outcome uint8

const (
	ignored  outcome = iota // nothing
	verdict                 // what the breaker watches works
	answered                // the server can be reached; whether it works is not known
	doubtful                // a failure, but perhaps only for this token
	guarded                 // as doubtful, and probes are as rare as after a certain failure
	certain                 // a failure that no token can cause
	unsent                  // nothing: the request was not sent
)

// effect is what the result of a request says to the breakers of an issuer, and whether
// the issuer wants to be left alone.
type effect struct {
	server, credentials outcome
	throttled           bool
}

// effects is the table of the breakers. A verdict is any answer that says whether the
// token is active, Answer.Odd included. AnswerKeysMissing is ignored by both breakers,
// and so are NoEndpoint and NoCredentials: they come from elsewhere.
//
//	result                                    server breaker    credentials breaker
//	verdict                                   is closed         is closed
//	no connection (Unreachable, TimedOut)     certain failure   -
//	no connection (TLSFailed)                 certain failure   -
//	connection, and no answer (the same)      doubtful failure  -
//	answer cut short (the same)               doubtful failure  -
//	ServerError (5xx)                         doubtful failure  -
//	RequestRefused (400, 404, 405)            answered          -
//	CredentialsRefused after a verdict        answered          doubtful failure
//	CredentialsRefused, no verdict yet, 401   answered          certain failure
//	CredentialsRefused, no verdict yet, 403   answered          doubtful failure, probes stay rare
//	NotAnAnswer, UntrustedAnswer              answered          -
//	Throttled (429, Retry-After)              answered, but -   -, and the hold begins
//	                                          for 5xx
//
// Certain failures open a breaker if they come five in a row, without a verdict or
// another answer below 500 between them. Doubtful failures may be due to the token:
// servers and firewalls before them answer 500, 401 or 403, cut the connection or say
// nothing for tokens that they do not like, so that anybody can cause them. They open a
// breaker if five or more came within ten seconds and no verdict did. A breaker that
// certain failures have opened is closed by answered as well. A probe with another
// result that says nothing does not count as one: the next request is a probe.
//
// A verdict counts for the version of the credentials that it was had with. Credentials
// without one may be wrong, and then the server may lock the account.
var effects = map[introspect.Kind]effect{
	"":                     {server: verdict, credentials: verdict},
	introspect.Unreachable: {server: certain},
	introspect.TLSFailed:   {server: certain},
	introspect.TimedOut:    {server: certain},
	introspect.ServerError: {server: doubtful},

	introspect.RequestRefused:     {server: answered},
	introspect.CredentialsRefused: {server: answered, credentials: certain},
	introspect.NotAnAnswer:        {server: answered},
	introspect.UntrustedAnswer:    {server: answered},
	introspect.Throttled:          {server: answered, throttled: true},
}

// noEffect is the effect of a request that was not sent.
var noEffect = effect{server: unsent, credentials: unsent}

// effectOf returns the effect of result. worked says that a verdict was had with the
// same credentials.
func effectOf(result *attempt, worked bool) effect {
	e := effects[result.kind]
	switch {
	case e.server == certain && result.reached:
		e.server = doubtful
	case e.server == answered && result.status >= http.StatusInternalServerError:
		e.server = ignored
	}
	switch {
	case result.kind != introspect.CredentialsRefused:
	case worked:
		e.credentials = doubtful
	case result.status == http.StatusForbidden:
		e.credentials = guarded
	}
	return e
}

const (
	failures = 5 // that open a breaker
	window   = 10 * time.Second
	bucket   = time.Second
	forever  = 100 * 365 * 24 * time.Hour
)

// probing says which requests an open breaker lets pass.
type probing struct {
	pause, longest time.Duration // from one probe to the next after a certain failure; doubles up to longest
	doubtful       time.Duration // from one probe to the next after a doubtful failure
	probes         int           // at once; one more for each pause in which none ends

	// known is how many further probes there may be at once for tokens that were active
	// before. They are good evidence, because their failure is not due to the token.
	known         int
	knownPause    time.Duration // from the begin of one of them to the next
	knownDoubtful bool          // they are for doubtful failures only
}

// serverProbing spares a server that fails. It is short, so that a server that is back
// gets all requests within two seconds. After doubtful failures, there are more probes,
// so that one for a good token is soon among them.
var serverProbing = probing{
	pause: time.Second, longest: time.Second, doubtful: 50 * time.Millisecond, probes: 2,
	known: 4, knownPause: 50 * time.Millisecond,
}

// credentialsProbing keeps an account from being locked because of wrong credentials.
// Its doubtful is for credentials that a verdict was had with.
var credentialsProbing = probing{
	pause: 5 * time.Second, longest: 30 * time.Second, doubtful: 50 * time.Millisecond, probes: 1,
	known: 1, knownPause: time.Second, knownDoubtful: true,
}

var errFailed = errors.New("introspection: the request failed")

// breaker holds requests back while those before them fail. gobreaker counts the
// results and decides when to open. Whom an open breaker lets pass is decided here:
// gobreaker knows no groups of callers, and while its probes hang, it sends no others.
type breaker struct {
	probing

	mu        sync.Mutex
	counts    *gobreaker.CircuitBreaker[struct{}]
	tripped   bool // counts is open, which it stays until it is replaced
	row       int  // certain failures since the last answer
	doubt     bool // the last failure was doubtful or guarded
	rare      bool // the last failure was guarded
	wait      time.Duration
	last      time.Time // begin of the last probe
	next      time.Time // earliest begin of the next one
	running   int       // probes
	knownNext time.Time
	knownRuns int // further probes for known tokens
}

// pass is the permission of a breaker to send one request.
type pass struct {
	counts *gobreaker.CircuitBreaker[struct{}] // in which it was given; nil for no pass
	probe  probeKind
}

type probeKind uint8

const (
	noProbe probeKind = iota
	anyProbe
	knownProbe
)

func newBreaker(p probing) *breaker {
	b := &breaker{probing: p}
	b.reset()
	return b
}

// reset closes b and forgets all results.
func (b *breaker) reset() {
	b.tripped, b.row, b.wait, b.running, b.knownRuns = false, 0, b.pause, 0, 0
	b.counts = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Interval: window, BucketPeriod: bucket, Timeout: forever,
		ReadyToTrip: func(c gobreaker.Counts) bool { // called by record, with b.mu held
			return b.row >= failures || c.TotalFailures >= failures && c.TotalSuccesses == 0
		},
	})
}

// record counts a result, by which b may open.
func (b *breaker) record(err error) {
	_, _ = b.counts.Execute(func() (struct{}, error) { return struct{}{}, err })
	b.tripped = b.counts.State() != gobreaker.StateClosed
}

// open reports whether b is open.
func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tripped
}

// enter reports whether a request may be sent. If it may not, wait is the time to the
// next probe. What it returns must be given to leave.
func (b *breaker) enter(known bool, now time.Time) (p pass, wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.tripped:
		return pass{b.counts, noProbe}, 0, true
	case !now.Before(b.next) && (b.running < b.probes || now.Sub(b.last) >= b.pause):
		b.running++
		b.last, b.next = now, now.Add(b.spacing())
		return pass{b.counts, anyProbe}, 0, true
	case known && b.knownRuns < b.known && !now.Before(b.knownNext) && (b.doubt || !b.knownDoubtful):
		b.knownRuns++
		b.knownNext = now.Add(b.knownPause)
		return pass{b.counts, knownProbe}, 0, true
	}
	return pass{}, max(b.next.Sub(now), 0), false
}

// spacing returns the time from one probe to the next.
func (b *breaker) spacing() time.Duration {
	if b.doubt && !b.rare {
		return b.doubtful
	}
	return b.wait
}

// still reports whether a request with p may still be sent. It may not if b has opened
// since, unless p is that of a probe.
func (b *breaker) still(p pass) bool { return p.probe != noProbe || !b.open() }

// retry lets a probe pass at once.
func (b *breaker) retry() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wait, b.last, b.next = b.pause, time.Time{}, time.Time{}
}

// leave records what the result of the request with p says. Failures of requests from
// before the last recovery say nothing.
func (b *breaker) leave(p pass, o outcome, now time.Time) {
	if p.counts == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	current := p.counts == b.counts
	if current && p.probe == anyProbe {
		b.running--
	}
	if current && p.probe == knownProbe {
		b.knownRuns--
	}
	switch {
	case o == verdict:
		if b.tripped {
			b.reset()
		}
		b.row = 0
		b.record(nil)
	case !current:
	case o == answered:
		b.row = 0
		if b.tripped && !b.doubt {
			b.reset()
			return
		}
		b.again(p, now)
	case o == ignored, o == unsent:
		b.again(p, now)
	default:
		b.fail(p, o, now)
	}
}

// again lets another probe pass in place of that with p.
func (b *breaker) again(p pass, now time.Time) {
	if p.probe == anyProbe {
		b.next = now
	}
	if p.probe == knownProbe {
		b.knownNext = now
	}
}

// fail records a failure.
func (b *breaker) fail(p pass, o outcome, now time.Time) {
	b.doubt, b.rare = o != certain, o == guarded
	if !b.doubt {
		b.row++
	}
	switch {
	case !b.tripped:
		b.record(errFailed)
		b.last = now
	case p.probe == anyProbe:
		b.wait = min(2*b.wait, b.longest)
	default:
		return
	}
	b.next = b.last.Add(b.spacing())
}
