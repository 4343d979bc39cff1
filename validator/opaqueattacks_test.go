package validator_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// mapStore is a Store in memory.
type mapStore struct {
	mu     sync.Mutex
	values map[[32]byte][]byte
}

func newMapStore() *mapStore { return &mapStore{values: map[[32]byte][]byte{}} }

func (s *mapStore) Get(_ context.Context, key [32]byte) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, found := s.values[key]
	return value, found, nil
}

func (s *mapStore) Set(_ context.Context, key [32]byte, value []byte, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[key] = value
	return nil
}

// withStore is a change that makes a Validator keep answers in a Store.
func withStore(store introspect.Store) func(*validator.Issuer) {
	return func(config *validator.Issuer) {
		client := *config.Opaque
		client.Store, client.StoreSecret = store, introspect.SecretText(strings.Repeat("s", 32))
		config.Opaque = &client
	}
}

// TestForbiddenKeyOfAnswers: answers that a forbidden key signed count no more, neither
// new ones nor those in the cache.
func TestForbiddenKeyOfAnswers(t *testing.T) {
	for name, own := range map[string]bool{"keys of the issuer": false, "AnswerKeys": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				is := issuertest.Start(t, testissuer.Config{URL: "https://issuer.test", InMemory: true, Clients: []testissuer.Client{{ID: testissuer.ClientID, Secret: testissuer.ClientSecret, Signed: true}}})
				v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.HybridConfig(func(c *validator.Issuer) {
					client := *c.Opaque
					client.Signed = true
					if own {
						client.AnswerKeys = jwkscache.Static(is.JWKS())
						c.Keys = nil
					}
					c.Opaque = &client
				})}})
				p := is.OpaqueBearer(nil)
				wantVerdict(t, "first", v, p, "", validator.Introspected, "")
				if err := v.ForbidKey(t.Context(), is.URL(), jwkscache.KeyName{KeyID: is.SigningKey()}); err != nil {
					t.Log("ForbidKey:", err)
				}
				if _, err := v.Validate(t.Context(), p); err == nil {
					t.Error("an answer that the forbidden key signed is still used from the cache")
				}
				time.Sleep(31 * time.Second)
				if _, err := v.Validate(t.Context(), is.OpaqueBearer(nil)); err == nil {
					t.Error("a new answer that the forbidden key signed is accepted")
				}
				if err := v.PermitKey(t.Context(), is.URL(), jwkscache.KeyName{KeyID: is.SigningKey()}); err != nil {
					t.Error("PermitKey:", err)
				}
				wantVerdict(t, "permitted again", v, is.OpaqueBearer(nil), "", validator.Introspected, "")
			})
		})
	}
}

// TestPrefixOfAnotherIssuerThanTheRoutes (R-IN-03): a route that names an issuer takes no
// tokens with the prefix of another one.
func TestPrefixOfAnotherIssuerThanTheRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := issuertest.New(t), issuertest.At(t, "https://other.test")
		v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{
			a.OpaqueConfig(func(c *validator.Issuer) { c.Grants = allScopes }),
			b.OpaqueConfig(func(c *validator.Issuer) {
				client := *c.Opaque
				client.Prefix = "other_"
				c.Opaque, c.Grants = &client, allScopes
			}),
		}})
		p := issuertest.Bearer(b.Opaque(testissuer.Token{Prefix: "other_"}))
		p.Demands.OpaqueIssuer = a.URL()
		token, err := v.Validate(t.Context(), p)
		if err == nil {
			t.Errorf("route takes opaque tokens of %s and no other, and accepted one of %s", a.URL(), token.Issuer())
		}
		p.Demands.OpaqueIssuer = b.URL()
		wantVerdict(t, "a route that names the issuer of the prefix", v, p, "", validator.Introspected, "")
	})
}

// TestIssNamesAnotherIssuer (R-IN-03): a JWT that names a configured issuer in iss is
// shown to no other issuer.
func TestIssNamesAnotherIssuer(t *testing.T) {
	a, b := issuertest.New(t), issuertest.At(t, "https://other.test")
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{
		a.OpaqueConfig(func(c *validator.Issuer) { c.Grants = allScopes }),
		b.OpaqueConfig(func(c *validator.Issuer) {
			client := *c.Opaque
			client.Prefix = "other_"
			c.Opaque, c.Grants = &client, allScopes
		}),
		issuertest.At(t, "https://third.test").Config(func(c *validator.Issuer) { c.Grants = allScopes }),
	}})
	_, err := v.Validate(t.Context(), b.Bearer(nil))
	if n := a.Requests(testissuer.Introspection); n > 0 {
		t.Errorf("a JWT with iss %s was shown to %s (%v)", b.URL(), a.URL(), causeOf(err))
	}
	p := b.Bearer(nil)
	p.Demands.OpaqueIssuer = "https://third.test"
	if _, err := v.Validate(t.Context(), p); !strings.Contains(causeText(err), "has no Opaque") {
		t.Errorf("on a route that names an issuer that cannot be asked: %v", causeOf(err))
	}
}

