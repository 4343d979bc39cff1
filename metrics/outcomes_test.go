package metrics_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/metrics"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestCanceled (A4) checks that callers which leave, callers whose deadline passes, and time
// limits of the program are told apart, and that none of them is a denial.
func TestCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trace, registry := switchOn(t)
		issuer := issuertest.New(t)
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: time.Hour})
		route, err := issuer.Guard(t, middleware.Config{Trace: trace}, issuer.Fetched).Route("x", scopes.Authenticated())
		if err != nil {
			t.Fatal(err)
		}
		p := issuer.Bearer(nil)
		leaving, leave := context.WithCancel(t.Context())
		hurried, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		const left, late, waiting = 900, 60, 40
		for n, ctx := range map[int]context.Context{left: leaving, late: hurried, waiting: t.Context()} {
			for range n {
				go route.Check(ctx, p, scopes.Operation{})
			}
		}
		synctest.Wait()
		if n := scrape(t, registry).sum("sallyport_validations_in_flight"); n != left+late+waiting {
			t.Errorf("%v in flight", n)
		}
		leave()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		page := scrape(t, registry)
		for outcome, want := range map[string]float64{"canceled": left, "deadline_exceeded": late, "denied": 0, "undetermined": 0, "timed_out": 0} {
			if n := page.sum("sallyport_decisions_total", `outcome="`+outcome+`"`); n != want {
				t.Errorf("%v %s, want %v", n, outcome, want)
			}
		}
		if n := page.sum("sallyport_decisions_total", `reason="canceled"`); n != left+late {
			t.Errorf("%v with the reason canceled", n)
		}
		if n := page.sum("sallyport_key_fetches_total"); n != 0 {
			t.Errorf("%v fetches have ended, because callers left", n)
		}
		if n := page.sum("sallyport_validation_duration_seconds_count"); n != 0 {
			t.Errorf("%v durations of callers that left", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		page = scrape(t, registry)
		if n := page.sum("sallyport_decisions_total", `outcome="timed_out"`, `reason="unavailable"`); n != waiting {
			t.Errorf("%v timed out, want %d", n, waiting)
		}
		if n := page.sum("sallyport_decisions_total", `outcome="denied"`) + page.sum("sallyport_decisions_total", `outcome="undetermined"`); n != 0 {
			t.Errorf("%v denied or undetermined", n)
		}
		if timedOut, all := page.sum("sallyport_key_fetches_total", `outcome="timed_out"`), page.sum("sallyport_key_fetches_total"); timedOut != 1 || all != 1 {
			t.Errorf("%v fetches, %v of which timed out", all, timedOut)
		}
		if n := page.values()[`sallyport_validation_duration_seconds_count{source="none"}`]; n != waiting {
			t.Errorf("%v durations, want those of the %d that waited", n, waiting)
		}
		if page.sum("sallyport_validations_in_flight") != 0 || page.sum("sallyport_keys_state", `state="unavailable"`) != 1 {
			t.Errorf("in the end:\n%s", page)
		}
	})
}

// TestIntrospectionTimeout (A4) checks that an issuer that does not answer in time is told
// as a time limit of the program.
func TestIntrospectionTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trace, registry := switchOn(t)
		issuer := issuertest.New(t)
		issuer.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: time.Hour})
		guard := issuertest.Guard(t, middleware.Config{Trace: trace, Validator: issuertest.Validator(t, validator.Config{
			Issuers: []validator.Issuer{issuer.OpaqueConfig()},
		})})
		keep(t, guard)
		route, err := guard.Route("x", scopes.Authenticated())
		if err != nil {
			t.Fatal(err)
		}
		route.Check(t.Context(), issuer.OpaqueBearer(nil), scopes.Operation{})
		page := scrape(t, registry)
		if page.sum("sallyport_decisions_total", `outcome="timed_out"`) != 1 || page.sum("sallyport_introspections_total", `outcome="timed_out"`) != 1 {
			t.Errorf("%s", page)
		}
	})
}

// panicking is an error whose methods panic for a nil pointer.
type panicking struct{ text string }

func (p *panicking) Error() string { return p.text }
func (p *panicking) Timeout() bool { return p.text != "" }

func (p *panicking) Temporary() bool { return false }

// TestOddDecisions checks decisions that an adapter of somebody else may report: a refusal
// for an unknown reason, one whose cause panics, and a context that panics.
func TestOddDecisions(t *testing.T) {
	collector := metrics.NewCollector()
	registry := register(t, collector)
	decided := collector.Trace().Decided
	decided(t.Context(), middleware.Decision{Route: "x", Transport: "http", Denial: &middleware.Denial{Reason: "made up"}})
	decided(nil, middleware.Decision{Route: "x", Transport: "http", Denial: &middleware.Denial{Reason: validator.Canceled}})
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{Trace: collector.Trace()})
	keep(t, guard)
	route, err := guard.Route("x", scopes.Authenticated())
	if err != nil {
		t.Fatal(err)
	}
	_ = route.Refuse(t.Context(), validator.Refuse(validator.Unavailable, (*panicking)(nil)))
	_ = route.Refuse(t.Context(), errors.New("no reason"))
	page := scrape(t, registry)
	for outcome, want := range map[string]float64{"undetermined": 3, "canceled": 1} {
		if n := page.sum("sallyport_route_decisions_total", `outcome="`+outcome+`"`); n != want {
			t.Errorf("%v %s, want %v", n, outcome, want)
		}
	}
}

