package middleware_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// outage is why an issuer gives no verdict.
type outage struct {
	change  func(*validator.Issuer)
	prepare func(api *opaqueAPI)
}

func behaving(b testissuer.Behaviour) outage {
	return outage{prepare: func(api *opaqueAPI) { api.Behave(testissuer.Introspection, b) }}
}

func outages() map[introspect.Kind]outage {
	html := []byte("<html>")
	return map[introspect.Kind]outage{
		introspect.NoEndpoint: {
			change: func(c *validator.Issuer) { c.Opaque.Endpoint = "" },
			prepare: func(api *opaqueAPI) {
				for _, document := range []testissuer.Endpoint{testissuer.OAuthMetadata, testissuer.OpenIDMetadata} {
					api.Metadata(document, func(members map[string]any) { delete(members, "introspection_endpoint") })
				}
			},
		},
		introspect.NoCredentials: {change: func(c *validator.Issuer) {
			c.Opaque.Authentication = introspect.ClientSecretPost{Secret: introspect.SecretFunc(func(context.Context) (string, error) { return "", errors.New("sealed") })}
		}},
		introspect.Unreachable:        behaving(testissuer.Behaviour{Abort: true}),
		introspect.TimedOut:           behaving(testissuer.Behaviour{Delay: time.Minute}),
		introspect.CredentialsRefused: behaving(testissuer.Behaviour{Status: 401}),
		introspect.Throttled:          behaving(testissuer.Behaviour{Status: 429}),
		introspect.ServerError:        behaving(testissuer.Behaviour{Status: 502}),
		introspect.RequestRefused:     behaving(testissuer.Behaviour{Status: 400}),
		introspect.NotAnAnswer:        behaving(testissuer.Behaviour{Body: html}),
		introspect.UntrustedAnswer: {
			change: func(c *validator.Issuer) { c.Opaque.Signed = true },
			prepare: func(api *opaqueAPI) {
				api.Behave(testissuer.Introspection, testissuer.Behaviour{Header: http.Header{"Content-Type": {"application/json"}}})
			},
		},
		introspect.BreakerOpen: {prepare: func(api *opaqueAPI) {
			api.Behave(testissuer.Introspection, testissuer.Behaviour{Abort: true})
			for range 5 {
				api.get("/orders", "unknown")
			}
		}},
		introspect.Overloaded: {
			change: func(c *validator.Issuer) {
				c.Opaque.Limits = introspect.Limits{Concurrency: 1, Queue: 1, QueueTimeout: 10 * time.Millisecond}
			},
			prepare: func(api *opaqueAPI) {
				api.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: time.Second})
				r := request("Bearer another")
				go serve(api.mux, r)
				synctest.Wait()
				api.forget()
			},
		},
	}
}

