package introspection

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
)

// picky is an endpoint that gives a verdict on all tokens but junk.
func picky(junk attempt) endpoint {
	return endpointFunc(func(_ context.Context, q Question) attempt {
		time.Sleep(5 * time.Millisecond)
		if q.Token == "junk" {
			return junk
		}
		return yes
	})
}

// sprinkle asks about junk so many times a second, at random times, and meanwhile about
// good tokens, all seen first, two times a second. It returns how many of the good
// ones got a verdict.
func sprinkle(t *testing.T, a *Asker, junk int, length time.Duration) (good, total int) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		random := rand.New(rand.NewPCG(3, 4))
		for ctx.Err() == nil {
			all.Go(func() { _, _ = a.Ask(ctx, Question{Token: "junk"}) })
			time.Sleep(time.Duration(random.Int64N(int64(2 * time.Second / time.Duration(junk)))))
		}
	})
	for start := time.Now(); time.Since(start) < length; total++ {
		time.Sleep(time.Duration(random.Int64N(int64(time.Second))))
		if _, err := a.Ask(t.Context(), Question{Token: "good" + strconv.Itoa(total)}); err == nil {
			good++
		}
	}
	cancel()
	all.Wait()
	return good, total
}

// TestJunk shows that an endpoint, or a firewall before it, that refuses junk in any way
// keeps nobody from a verdict on other tokens, also on those that are seen first and
// although junk is most of what comes. The credentials have had a verdict before.
func TestJunk(t *testing.T) {
	for name, junk := range map[string]attempt{
		"401":        cut(introspect.CredentialsRefused, 401),
		"403":        cut(introspect.CredentialsRefused, 403),
		"reset":      cut(introspect.Unreachable, 0),
		"no answer":  cut(introspect.TimedOut, 0),
		"cut short":  cut(introspect.Unreachable, 200),
		"TLS alert":  cut(introspect.TLSFailed, 0),
		"500":        cut(introspect.ServerError, 500),
		"400":        cut(introspect.RequestRefused, 400),
		"not JSON":   cut(introspect.NotAnAnswer, 200),
		"not signed": cut(introspect.UntrustedAnswer, 200),
	} {
		for _, rate := range []int{1, 10, 50} {
			synctest.Test(t, func(t *testing.T) {
				a := newAsker(t, introspect.Client{}, Binding{}, picky(junk))
				if _, err := a.Ask(t.Context(), Question{Token: "good"}); err != nil {
					t.Fatal(err)
				}
				if good, total := sprinkle(t, a, rate, 5*time.Minute); good*100 < total*99 {
					t.Errorf("%s, %d times a second: %d of %d good tokens got a verdict", name, rate, good, total)
				}
			})
		}
	}
}

// TestJunkAlone shows that a time in which nothing but junk comes opens a breaker, and
// that the first good tokens close it: probes for other tokens are frequent, because the
// credentials had a verdict before.
func TestJunkAlone(t *testing.T) {
	for name, junk := range map[string]attempt{
		"401":   cut(introspect.CredentialsRefused, 401),
		"403":   cut(introspect.CredentialsRefused, 403),
		"reset": cut(introspect.Unreachable, 0),
	} {
		synctest.Test(t, func(t *testing.T) {
			a := newAsker(t, introspect.Client{}, Binding{}, picky(junk))
			_, _ = a.Ask(t.Context(), Question{Token: "good"})
			for range 300 {
				_, _ = a.Ask(t.Context(), Question{Token: "junk"})
				time.Sleep(100 * time.Millisecond)
			}
			if a.Status().State == introspect.Asking {
				t.Errorf("%s: no breaker is open", name)
			}
			if good, total := sprinkle(t, a, 10, time.Minute); total-good > 5 {
				t.Errorf("%s: %d of %d good tokens got a verdict", name, good, total)
			}
		})
	}
}

// TestOtherCredentials shows that a verdict speaks for the credentials that it was had
// with, and not for those that came after them: the account of wrong ones must not be
// locked.
func TestOtherCredentials(t *testing.T) {
	for _, test := range []struct {
		version int
		most    int64
	}{{1, 1300}, {2, 8}} {
		synctest.Test(t, func(t *testing.T) {
			result := yes
			result.version = 1
			x, calls := counted(&result)
			a := newAsker(t, introspect.Client{}, Binding{}, x)
			_, _ = a.Ask(t.Context(), Question{})
			time.Sleep(time.Minute)
			calls.Store(0)
			result = failed(introspect.CredentialsRefused, 401)
			result.version = test.version
			for range 6000 {
				_, _ = a.Ask(t.Context(), Question{})
				time.Sleep(10 * time.Millisecond)
			}
			if calls.Load() > test.most || calls.Load() < test.most/2 {
				t.Errorf("version %d: %d calls in a minute", test.version, calls.Load())
			}
		})
	}
}

