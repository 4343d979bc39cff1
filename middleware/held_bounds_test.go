package middleware_test

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestHeldFarExpiry covers situation A19 of gRPC users: an exp in the far future neither
// ends a request nor disturbs others, and one with a fraction ends on time.
func TestHeldFarExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{LongRequests: middleware.LongRequests{Grace: time.Second}}, func(is *issuertest.Issuer) validator.Issuer { return is.Config() })
		var far []*heldRequest
		for _, exp := range []any{253402300799, 1 << 53, 1<<53 - 1, 9007199254740991.0, 4e15} {
			far = append(far, api.hold(api.Token(issuertest.Claims{"exp": exp})))
		}
		near := api.hold(api.Token(issuertest.Claims{"exp": float64(time.Now().Unix()) + 2.999}))
		for _, exp := range []any{uint64(1<<63 - 1), 1e18, uint64(1<<64 - 1)} { // no NumericDate
			if denial := api.route.Check(t.Context(), api.Bearer(issuertest.Claims{"exp": exp}), scopes.Operation{}).Denial(); denial == nil {
				t.Errorf("a token with exp %v passes", exp)
			}
		}
		time.Sleep(2999*time.Millisecond + leeway - time.Microsecond)
		near.wantOpen("before the end")
		time.Sleep(time.Second + 2*period)
		near.wantEnd("near", middleware.ClassExpiredToken, near.took())
		time.Sleep(time.Hour)
		for _, r := range far {
			r.wantOpen("in the far future")
			select {
			case <-r.Ending():
				t.Errorf("told that it ends at %v", r.Ends())
			default:
			}
		}
	})
}

// TestHeldGrace covers situation A20 of gRPC users: with a grace, the requests of tokens
// that expire together end spread over it, and none earlier or later.
func TestHeldGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, grace = 1000, 10 * time.Second
		api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{LongRequests: middleware.LongRequests{Grace: grace}}, local)
		token := api.Sign(testissuer.Token{Lifetime: time.Minute})
		var requests []*heldRequest
		for range n {
			requests = append(requests, api.hold(token))
		}
		end := time.Minute + leeway
		time.Sleep(end + grace + 2*period)
		var perSecond [12]int
		for _, r := range requests {
			want := r.Ends().Sub(r.start)
			if want < end || want > end+grace {
				t.Fatalf("it should end after %v", want)
			}
			r.wantEnd("in the grace", middleware.ClassExpiredToken, r.took())
			if r.took() < want || r.took() >= want+period {
				t.Fatalf("ended after %v, want %v", r.took(), want)
			}
			perSecond[(r.took()-end)/time.Second]++
		}
		t.Logf("ends per second of the grace: %v", perSecond)
		for i, count := range perSecond[:10] {
			if count < n/20 || count > n/8 {
				t.Errorf("%d of %d ends in second %d", count, n, i)
			}
		}
	})
}

// TestHeldGraceIsForExpiry checks that the grace does not keep a request whose key is
// forbidden, nor one whose token is too old for the route.
func TestHeldGraceIsForExpiry(t *testing.T) {
	config := middleware.Config{LongRequests: middleware.LongRequests{Grace: 5 * time.Minute}}
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.Authenticated(), config, local)
		var requests []*heldRequest
		for range 20 {
			requests = append(requests, api.hold(api.Sign(testissuer.Token{Lifetime: time.Minute})))
		}
		time.Sleep(time.Minute + leeway + period)
		byID, _ := requests[0].Token().Key()
		if err := api.guard.Validator().ForbidKey(t.Context(), api.URL(), byID); err != nil {
			t.Fatal(err)
		}
		open := api.guard.LongRequests()
		if open.Overdue > 5 {
			t.Errorf("%+v in the grace", open)
		}
		time.Sleep(period)
		for _, r := range requests {
			if denial := r.Denial(); denial == nil || r.took() > time.Minute+leeway+2*period {
				t.Errorf("%v after %v, and the key is forbidden", denial, r.took())
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.And(scopes.Authenticated(), scopes.MaxTokenAge(2*time.Minute)), config, local)
		r := api.hold(api.Sign(testissuer.Token{Lifetime: time.Hour}))
		if got := r.Ends().Sub(r.start); got != 2*time.Minute {
			t.Errorf("ends after %v", got)
		}
		time.Sleep(2*time.Minute + period)
		r.wantEnd("too old", middleware.ClassInvalidToken, 2*time.Minute+period)
	})
}