// TestKinds (R-IN-11) provokes each of the closed set of kinds once, in operators' terms: their own credentials, an outage and what they configured are told apart. Callers get
// 503, and the Decision, the error and its label agree.
func TestKinds(t *testing.T) {
	seen := map[introspect.Kind]bool{}
	for kind, row := range outages() {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := issuertest.New(t)
				config := issuer.OpaqueConfig()
				if row.change != nil {
					row.change(&config)
				}
				api := newAPI(t, issuer, config)
				api.handle("/orders", scopes.Authenticated())
				if row.prepare != nil {
					row.prepare(api)
				}
				response, decision := api.get("/orders", api.Opaque(testissuer.Token{}))
				wantKind(t, response, decision, kind)
				time.Sleep(time.Minute) // until what is under way has ended
			})
		})
		seen[kind] = true
	}
	t.Run("tls_failed", func(t *testing.T) {
		issuer := issuertest.StartTLS(t)
		untrusted := issuer.OpaqueConfig(func(c *validator.Issuer) { c.HTTPClient = nil })
		api := newAPI(t, issuer, untrusted)
		api.handle("/orders", scopes.Authenticated())
		response, decision := api.get("/orders", api.Opaque(testissuer.Token{}))
		wantKind(t, response, decision, introspect.TLSFailed)
		if n := api.Requests(testissuer.Introspection); n != 0 {
			t.Errorf("%d requests arrived before the handshake succeeded", n)
		}
		api = newAPI(t, issuer, issuer.OpaqueConfig())
		api.handle("/orders", scopes.Authenticated())
		if response, decision := api.get("/orders", api.Opaque(testissuer.Token{})); response.StatusCode != http.StatusOK {
			t.Errorf("with its certificate: %v", causeOf(decision.Denial))
		}
	})
	t.Run("answer_keys_missing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			issuer := issuertest.Start(t, testissuer.Config{Clients: []testissuer.Client{{ID: testissuer.ClientID, Secret: testissuer.ClientSecret, Signed: true}}})
			issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Status: 500})
			api := newAPI(t, issuer, issuer.OpaqueConfig(func(c *validator.Issuer) {
				c.Opaque.Signed, c.Opaque.AnswerKeys = true, jwkscache.URL(issuer.JWKSURL())
			}))
			api.handle("/orders", scopes.Authenticated())
			response, decision := api.get("/orders", api.Opaque(testissuer.Token{}))
			wantKind(t, response, decision, introspect.AnswerKeysMissing)
		})
	})
	t.Run("answer_outdated", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			issuer := issuertest.New(t)
			v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{issuer.OpaqueConfig()}})
			token, err := v.Validate(t.Context(), issuer.OpaqueBearer(nil))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			var decision middleware.Decision
			guard := issuertest.Guard(t, middleware.Config{Validator: v, Trace: &middleware.Trace{Decided: func(_ context.Context, d middleware.Decision) { decision = d }}})
			denial := routeOf(t, guard, scopes.Authenticated()).Refuse(t.Context(), v.Recheck(t.Context(), token, validator.Demands{}))
			status, header, _ := denial.Response()
			wantKind(t, &http.Response{StatusCode: status, Header: header}, decision, introspect.AnswerOutdated)
		})
	})
	seen[introspect.TLSFailed], seen[introspect.AnswerKeysMissing], seen[introspect.AnswerOutdated] = true, true, true
	if got, want := slices.Sorted(maps.Keys(seen)), declaredKinds(t); !slices.Equal(got, want) {
		t.Errorf("tested are %q, declared %q", got, want)
	}
}

// wantKind compares an answer and a Decision with those of a kind.
func wantKind(t *testing.T, response *http.Response, decision middleware.Decision, want introspect.Kind) {
	t.Helper()
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" || response.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v, want 503 and Retry-After", response.StatusCode, response.Header)
	}
	if decision.Kind != want || decision.Source != "" || decision.Denial == nil || decision.Denial.Reason != validator.Unavailable {
		t.Fatalf("%+v (%v), want %q", decision, causeOf(decision.Denial), want)
	}
	failure, ok := errors.AsType[*introspect.Error](decision.Denial.Cause())
	if !ok || failure.Kind() != want || !errors.Is(failure, want) {
		t.Errorf("the cause is %v, want one of kind %q", decision.Denial.Cause(), want)
	}
}

// declaredKinds returns the constants of introspect.Kind.
func declaredKinds(t *testing.T) []introspect.Kind {
	t.Helper()
	source, err := os.ReadFile("../introspect/error.go")
	if err != nil {
		t.Fatal(err)
	}
	var all []introspect.Kind
	for _, found := range regexp.MustCompile(`(?m)^\t\w+ +Kind = "(\w+)"`).FindAllSubmatch(source, -1) {
		all = append(all, introspect.Kind(found[1]))
	}
	slices.Sort(all)
	return all
}

