package introspection

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
)

// Binding is what an Asker needs beside its Client.
type Binding struct {
	Issuer string // the URL of the issuer
	// Endpoints returns the endpoints that the metadata of the issuer names. It is not
	// called if the Client names those that it needs. It may wait for the network.
	Endpoints func(ctx context.Context) (Endpoints, error)
	// AnswerKeys returns the keys to try for a signed answer with this header, as
	// [claims.JWT] wants them. It is called only if the Client has Signed.
	AnswerKeys func(ctx context.Context, header jose.Header) ([]*jose.Key, error)
	Algorithms []jose.Algorithm // that signed answers may have
	// HTTPClient replaces the transport; see [fetch.Config]. nil means one of
	// the Asker's own, with as many idle connections as requests may be under way.
	HTTPClient        *http.Client
	InsecureAllowHTTP bool
	Shared            *Shared           // bounds over all issuers
	Limits            strictjson.Limits // of answers; the zero value means [strictjson.TokenLimits]
	Trace             *introspect.Trace
}

// Endpoints are the endpoints of an issuer that introspection needs.
type Endpoints struct {
	Introspection string
	Token         string   // "" if the metadata has none
	AuthMethods   []string // introspection_endpoint_auth_methods_supported; nil if absent
}

// Question asks about one token.
type Question struct {
	Token string
	// Known is set if the issuer said that the token is active when it was asked
	// before. A part of the bounds is for such tokens.
	Known bool
	// Once is set if the request must not be repeated, because the server may count
	// it as a use of the token. Such a question is not answered from a Store, and its
	// answer is not put there.
	Once bool
	// NotBefore is the earliest Began of an answer that counts. The zero time means that
	// any does. It is for answers in a Store, which may come from a process whose clock
	// differs: it is as exact as the clocks are.
	NotBefore time.Time
}

// Answer is a verdict of an issuer on one token.
type Answer struct {
	Active bool
	// Document is the introspection response: one JSON object (RFC 7662 §2.2), for a
	// signed answer its token_introspection. Members are its members, in order. Both are
	// for active answers only: nothing else in an inactive one counts.
	Document string
	Members  []strictjson.Member
	// Began is when the request was begun that got the answer. For an answer from a
	// Store, that is before Ask was called, but never later than now.
	Began time.Time
	// Stored is set if the answer comes from a Store.
	Stored bool
	// Odd says why an answer counts as inactive that is neither active nor inactive, such
	// as one whose active is a string. It is nil for proper answers. Such an answer must
	// not be remembered.
	Odd error

	secrets []string // that were sent for it; nil for an answer from a Store
}

// Settled returns err, a refusal that the answer about token is the reason of, with its
// details written. They show no part of the token and of the credentials of this API,
// which a server may repeat in any member.
func (a *Answer) Settled(err error, token string) error {
	return cause.Settled(err, append(slices.Clip(a.secrets), token)...)
}

// endpoint is what an Asker asks: an [exchange], or what a test puts in its place.
type endpoint interface {
	ask(ctx context.Context, q Question) attempt
	warm(ctx context.Context) error
	ready() error
	warnings() []string
}

// renewer is an endpoint that can say whether it has other credentials than those that
// were refused last. It reads them again for that, at most once in five seconds.
type renewer interface {
	renewed(ctx context.Context) bool
}

// Asker asks one issuer. It is made by [Open] and safe for concurrent use.
type Asker struct {
	client   introspect.Client
	binding  Binding
	endpoint endpoint

	gates        gates
	underWay     atomic.Int64 // requests
	hold         hold
	server       *breaker
	credentials  *breaker
	worked       atomic.Int64 // the version of the credentials of the last verdict, plus one
	renewal      renewal
	undiscovered atomic.Bool // there was no endpoint for the last request, or for Warm
	store        *sealedStore
	tracer       tracer
	state        stateKeeper
}

var errIssuerQueue = errors.New("introspection: too many requests to the issuer wait for their turn; raise Limits.Queue or Limits.Concurrency")

// Open checks the configuration and makes an Asker. It does no I/O. The paths of the
// faults are the fields of client.
func Open(client *introspect.Client, b Binding) (*Asker, error) {
	f := fault.In("introspection")
	a := &Asker{client: *client, binding: b}
	checkBounds(f, &a.client)
	x := newExchange(&a.client, b, f)
	if err := f.Err(); err != nil {
		return nil, err
	}
	a.open(x)
	return a, nil
}