// TestHeldAnonymous covers situation A23 of gRPC users: requests without a token end as
// Unavailable after their longest life.
func TestHeldAnonymous(t *testing.T) {
	for name, row := range map[string]struct{ config, want time.Duration }{
		"default": {0, time.Hour}, "ten minutes": {10 * time.Minute, 10 * time.Minute}, "no bound": {-1, 0},
	} {
		for _, policy := range []scopes.Policy{scopes.Public(), scopes.Optional(scopes.All("read"))} {
			synctest.Test(t, func(t *testing.T) {
				api := newHeldAPI(t, policy, middleware.Config{LongRequests: middleware.LongRequests{MaxAnonymous: row.config}}, local)
				r := api.holdWith(t.Context(), validator.Presentation{})
				if row.want == 0 {
					time.Sleep(24 * time.Hour)
					r.wantOpen(name)
					if !r.Ends().IsZero() {
						t.Errorf("%s: ends at %v", name, r.Ends())
					}
					return
				}
				if !r.Ends().Equal(r.start.Add(row.want)) || r.Token() != nil {
					t.Errorf("%s: ends at %v, token %v", name, r.Ends(), r.Token())
				}
				<-r.Ending()
				r.wantOpen("told")
				time.Sleep(time.Until(r.Ends()) + period)
				r.wantEnd(name, middleware.ClassUnavailable, row.want+period)
				if r.Denial().RetryAfter != time.Second {
					t.Errorf("%s: Retry-After is %v", name, r.Denial().RetryAfter)
				}
			})
		}
	}
}

// TestHeldOverdue checks the gauges, which Guards for several transports share.
func TestHeldOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{}, local)
		want := func(what string, want middleware.LongStatus) {
			t.Helper()
			if got := api.guard.LongRequests(); got != want {
				t.Errorf("%s: %+v, want %+v", what, got, want)
			}
		}
		short := testissuer.Token{Lifetime: time.Second}
		want("at first", middleware.LongStatus{})
		one := api.hold(api.Sign(short))
		api.route = routeOf(t, api.guard.Over("grpc"), scopes.Authenticated())
		two, three := api.hold(api.Sign(short)), api.hold(api.Sign(testissuer.Token{Lifetime: time.Hour}))
		want("held", middleware.LongStatus{Open: 3})
		time.Sleep(leeway + 2*time.Second)
		want("two ended", middleware.LongStatus{Open: 3, Overdue: 2})
		one.Release()
		one.Release()
		want("one returned", middleware.LongStatus{Open: 2, Overdue: 1})
		three.Release()
		want("another returned", middleware.LongStatus{Open: 1, Overdue: 1})
		two.Release()
		want("all returned", middleware.LongStatus{})
	})
}

// TestHeldHooks checks that hooks that panic or block change nothing, also for other
// requests, and what the hook of the Guard gets.
func TestHeldHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		blocked := make(chan struct{})
		defer close(blocked)
		var told atomic.Int64
		hooks := (&middleware.Trace{HeldEnded: func(context.Context, middleware.Decision) { panic("injected") }}).Join(&middleware.Trace{
			HeldEnded: func(ctx context.Context, d middleware.Decision) {
				if ctx.Value(key{}) != 1 || ctx.Err() == nil || middleware.HeldFrom(ctx) == nil || d.Token != middleware.TokenFrom(ctx) || d.Token == nil ||
					d.Route != "GET /" || d.Transport != "http" || d.Scheme != validator.Bearer || d.Client != "client-1" || d.Denial == nil ||
					d.Denial.Class != middleware.ClassExpiredToken || time.Since(d.Start) < time.Minute || d.Source != "" || d.Kind != "" {
					t.Errorf("the hook got %+v", d)
				}
				d.Denial.Status = http.StatusOK // a copy
				told.Add(1)
			},
		})
		api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{Trace: hooks}, local)
		ctx := context.WithValue(t.Context(), key{}, 1)
		p := issuertest.Bearer(api.Sign(testissuer.Token{Lifetime: time.Minute}))
		verdict := api.route.Check(ctx, p, scopes.Operation{})
		var all []*middleware.Held
		for _, ended := range []func(*middleware.Denial){
			func(*middleware.Denial) { panic("injected") },
			func(*middleware.Denial) { <-blocked },
			func(*middleware.Denial) { runtime.Goexit() },
			nil,
			nil,
		} {
			held := api.route.Hold(ctx, verdict, middleware.Holding{Presentation: p, Ended: ended})
			defer held.Release()
			all = append(all, held)
		}
		time.Sleep(time.Minute + leeway + 2*period)
		synctest.Wait()
		for i, held := range all {
			if held.Denial() == nil || held.Context().Err() == nil || held.Denial().Status != http.StatusUnauthorized {
				t.Errorf("request %d goes on, or has %v", i, held.Denial())
			}
		}
		if n := told.Load(); n != 3 { // not for the one that blocks, nor for the one that ended its goroutine
			t.Errorf("the hook was called %d times", n)
		}
	})
}

