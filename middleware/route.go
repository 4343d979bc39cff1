package middleware

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/internal/validated"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Names of the routes of a [Mux] that are not registered.
const (
	unlistedName  = "unlisted"
	ambiguousName = "ambiguous"
)

// Route is an operation with the policy that guards it. [Guard.Route] makes one
// for an adapter, [Mux.Add] and [Mux.Match] for a Mux. It is safe for concurrent
// use. A nil Route and the zero Route refuse every request with 503.
type Route struct {
	guard      *Guard
	name       string
	policy     scopes.Policy   // under the Guard's Hierarchy
	privileged bool            // the policy is marked Privileged or Sensitive
	bare       *challenge      // for a request without credentials
	listed     bool            // false: a request with a valid token is refused all the same
	allowed    func() []string // the methods that an unlisted path has; nil: none
	ambiguity  error           // every request is refused with it; nil: none is
}

// Route compiles policy for the operation that is called name, such as
// "GET /orders/{id}" or the full name of a gRPC method: it applies the Guard's
// Hierarchy and writes the challenges. An adapter does this once for each operation,
// at start-up.
//
// The name is a label of metrics, so it must be one of a fixed set and never a text
// from a request, such as a path. The error joins all faults: those of the policy,
// and a name that is empty, longer than 512 bytes or not printable.
func (g *Guard) Route(name string, policy scopes.Policy) (*Route, error) {
	if !g.made() {
		return nil, errUnmade
	}
	faults := fault.In("middleware")
	checkName(name, faults.At("Route"))
	r, err := g.compile(name, policy)
	faults.Merge(err)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	g.note(r.policy)
	return r, nil
}

// Unlisted returns the route for requests that match no operation, for adapters that
// find their routes in a table. It permits nothing: a request without a valid token is
// refused as on any route, and one with a valid token gets [ClassNotFound]. With methods of
// HTTP it gets [ClassMethodNotAllowed] and these methods, for an operation that exists
// under them only. The name of the route is "unlisted".
func (g *Guard) Unlisted(methods ...string) *Route {
	if !g.made() {
		return nil
	}
	r, err := g.compile(unlistedName, scopes.Authenticated())
	if err != nil {
		return nil // refuses everything
	}
	r.listed = false
	if len(methods) > 0 {
		methods = slices.Clone(methods)
		r.allowed = func() []string { return methods }
	}
	return r
}

// checkName adds the fault of a route's name.
func checkName(name string, faults fault.List) {
	if !isLabel(name) {
		faults.Addf("give the pattern, or the full name of the method, in at most 512 printable bytes", "has the name %.64q", name)
	}
}

// compile makes a Route. It does not look at the name, which may be empty, and adds
// no warning.
func (g *Guard) compile(name string, policy scopes.Policy) (*Route, error) {
	faults := fault.In("middleware")
	policy = policy.Under(g.hierarchy)
	faults.At(name).Merge(policy.Err())
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return &Route{
		guard: g, name: name, policy: policy, privileged: policy.IsPrivileged() || policy.IsSensitive(),
		bare: g.challenger.withoutCredentials(policy), listed: true,
	}, nil
}

// made reports whether a Guard made r.
func (r *Route) made() bool { return r != nil && r.guard.made() }

// Name returns the name that the route was made with.
func (r *Route) Name() string {
	if r == nil {
		return ""
	}
	return r.name
}

// Policy returns the policy as the route checks it: under the Guard's Hierarchy.
// The Operation that Check is given needs values only if its NeedsOperation
// reports true.
func (r *Route) Policy() scopes.Policy {
	if r == nil {
		return scopes.Policy{}
	}
	return r.policy
}

// Listed reports whether the route was registered. It is false for a Route that
// [Mux.Match] returns for a request that no pattern matches.
func (r *Route) Listed() bool { return r != nil && r.listed }

// Check decides whether the request may pass: it validates the token of p under
// the policy's demands, and then asks the policy about operation. An empty name
// of operation stands for the name of the route. On a route of [scopes.Public] it
// does not look at p. On a route of [scopes.Optional] a p without credentials
// passes without a token: one whose Scheme is zero and that has no Proofs.
//
// Check puts no token into ctx and hides none: where an outer Guard put one
// there, hooks find it by [TokenFrom]. A panic on the way is a Denial.
func (r *Route) Check(ctx context.Context, p validator.Presentation, operation scopes.Operation) Verdict {
	return r.check(ctx, &p, operation, r.Name())
}