// open makes what Open has checked.
func (a *Asker) open(x endpoint) {
	limits := &a.client.Limits
	shared := sharedOr(a.binding.Shared)
	a.endpoint = x
	a.gates = gates{newGate(limits.Concurrency, limits.Queue, errIssuerQueue), shared.gate, shared.gate.reserve(shared.limits.Concurrency)}
	a.hold.longest, a.hold.share = limits.MaxHold, reserved(limits.Concurrency)
	a.server, a.credentials = newBreaker(serverProbing), newBreaker(credentialsProbing)
	a.renewal.renewer, _ = x.(renewer)
	a.tracer = newTracer(a.binding.Issuer, a.binding.Trace)
	a.state = stateKeeper{state: introspect.Asking, report: a.tracer.stateChanged}
	if a.client.Store != nil && a.TTL() > 0 {
		a.store = newSealedStore(&a.client, a.binding.Issuer)
	}
}

// TTL returns how long answers "active" are used, or 0 if no answer is used for another
// question.
func (a *Asker) TTL() time.Duration { return max(a.client.Cache.TTL, 0) }

// Negative returns how long answers "not active" are used, or 0 if they are used for no
// other question. It is 0 if TTL is.
func (a *Asker) Negative() time.Duration { return min(max(a.client.Cache.Negative, 0), a.TTL()) }

// Ask asks the issuer about a token. The error is an [*introspect.Error]. Ask waits for
// a turn and for the answer, no longer than ctx and no longer than Longest. A Store is
// looked at before.
//
// If requests to the issuer are held back, the error comes at once: of kind
// [introspect.BreakerOpen] while the server fails, [introspect.CredentialsRefused]
// while it refuses the credentials, [introspect.Throttled] while it wants to be left
// alone, and [introspect.Overloaded] if the queue is full. They have a RetryAfter.
func (a *Asker) Ask(ctx context.Context, q Question) (Answer, error) {
	if answer, ok := a.store.get(ctx, &q); ok {
		return answer, nil
	}
	done := introspect.AskDone{}
	result := a.send(ctx, &q, &done)
	done.Kind, done.Status, done.Requests = result.kind, result.status, result.requests
	if result.kind != "" {
		err := introspect.NewError(result.kind, result.err, result.retryAfter)
		done.Err = err
		a.tracer.askDone(done)
		return Answer{}, err
	}
	done.Active = result.answer.Active
	done.Flipped = q.Known && !done.Active
	a.tracer.askDone(done)
	a.store.set(ctx, &q, &result.answer)
	return result.answer, nil
}

// Longest returns the longest time that Ask takes.
func (a *Asker) Longest() time.Duration {
	const own = 100 * time.Millisecond // so that the time limits of the parts end first
	longest := a.client.Limits.QueueTimeout + a.client.Limits.Timeout + own
	if a.store != nil {
		longest += 2 * storeTimeout
	}
	return longest
}

// Warm finds the endpoint, if the metadata has to be asked, and reads the secret of the
// Store. It returns an error if one of them fails.
func (a *Asker) Warm(ctx context.Context) error {
	err := a.endpoint.warm(ctx)
	a.undiscovered.Store(a.Ready() != nil)
	a.state.update(a.stateNow)
	return errors.Join(err, a.store.warm(ctx))
}

// Ready returns nil if the issuer can be asked: its endpoint is known.
func (a *Asker) Ready() error { return a.endpoint.ready() }

// Warnings returns what in the configuration and the metadata works and may still be a
// mistake.
func (a *Asker) Warnings() []string {
	warnings := slices.Clone(a.endpoint.warnings())
	if a.client.Store != nil && a.store == nil {
		warnings = append(warnings, "Store is not used, because Cache.TTL is NoCache")
	}
	if err := a.store.err(); err != nil {
		warnings = append(warnings, "Store is not used: "+err.Error())
	}
	return warnings
}

// Status returns the state of the issuer and the number of requests.
func (a *Asker) Status() introspect.Status {
	return introspect.Status{
		Issuer:   a.binding.Issuer,
		State:    a.stateNow(),
		UnderWay: int(a.underWay.Load()),
		Queued:   int(a.gates.issuer.all.waiting.Load()),
	}
}