// TestStoreDoesNotReviveTokens: an answer in a Store is not used after the issuer said
// that the token is not active.
func TestStoreDoesNotReviveTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t, withStore(newMapStore()))
		p := is.OpaqueBearer(nil)
		wantVerdict(t, "first", is.v, p, "", validator.Introspected, "")
		time.Sleep(time.Second)
		is.Revoke(p.Token)
		wantVerdict(t, "each request", is.v, within(p, validator.EachRequest), validator.Inactive, validator.Introspected, "")
		time.Sleep(time.Second)
		if _, err := is.v.Validate(t.Context(), p); err == nil {
			t.Errorf("accepted 1 s after the issuer said inactive; asked %d", is.asked())
		}
		time.Sleep(20 * time.Second)
		if _, err := is.v.Validate(t.Context(), p); err == nil {
			t.Errorf("accepted 21 s after the issuer said inactive; asked %d", is.asked())
		}
	})
}

// TestOlderAnswerArrivesLater: an answer whose request began before the issuer said "not
// active" counts for nothing, although it arrives later.
func TestOlderAnswerArrivesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		p := is.OpaqueBearer(nil)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Times: 1, Delay: 2 * time.Second})
		go func() { _, _ = is.v.Validate(t.Context(), p) }()
		time.Sleep(time.Second)
		is.Revoke(p.Token)
		wantVerdict(t, "newer", is.v, within(p, validator.EachRequest), validator.Inactive, validator.Introspected, "")
		time.Sleep(2 * time.Second)
		done := is.v.Inspect(t.Context(), p)
		if done.Token != nil {
			t.Errorf("accepted from %s after a newer request said inactive", done.Source)
		}
	})
}

// TestRecheckAfterInactive: a Token that is held is refused once the issuer said that it
// is not active.
func TestRecheckAfterInactive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		p := is.OpaqueBearer(nil)
		token := wantVerdict(t, "first", is.v, p, "", validator.Introspected, "")
		is.Revoke(p.Token)
		time.Sleep(time.Second)
		wantVerdict(t, "each request", is.v, within(p, validator.EachRequest), validator.Inactive, validator.Introspected, "")
		if err := is.v.Recheck(t.Context(), token, validator.Demands{}); err == nil {
			t.Errorf("Recheck accepts after the issuer said inactive")
		}
	})
}

// TestRecheckOfNarrowerAnswer: a Token that is held does not hold under a newer answer
// that takes scopes away or names another subject.
func TestRecheckOfNarrowerAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		p := is.OpaqueBearer(issuertest.Claims{"scope": "admin read", "sub": "u1"})
		held := wantVerdict(t, "first", is.v, p, "", validator.Introspected, "")
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Body: []byte(`{"active":true,"scope":"read","sub":"u2","token_type":"Bearer","aud":"` + issuertest.Audience + `"}`)})
		time.Sleep(31 * time.Second)
		newer := wantVerdict(t, "newer", is.v, p, "", validator.Introspected, "")
		if err := is.v.Recheck(t.Context(), held, validator.Demands{}); err == nil {
			t.Errorf("Recheck accepts the held Token with scopes %v of %s; the last answer has %v of %s", held.Scopes(), held.Subject(), newer.Scopes(), newer.Subject())
		}
	})
}