// check is Check under the name that the Decision has.
func (r *Route) check(ctx context.Context, p *validator.Presentation, operation scopes.Operation, name string) Verdict {
	var done validator.ValidateDone
	return r.judge(ctx, p, operation, name, &done)
}

// judge is check, and stores in done what the validator found.
//
// It and the functions that it calls take pointers to what is large, and those that a valid
// token does not need are not inlined: HTTP/2 and gRPC have a new goroutine for each
// request, and to let its stack grow takes longer than the check. TestStack has the limit.
func (r *Route) judge(ctx context.Context, p *validator.Presentation, operation scopes.Operation, name string, done *validator.ValidateDone) Verdict {
	if !r.made() {
		return Verdict{denial: denialOf(errUnmade)}
	}
	verdict := r.decide(ctx, p, operation, done)
	if r.isReported(verdict) {
		r.report(ctx, name, p, verdict, done)
	}
	return verdict
}

// isReported reports whether a verdict is one for hooks or logs.
func (r *Route) isReported(v Verdict) bool { return !v.passes || r.guard.trace.Decided != nil }

// report calls the hook with a verdict on p, and with what the validator found, and logs
// refusals.
func (r *Route) report(ctx context.Context, name string, p *validator.Presentation, verdict Verdict, done *validator.ValidateDone) {
	decision := Decision{
		Route: name, Transport: r.guard.transport, Scheme: p.Scheme, Issuer: done.Issuer, Client: done.Token.ClientID(), Token: done.Token, Privileged: r.privileged,
		Source: done.Source, Start: done.Start,
	}
	if decision.Start.IsZero() { // the clock is read once for each request
		decision.Start = time.Now()
	}
	if !verdict.passes {
		decision.Denial, decision.Kind = verdict.Denial(), unansweredKind(verdict.denial)
	}
	if r.guard.trace.Decided != nil && (r.privileged || decision.Denial != nil) {
		decision.presented = hashed(p.Token)
	}
	r.guard.decided(ctx, &decision)
}

// decided logs a refusal, and calls the hook.
func (g *Guard) decided(ctx context.Context, d *Decision) {
	g.lines.refused(d) //nolint:contextcheck // lines are written later
	g.trace.decided(ctx, d)
}

// Refuse returns the Denial for a request of which the adapter could not read
// what Check needs. The Reason of err decides on its class; see
// [validator.Refuse]. One outside the closed set of package validator counts as
// [validator.Unavailable]. The hooks are called as they are for Check.
func (r *Route) Refuse(ctx context.Context, err error) *Denial {
	return r.refuse(ctx, validator.Presentation{}.Scheme, err, r.Name())
}

// refuse is Refuse under the name and scheme that the Decision has.
func (r *Route) refuse(ctx context.Context, scheme validator.Scheme, err error, name string) *Denial {
	if !r.made() {
		return denialOf(errUnmade)
	}
	denial := r.deny(err, nil)
	r.guard.decided(ctx, &Decision{Route: name, Transport: r.guard.transport, Scheme: scheme, Privileged: r.privileged, Denial: denial, Kind: unansweredKind(denial), Start: time.Now()})
	return denial
}

// decide is judge without hooks.
func (r *Route) decide(ctx context.Context, p *validator.Presentation, operation scopes.Operation, done *validator.ValidateDone) (verdict Verdict) {
	defer func() {
		if cause := recover(); cause != nil {
			verdict = Verdict{denial: r.deny(errPanic(cause), nil)}
		}
	}()
	switch {
	case r.ambiguity != nil:
		return Verdict{denial: newDenial(validator.ReasonOf(r.ambiguity), r.ambiguity, r.guard.style)}
	case r.policy.IsPublic(), r.policy.IsOptional() && isAnonymous(p):
		return Verdict{passes: true}
	}
	if operation.Name == "" {
		operation.Name = r.name
	}
	r.demand(p)
	r.guard.validator.InspectTo(ctx, p, done)
	refusal := r.ask(ctx, p, operation, done)
	if refusal != nil && refusal.ActiveWithin != 0 { // the tier of the token demands a fresher answer than the route
		p.Demands.ActiveWithin = refusal.ActiveWithin
		start := done.Start
		r.guard.validator.InspectTo(ctx, p, done)
		refusal = r.ask(ctx, p, operation, done)
		done.Start = start
	}
	if done.Err != nil || refusal != nil || !r.listed {
		return Verdict{denial: r.denyFound(ctx, refusal, done)}
	}
	return Verdict{passes: true, token: done.Token, within: p.Demands.ActiveWithin}
}