// TestKindsInDocs: the kinds that the documentation lists are those of the code.
func TestKindsInDocs(t *testing.T) {
	text, err := os.ReadFile("../docs/opaque-tokens.md")
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(`(?m)^\| kind \|.*\n\|[-|]+\n((?:\|.*\n)+)`).FindSubmatch(text)
	if table == nil {
		t.Fatal("there is no table of kinds")
	}
	var listed []introspect.Kind
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]*) \|`).FindAllSubmatch(table[1], -1) {
		for _, name := range regexp.MustCompile(`\x60(\w+)\x60`).FindAllSubmatch(row[1], -1) {
			listed = append(listed, introspect.Kind(name[1]))
		}
	}
	slices.Sort(listed)
	if declared := declaredKinds(t); !slices.Equal(listed, declared) {
		t.Errorf("the docs list %q, and the code has %q", listed, declared)
	}
}

// TestSourcesOfRefusals: nobody could tell "inactive at the server" from any other refusal. The Decision, the verdict of the Validator and the hook for requests agree on how
// each refusal was known.
func TestSourcesOfRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		var verdicts []validator.ValidateDone
		asked := 0
		v := issuertest.Validator(t, validator.Config{
			Issuers: []validator.Issuer{issuer.OpaqueConfig(func(c *validator.Issuer) { c.Opaque.Prefix = "opaque_" })},
			Trace: &validator.Trace{
				ValidateDone:  func(_ context.Context, done validator.ValidateDone) { verdicts = append(verdicts, done) },
				Introspection: &introspect.Trace{AskDone: func(string, introspect.AskDone) { asked++ }},
			},
		})
		api := newAPIOf(t, issuer, v)
		api.handle("/orders", scopes.Authenticated())
		for _, row := range []struct {
			name, token string
			status      int
			reason      validator.Reason
			source      validator.Source
			kind        introspect.Kind
			asked       int // in all
		}{
			{"the server says inactive", "opaque_unknown", 401, validator.Inactive, validator.Introspected, "", 1},
			{"it said so before", "opaque_unknown", 401, validator.Inactive, validator.Cached, "", 1},
			{"nobody is asked", "unknown", 401, validator.UnknownIssuer, "", "", 1},
			{"there is no answer", "opaque_other", 503, validator.Unavailable, "", introspect.ServerError, 2},
		} {
			if row.kind != "" {
				api.Behave(testissuer.Introspection, testissuer.Behaviour{Status: 500})
			}
			response, decision := api.get("/orders", row.token)
			done := verdicts[len(verdicts)-1]
			if response.StatusCode != row.status || decision.Denial.Reason != row.reason || decision.Source != row.source || decision.Kind != row.kind || asked != row.asked {
				t.Errorf("%s: %d, %q, source %q, kind %q, asked %d times", row.name, response.StatusCode, decision.Denial.Reason, decision.Source, decision.Kind, asked)
			}
			if done.Reason != row.reason || done.Source != row.source || done.Issuer != decision.Issuer || (row.kind != "") != errors.Is(done.Err, row.kind) {
				t.Errorf("%s: the verdict is %+v", row.name, done)
			}
		}
	})
}

// TestStrippedAnswer (R-IN-06): the server leaves out nearly everything for a client that it does not know as an audience. On a route with scopes, that is 401 for the missing
// audience and not 403 for the scopes, and the cause lists what is absent.
func TestStrippedAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newOpaqueAPI(t)
		api.handle("/orders", scopes.All("read"))
		response, decision := api.get("/orders", api.Opaque(testissuer.Token{Scope: "read", Fault: testissuer.Stripped}))
		if response.StatusCode != http.StatusUnauthorized || decision.Denial.Reason != validator.WrongAudience {
			t.Errorf("%d, %q", response.StatusCode, decision.Denial.Reason)
		}
		text := causeOf(decision.Denial).Error()
		for _, absent := range []string{"aud", "scope", "sub", "audience"} {
			if !regexp.MustCompile(`\b` + absent + `\b`).MatchString(text) {
				t.Errorf("%q is not in %q", absent, text)
			}
		}
	})
}