// TestHeldUnusable checks that nothing is held that was refused or cannot be watched: the
// context has ended from the beginning.
func TestHeldUnusable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{}, local)
		good := api.route.Check(t.Context(), api.Bearer(nil), scopes.Operation{})
		bad := api.route.Check(t.Context(), issuertest.Bearer("a"), scopes.Operation{})
		var noContext context.Context
		var noRoute *middleware.Route
		for name, row := range map[string]struct {
			ctx     context.Context
			route   *middleware.Route
			verdict middleware.Verdict
			class   middleware.Class
		}{
			"refused":        {t.Context(), api.route, bad, middleware.ClassInvalidToken},
			"zero verdict":   {t.Context(), api.route, middleware.Verdict{}, middleware.ClassUnavailable},
			"no route":       {t.Context(), noRoute, good, middleware.ClassUnavailable},
			"zero route":     {t.Context(), new(middleware.Route), good, middleware.ClassUnavailable},
			"no context":     {noContext, api.route, good, middleware.ClassUnavailable},
			"nil in context": {(*hollowContext)(nil), api.route, good, middleware.ClassUnavailable},
			"late panic":     {&latePanic{t.Context(), 1}, api.route, good, middleware.ClassUnavailable},
		} {
			var ended atomic.Int64
			held := row.route.Hold(row.ctx, row.verdict, middleware.Holding{Ended: func(*middleware.Denial) { ended.Add(1) }})
			synctest.Wait()
			if denial := held.Denial(); denial == nil || denial.Class != row.class || held.Context().Err() == nil || context.Cause(held.Context()) != error(denial) { //nolint:errorlint // the value itself
				t.Errorf("%s: %v, %v", name, denial, context.Cause(held.Context()))
			}
			if held.Token() != nil || middleware.TokenFrom(held.Context()) != nil || ended.Load() != 1 {
				t.Errorf("%s: token %v, %d calls of Ended", name, held.Token(), ended.Load())
			}
			_, _ = held.Ends(), held.Ending()
			held.Release()
		}
		if status := api.guard.LongRequests(); status != (middleware.LongStatus{}) {
			t.Errorf("%+v", status)
		}
		if held := middleware.HeldFrom(noContext); held != nil || middleware.HeldFrom((*hollowContext)(nil)) != nil || middleware.HeldFrom(t.Context()) != nil {
			t.Error("a Held from nowhere")
		}
	})
}

// hollowContext is a context whose methods panic.
type hollowContext struct{ context.Context }

// latePanic is a context whose method Done panics after some calls.
type latePanic struct {
	context.Context

	good int
}

func (c *latePanic) Done() <-chan struct{} {
	if c.good--; c.good < 0 {
		panic("injected")
	}
	return c.Context.Done()
}

// TestHeldFaults checks the faults of LongRequests.
func TestHeldFaults(t *testing.T) {
	v := middleware.AnyValidator()
	for name, row := range map[string]struct {
		config middleware.LongRequests
		path   string
	}{
		"negative grace":   {middleware.LongRequests{Grace: -1}, "LongRequests.Grace"},
		"long grace":       {middleware.LongRequests{Grace: 5*time.Minute + 1}, "LongRequests.Grace"},
		"longest grace":    {middleware.LongRequests{Grace: 5 * time.Minute}, ""},
		"short life":       {middleware.LongRequests{MaxAnonymous: time.Second - 1}, "LongRequests.MaxAnonymous"},
		"shortest life":    {middleware.LongRequests{MaxAnonymous: time.Second}, ""},
		"no bound, silent": {middleware.LongRequests{MaxAnonymous: -1, Notice: -1}, ""},
	} {
		_, err := middleware.New(middleware.Config{Validator: v, LongRequests: row.config})
		faults := validator.Faults(err)
		if row.path == "" && err != nil || row.path != "" && (len(faults) != 1 || faults[0].Path != row.path || faults[0].Mend == "") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHeldConcurrently renews, releases and ends requests at once, for the race detector:
// every request ends or is released once.
func TestHeldConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{}, local)
		var all sync.WaitGroup
		var ends atomic.Int64
		for range 200 {
			p := issuertest.Bearer(api.Sign(testissuer.Token{Lifetime: time.Second}))
			held := api.route.Hold(t.Context(), api.route.Check(t.Context(), p, scopes.Operation{}), middleware.Holding{Presentation: p, Ended: func(*middleware.Denial) { ends.Add(1) }})
			all.Go(func() {
				time.Sleep(leeway + time.Second)
				_ = held.Renew(t.Context(), p, scopes.Operation{})
				_, _, _ = held.Ends(), held.Ending(), held.Denial()
			})
			all.Go(func() {
				time.Sleep(leeway + time.Second + period/2)
				held.Release()
			})
			all.Go(func() { <-held.Context().Done() })
		}
		all.Wait()
		synctest.Wait()
		if n := ends.Load(); n == 0 || n > 200 {
			t.Errorf("%d requests were ended", n)
		}
		if status := api.guard.LongRequests(); status != (middleware.LongStatus{}) {
			t.Errorf("%+v", status)
		}
	})
}