// demand sets the Demands of p to those of the policy. See judge for why it is not inlined.
//
//go:noinline
func (r *Route) demand(p *validator.Presentation) { p.Demands = r.policy.Demands() }

// denyFound returns the Denial for what the validator found, or the policy. See judge for
// why it is not inlined.
//
//go:noinline
func (r *Route) denyFound(ctx context.Context, refusal *scopes.Refusal, done *validator.ValidateDone) *Denial {
	switch {
	case done.Err != nil:
		return r.deny(ofCaller(ctx, done.Err), nil)
	case refusal != nil:
		refusal = refusal.For(ctx, done.Token)
		return r.deny(ofCaller(ctx, validator.Refuse(refusal.Reason, refusal)), refusal)
	default:
		return r.missing()
	}
}

// ask asks the policy about the token that the validator found under the Demands of p, if
// it is valid.
func (r *Route) ask(ctx context.Context, p *validator.Presentation, operation scopes.Operation, done *validator.ValidateDone) *scopes.Refusal {
	if done.Err != nil {
		return nil //nolint:nilerr // the policy is asked about valid tokens only
	}
	return r.policy.DecideValidated(ctx, done.Token, operation, validated.Now(p.Demands.ActiveWithin))
}

// ofCaller returns err with the Reason Canceled, if nothing was determined because the
// caller gave up waiting. That is no outage. A time limit of the Validator or of a hook
// is one, also if the caller has left meanwhile.
func ofCaller(ctx context.Context, err error) error {
	if errors.Is(err, validator.Unavailable) && errors.Is(err, detached.ErrLeft) && ctx.Err() != nil {
		return validator.Refuse(validator.Canceled, err)
	}
	return err
}

// isAnonymous reports whether p has no credentials at all.
func isAnonymous(p *validator.Presentation) bool {
	return p.Scheme == 0 && p.Token == "" && len(p.Proofs) == 0
}

// deny returns the Denial for err. refusal is what the policy adds to the
// challenge and may be nil.
func (r *Route) deny(err error, refusal *scopes.Refusal) *Denial {
	err = hook.CheckError(err)
	if err == nil {
		err = errNoReason
	}
	reason := validator.ReasonOf(err)
	if _, known := classOf[reason]; !known { // an adapter or a hook made it up
		reason, err = validator.Unavailable, validator.Refuse(validator.Unavailable, err)
	}
	denial := newDenial(reason, err, r.guard.style)
	if denial.Class == ClassNoCredentials && refusal == nil {
		denial.challenge(r.bare)
	} else {
		denial.challenge(r.guard.challenger.of(denial.Class, refusal))
	}
	return denial
}

// missing returns the Denial for a request with a valid token that no pattern
// matches: 405 if its path is listed under other methods, 404 otherwise.
func (r *Route) missing() *Denial {
	denial := &Denial{Reason: validator.Forbidden, Class: ClassNotFound, cause: errUnlisted, style: r.guard.style}
	if r.allowed != nil {
		denial.allow = strings.Join(r.allowed(), ", ")
	}
	if denial.allow != "" {
		denial.Class = ClassMethodNotAllowed
	}
	denial.Status = denial.Class.Status()
	return denial
}

var (
	errNoReason = errors.New("middleware: an adapter refused a request without an error")
	errUnlisted = validator.Refuse(validator.Forbidden, errors.New("middleware: no pattern matches the request"))
)

// denialOf returns the Denial of ClassUnavailable that has this cause.
func denialOf(cause error) *Denial {
	return newDenial(validator.Unavailable, validator.Refuse(validator.Unavailable, cause), responseStyle{})
}

// errPanic names the type of a panic's value only, because its text may hold what
// must not be logged.
func errPanic(cause any) error {
	return fmt.Errorf("middleware: panic with a %T while checking", cause)
}