// TestTimeLimits (A4) checks which causes are those of a time limit of the program.
func TestTimeLimits(t *testing.T) {
	for name, row := range map[string]struct {
		kind    introspect.Kind
		cause   error
		outcome string
	}{
		"kind":                    {introspect.TimedOut, nil, "timed_out"},
		"context":                 {"", context.DeadlineExceeded, "timed_out"},
		"net.Error":               {"", &panicking{"late"}, "timed_out"},
		"net.Error of other kind": {"", &panicking{""}, "undetermined"},
		"abandoned work":          {"", detached.ErrAbandoned, "timed_out"},
		"a wait that ended":       {"", detached.ErrLeft, "timed_out"},
		"other error":             {"", errors.New("refused"), "undetermined"},
	} {
		collector := metrics.NewCollector()
		registry := register(t, collector)
		trace := collector.Trace()
		decided := trace.Decided
		trace.Decided = func(ctx context.Context, d middleware.Decision) {
			d.Kind = row.kind
			decided(ctx, d)
		}
		route, err := issuertest.New(t).Guard(t, middleware.Config{Trace: trace}).Route("x", scopes.Authenticated())
		if err != nil {
			t.Fatal(err)
		}
		_ = route.Refuse(t.Context(), validator.Refuse(validator.Unavailable, row.cause))
		if page := scrape(t, registry); page.sum("sallyport_route_decisions_total", `outcome="`+row.outcome+`"`) != 1 {
			t.Errorf("%s: want %s:\n%s", name, row.outcome, page)
		}
	}
}

// TestSecondGuard checks that the counts of an issuer and of routes go on when another Guard gets the
// issuer, and when it goes.
func TestSecondGuard(t *testing.T) {
	collector := metrics.NewCollector()
	trace, registry := collector.Trace(), register(t, collector)
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{Trace: trace}, issuer.Fetched)
	keep(t, guard)
	route, err := guard.Route("x", scopes.Authenticated())
	if err != nil {
		t.Fatal(err)
	}
	route.Check(t.Context(), issuer.Bearer(issuertest.Claims{"exp": 1}), scopes.Operation{})
	route.Check(t.Context(), validator.Presentation{}, scopes.Operation{})
	second := issuer.Guard(t, middleware.Config{Trace: trace}, issuer.Fetched)
	page := scrape(t, registry)
	for label, want := range map[string]float64{`issuer="` + issuer.URL() + `"`: 1, `issuer="none"`: 1} {
		if n := page.sum("sallyport_decisions_total", label, `outcome="denied"`); n != want {
			t.Errorf("%s: %v, want %v", label, n, want)
		}
	}
	collector.Forget(second)
	if n := scrape(t, registry).sum("sallyport_route_decisions_total"); n != 2 {
		t.Errorf("%v decisions of routes after a Guard went whose issuer another has, want 2", n)
	}
	runtime.KeepAlive(guard)
}

// TestHeld (R-OB-09) checks that streams and other long requests are counted, and those that
// the guard ends by reason.
func TestHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trace, registry := switchOn(t)
		issuer := issuertest.New(t)
		guard := issuer.Guard(t, middleware.Config{Trace: trace})
		route, err := guard.Over("grpc").Route("/orders.v1.Orders/Watch", scopes.Authenticated())
		if err != nil {
			t.Fatal(err)
		}
		p := issuer.Bearer(issuertest.Claims{"exp": time.Now().Add(time.Minute).Unix()})
		verdict := route.Check(t.Context(), p, scopes.Operation{})
		var held []*middleware.Held
		for range 3 {
			held = append(held, route.Hold(t.Context(), verdict, middleware.Holding{Presentation: p}))
		}
		held[0].Release()
		want := func(when string, open, overdue, ended float64) {
			t.Helper()
			page := scrape(t, registry)
			if a, b, c := page.sum("sallyport_held_requests"), page.sum("sallyport_held_requests_overdue"), page.sum("sallyport_held_requests_started_total"); a != open || b != overdue || c != 3 {
				t.Errorf("%s: %v open, %v overdue, %v started", when, a, b, c)
			}
			if n := page.sum("sallyport_held_requests_ended_total", `reason="expired"`, `issuer="`+issuer.URL()+`"`); n != ended || page.sum("sallyport_held_requests_ended_total") != ended {
				t.Errorf("%s: %v ended", when, n)
			}
		}
		want("at first", 2, 0, 0)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		want("after the token expired", 2, 2, 2)
		held[1].Release()
		held[2].Release()
		want("in the end", 0, 0, 2)
		if n := scrape(t, registry).sum("sallyport_route_decisions_total", `transport="grpc"`, `route="/orders.v1.Orders/Watch"`); n != 1 {
			t.Errorf("%v decisions", n)
		}
	})
}