// TestReturn shows that a server that is back gets all requests within two seconds, also
// if most of what comes is junk that it answers with an error of another sort.
func TestReturn(t *testing.T) {
	for name, down := range map[string]attempt{"no connection": failed(introspect.Unreachable, 0), "no answer": cut(introspect.Unreachable, 0), "500": cut(introspect.ServerError, 500)} {
		for junk, answer := range map[string]attempt{
			"400":         cut(introspect.RequestRefused, 400),
			"not JSON":    cut(introspect.NotAnAnswer, 200),
			"no key":      cut(introspect.AnswerKeysMissing, 200),
			"no endpoint": failed(introspect.NoEndpoint, 0),
		} {
			synctest.Test(t, func(t *testing.T) {
				var back atomic.Bool
				up := picky(answer)
				a := newAsker(t, introspect.Client{}, Binding{}, endpointFunc(func(ctx context.Context, q Question) attempt {
					if !back.Load() {
						return down
					}
					return up.ask(ctx, q)
				}))
				for range 2 * failures {
					_, _ = a.Ask(t.Context(), Question{})
				}
				if a.Status().State != introspect.Failing {
					t.Fatalf("%s: the breaker is %s", name, a.Status().State)
				}
				back.Store(true)
				ctx, cancel := context.WithCancel(t.Context())
				var all sync.WaitGroup
				all.Go(func() {
					for ctx.Err() == nil {
						all.Go(func() { _, _ = a.Ask(ctx, Question{Token: "junk"}) })
						time.Sleep(10 * time.Millisecond)
					}
				})
				time.Sleep(1007 * time.Millisecond)
				for i := range 20 {
					if _, err := a.Ask(t.Context(), Question{Token: "good"}); err != nil && i > 1 {
						t.Errorf("%s, junk is answered by %s: good token %d: %v", name, junk, i, err)
					}
					time.Sleep(307 * time.Millisecond)
				}
				cancel()
				all.Wait()
			})
		}
	}
}

// TestFirewall shows the same with a real server: a firewall answers 403 or cuts the
// connection for tokens that look like paths, which are valid bearer tokens.
func TestFirewall(t *testing.T) {
	for name, block := range map[string]func(http.ResponseWriter){
		"403": func(w http.ResponseWriter) { http.Error(w, "blocked", http.StatusForbidden) },
		"401": func(w http.ResponseWriter) { http.Error(w, "blocked", http.StatusUnauthorized) },
		"cut": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		for _, authentication := range []introspect.Authentication{
			introspect.ClientSecretPost{Secret: introspect.SecretText("s")},
			introspect.Bearer{Authentication: introspect.ClientSecretPost{Secret: introspect.SecretText("s")}},
		} {
			t.Run(fmt.Sprintf("%s, %T", name, authentication), func(t *testing.T) {
				s := serve(t, func(w http.ResponseWriter, r received) {
					switch {
					case r.url.Path == "/token":
						say(w, 200, `{"access_token":"`+strconv.Itoa(rand.Int())+`","token_type":"Bearer"}`)
					case strings.Contains(r.form.Get("token"), "../"):
						block(w)
					default:
						say(w, 200, activeBody)
					}
				})
				if bearer, ok := authentication.(introspect.Bearer); ok {
					bearer.TokenEndpoint = s.URL + "/token"
					authentication = bearer
				}
				client := s.client()
				client.Authentication = authentication
				a, err := Open(&client, s.binding())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := a.Ask(t.Context(), Question{Token: "good"}); err != nil {
					t.Fatal(err)
				}
				for range 2 * failures {
					_, _ = a.Ask(t.Context(), Question{Token: "/../../etc/passwd"})
				}
				if _, err := a.Ask(t.Context(), Question{Token: "good"}); err != nil {
					t.Errorf("a good token after those of an attacker: %v", err)
				}
			})
		}
	}
}

// TestReached shows which failures are of requests that the server may have got.
func TestReached(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, received) { panic(http.ErrAbortHandler) })
	if a := s.asking(t); a.kind != introspect.Unreachable || !a.reached {
		t.Errorf("a connection that was cut: %+v", a)
	}
	untrusting := s.binding()
	untrusting.HTTPClient = nil
	if a := exchanging(t, s.client(), untrusting).ask(t.Context(), Question{Token: "t"}); a.kind != introspect.TLSFailed || a.reached {
		t.Errorf("a certificate that is not trusted: %+v", a)
	}
	s.Close()
	if a := s.asking(t); a.kind != introspect.Unreachable || a.reached {
		t.Errorf("no connection: %+v", a)
	}
}