// TestForgetAnswersOfResolvedIssuer (R-IN-15): forgotten answers stay forgotten when a
// resolved issuer is forgotten and found again, also those in a Store.
func TestForgetAnswersOfResolvedIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		config := issuer.OpaqueConfig(withStore(newMapStore()), func(c *validator.Issuer) { c.Grants = allScopes })
		v := issuertest.Validator(t, validator.Config{
			ResolveIssuer: func(_ context.Context, url string) (validator.Issuer, error) {
				if url != issuer.URL() {
					return validator.Issuer{}, validator.ErrUnknownIssuer
				}
				return config, nil
			},
		})
		p := issuer.OpaqueBearer(nil)
		p.Demands.OpaqueIssuer = issuer.URL()
		wantVerdict(t, "first", v, p, "", validator.Introspected, "")
		issuer.Revoke(p.Token)
		time.Sleep(time.Second)
		v.ForgetAnswers(validator.AnswersAbout{Issuer: issuer.URL()})
		v.ForgetIssuer(issuer.URL())
		time.Sleep(time.Second)
		if _, err := v.Validate(t.Context(), p); err == nil {
			t.Errorf("accepted although answers were forgotten; %d requests", issuer.Requests(testissuer.Introspection))
		}
		// other order
		p = issuer.OpaqueBearer(nil)
		p.Demands.OpaqueIssuer = issuer.URL()
		wantVerdict(t, "second", v, p, "", validator.Introspected, "")
		issuer.Revoke(p.Token)
		v.ForgetIssuer(issuer.URL())
		time.Sleep(time.Second)
		v.ForgetAnswers(validator.AnswersAbout{Issuer: issuer.URL()})
		if _, err := v.Validate(t.Context(), p); err == nil {
			t.Errorf("accepted although answers were forgotten while the issuer was not known; %d requests", issuer.Requests(testissuer.Introspection))
		}
	})
}

// TestForgetAnswersAtOnce (R-IN-15): an answer in a Store is forgotten, also if its
// request began in the same instant.
func TestForgetAnswersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t, withStore(newMapStore()))
		p := is.OpaqueBearer(nil)
		wantVerdict(t, "first", is.v, p, "", validator.Introspected, "")
		is.Revoke(p.Token)
		is.v.ForgetAnswers(validator.AnswersAbout{Issuer: is.URL()})
		if _, err := is.v.Validate(t.Context(), p); err == nil {
			t.Error("accepted from the Store")
		}
	})
}

// TestForgetAnswersOfOthers (R-IN-15): forgetting the answers about one user all the time
// does not keep another one out.
func TestForgetAnswersOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: 100 * time.Millisecond})
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(60 * time.Millisecond):
					is.v.ForgetAnswers(validator.AnswersAbout{Issuer: is.URL(), Subject: "mallory", SessionID: "m"})
				}
			}
		}()
		bad := 0
		for range 20 {
			if _, err := is.v.Validate(t.Context(), is.OpaqueBearer(issuertest.Claims{"sub": "alice", "sid": "a"})); err != nil {
				bad++
				if bad == 1 {
					t.Log(causeOf(err))
				}
			}
		}
		close(stop)
		if bad > 0 {
			t.Errorf("%d of 20 good tokens of alice refused, because mallory's session was forgotten; %d requests", bad, is.asked())
		}
	})
}

// TestForgetAnswersByClientID (R-IN-15): client_id counts, also where the configuration
// takes the client from another member.
func TestForgetAnswersByClientID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t, func(c *validator.Issuer) {
			c.Profile, c.Marker = validator.ProfileLegacy, rules{{Name: "scope"}}
			c.ClientClaim, c.ClientOnly = "azp", validator.ClaimRule{Name: "gty", Equals: "client-credentials"}
		})
		p := is.OpaqueBearer(issuertest.Claims{"client_id": "app", "azp": "front", "scope": "a"})
		wantVerdict(t, "first", is.v, p, "", validator.Introspected, "")
		is.Revoke(p.Token)
		is.v.ForgetAnswers(validator.AnswersAbout{Issuer: is.URL(), ClientID: "app"})
		if _, err := is.v.Validate(t.Context(), p); err == nil {
			t.Error("client_id is app, and ForgetAnswers{ClientID: app} left it")
		}
	})
}

