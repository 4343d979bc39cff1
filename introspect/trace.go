package introspect

import (
	"time"

	"github.com/sallyport-auth/sallyport/internal/hook"
)

// Trace is a set of hooks, each optional. Hooks run inside the work that they report,
// possibly from many goroutines at once, and must be quick. They never get bytes of a
// token, of a secret or of an answer. Their panics are dropped.
type Trace struct {
	// AskDone is called when a request to an issuer ended, or was not sent although
	// a token needed it.
	AskDone func(issuer string, done AskDone)
	// StateChanged is called when requests to an issuer begin or cease to be held
	// back.
	StateChanged func(issuer string, state State)
	// Moved is called when metadata names another endpoint than before to which tokens
	// or credentials of this API are sent: the introspection endpoint, or the token
	// endpoint of [Bearer]. from and to are without the query; a change of the query
	// alone is not told. An attacker who can change that endpoint gets both (RFC
	// 8414 §6).
	Moved func(issuer, from, to string)
}

// AskDone is the result of asking an issuer about one token.
type AskDone struct {
	Active   bool          // the issuer says that the token is active; false if Kind is set
	Kind     Kind          // "" if there is a verdict
	Err      error         // an [*Error], or nil
	Status   int           // of the HTTP answer, or 0
	Requests int           // that were sent: 0 if the issuer was not asked, 2 if one was repeated
	Queued   time.Duration // how long it waited for its turn
	Took     time.Duration // from its turn to the answer
	Flipped  bool          // the token was active when the issuer was asked before, and is not now
}

// State says whether requests to an issuer are held back. The set is closed.
type State string

// The states.
const (
	Asking       State = "asking"              // requests are sent
	Failing      State = "failing"             // the breaker is open: only probes are sent
	Refused      State = "credentials_refused" // this API's credentials are refused: few requests are sent
	HeldByIssuer State = "held"                // the issuer asked to wait
	Undiscovered State = "undiscovered"        // the endpoint is not known
)

// Join returns hooks that call those of t and then those of next. Either may be nil.
func (t *Trace) Join(next *Trace) *Trace {
	if t == nil {
		return next
	}
	if next == nil {
		return t
	}
	return &Trace{
		AskDone: func(issuer string, done AskDone) {
			t.askDone(issuer, done)
			next.askDone(issuer, done)
		},
		StateChanged: func(issuer string, state State) {
			t.stateChanged(issuer, state)
			next.stateChanged(issuer, state)
		},
		Moved: func(issuer, from, to string) {
			t.moved(issuer, from, to)
			next.moved(issuer, from, to)
		},
	}
}

func (t *Trace) askDone(issuer string, done AskDone) {
	if t != nil && t.AskDone != nil {
		defer hook.Recover()
		t.AskDone(issuer, done)
	}
}

func (t *Trace) stateChanged(issuer string, state State) {
	if t != nil && t.StateChanged != nil {
		defer hook.Recover()
		t.StateChanged(issuer, state)
	}
}

func (t *Trace) moved(issuer, from, to string) {
	if t != nil && t.Moved != nil {
		defer hook.Recover()
		t.Moved(issuer, from, to)
	}
}