// TestAnswersOnlyNarrowMore: an answer about a JWT may bind it to the DPoP scheme, and
// takes away audiences and what is made of scopes.
func TestAnswersOnlyNarrowMore(t *testing.T) {
	exp := time.Now().Add(10 * time.Minute).Truncate(time.Second)
	t.Run("dpop", func(t *testing.T) {
		is := newHybridIssuer(t)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Body: []byte(`{"active":true,"token_type":"DPoP"}`)})
		p := within(is.Bearer(issuertest.Claims{"exp": exp.Unix()}), time.Minute)
		if _, err := is.v.Validate(t.Context(), p); err == nil {
			t.Error("token_type is DPoP, and the token was accepted as a bearer token")
		}
	})
	t.Run("aud", func(t *testing.T) {
		is := newHybridIssuer(t, func(c *validator.Issuer) { c.Audiences = append(c.Audiences, "https://payments.test") })
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Body: []byte(`{"active":true,"aud":"` + issuertest.Audience + `"}`)})
		p := within(is.Bearer(issuertest.Claims{"exp": exp.Unix(), "aud": []string{issuertest.Audience, "https://payments.test"}}), time.Minute)
		p.Demands.Audiences = []string{"https://payments.test"}
		if _, err := is.v.Validate(t.Context(), p); err == nil {
			t.Error("the answer's aud has lost https://payments.test, and the route that demands it accepts")
		}
	})
	t.Run("roles", func(t *testing.T) {
		is := newHybridIssuer(t, func(c *validator.Issuer) {
			c.Mappings = []validator.Mapping{{Claim: []string{"scope"}, To: validator.ToRole, Values: map[string][]string{"admin": {"admin"}}}}
		})
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Body: []byte(`{"active":true,"scope":"read"}`)})
		p := within(is.Bearer(issuertest.Claims{"exp": exp.Unix(), "scope": "admin read"}), time.Minute)
		token, err := is.v.Validate(t.Context(), p)
		if err != nil {
			t.Fatal(causeOf(err))
		}
		if token.HasRole("admin") {
			t.Errorf("scopes %v, roles %v", token.Scopes(), token.Roles())
		}
	})
}

// TestNegativeActiveWithin: every negative age demands an answer for each request.
func TestNegativeActiveWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		p := is.OpaqueBearer(nil)
		wantVerdict(t, "first", is.v, p, "", validator.Introspected, "")
		is.Revoke(p.Token)
		time.Sleep(20 * time.Second)
		if done := is.v.Inspect(t.Context(), within(p, -time.Second)); done.Token != nil {
			t.Errorf("ActiveWithin -1s accepts an answer of 20 s ago (%s)", done.Source)
		}
	})
}

// TestSoleAudienceWithoutAud: an answer without aud does not name this API alone.
func TestSoleAudienceWithoutAud(t *testing.T) {
	is := newOpaqueIssuer(t, func(c *validator.Issuer) { c.Answers.FiltersAudience = true })
	p := is.OpaqueBearer(issuertest.Claims{"aud": nil})
	p.Demands.SoleAudience = true
	if _, err := is.v.Validate(t.Context(), p); err == nil {
		t.Error("SoleAudience accepts a token whose audiences nobody knows")
	}
}

// TestMeetsOfOldAnswers: a Token of an old answer without exp does not hold for ever.
func TestMeetsOfOldAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		token := wantVerdict(t, "first", is.v, is.OpaqueBearer(issuertest.Claims{"exp": nil}), "", validator.Introspected, "")
		time.Sleep(24 * time.Hour)
		if err := token.Meets(t.Context(), validator.Demands{}); err == nil {
			t.Error("Meets: a token without exp, a day after the last answer (TTL 30 s), still holds")
		}
	})
}

// TestErrorOfSecretFunc: an error of the user's function that wraps a refusal is an
// outage and no verdict.
func TestErrorOfSecretFunc(t *testing.T) {
	is := newOpaqueIssuer(t, func(c *validator.Issuer) {
		client := *c.Opaque
		client.Authentication = introspect.ClientSecretBasic{Secret: introspect.SecretFunc(func(context.Context) (string, error) {
			return "", fmt.Errorf("vault: %w", validator.Refuse(validator.Expired, errors.New("the vault's token is over")))
		})}
		c.Opaque = &client
	})
	_, err := is.v.Validate(t.Context(), is.OpaqueBearer(nil))
	if validator.ReasonOf(err) != validator.Unavailable {
		t.Errorf("an outage is %s: %v", validator.ReasonOf(err), causeOf(err))
	}
}

// TestKnownWithoutCache: a token that was active before has its share of the requests,
// also where answers are not kept.
func TestKnownWithoutCache(t *testing.T) {
	for name, ttl := range map[string]time.Duration{"TTL 1 s": time.Second, "NoCache": introspect.NoCache} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				is := newOpaqueIssuer(t, cache(ttl))
				p := is.OpaqueBearer(nil)
				wantVerdict(t, "first", is.v, p, "", validator.Introspected, "")
				time.Sleep(2 * time.Second)
				is.Behave(testissuer.Introspection, testissuer.Behaviour{Times: 1, Status: 429, Header: http.Header{"Retry-After": {"30"}}})
				_, _ = is.v.Validate(t.Context(), issuertest.Bearer("junk"))
				wantVerdict(t, "active before", is.v, p, "", validator.Introspected, "")
			})
		})
	}
}
