package validator_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestForgetAnswers (R-IN-15) forgets answers by what they gave. An answer that lacks a member may be meant, too; answers of other
// issuers and about other grants stay.
func TestForgetAnswers(t *testing.T) {
	full := issuertest.Claims{"sub": "user-1", "sid": "s1", "client_id": "app", "jti": "j1"}
	bare := issuertest.Claims{"sub": nil, "client_id": nil, "jti": nil}
	for _, row := range []struct {
		name       string
		about      validator.AnswersAbout
		full, bare bool // whether the answer is forgotten
	}{
		{"the issuer", validator.AnswersAbout{}, true, true},
		{"its subject", validator.AnswersAbout{Subject: "user-1"}, true, true},
		{"another subject", validator.AnswersAbout{Subject: "user-2"}, false, true},
		{"its session", validator.AnswersAbout{SessionID: "s1"}, true, true},
		{"another session", validator.AnswersAbout{SessionID: "s2"}, false, true},
		{"its client", validator.AnswersAbout{ClientID: "app"}, true, true},
		{"another client", validator.AnswersAbout{ClientID: "other"}, false, true},
		{"its jti", validator.AnswersAbout{ID: "j1"}, true, true},
		{"another jti", validator.AnswersAbout{ID: "j2"}, false, true},
		{"its subject and another client", validator.AnswersAbout{Subject: "user-1", ClientID: "other"}, false, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				is, other := newOpaqueIssuer(t), issuertest.At(t, "https://other.test")
				v := issuertest.Validator(t, validator.Config{
					Issuers: []validator.Issuer{
						is.OpaqueConfig(func(c *validator.Issuer) { c.Grants = allScopes }),
						other.OpaqueConfig(func(c *validator.Issuer) {
							client := *c.Opaque
							client.Prefix = "other_"
							c.Opaque, c.Grants = &client, allScopes
						}),
					},
				})
				tokens := map[string]validator.Presentation{
					"full": is.OpaqueBearer(full), "bare": is.OpaqueBearer(bare),
					"other": issuertest.Bearer(other.Opaque(testissuer.Token{Prefix: "other_", Claims: full})),
				}
				held := map[string]*validator.Token{}
				for name, p := range tokens {
					held[name] = wantVerdict(t, name, v, p, "", validator.Introspected, "")
					wantVerdict(t, name, v, p, "", validator.Cached, "")
				}
				row.about.Issuer = is.URL()
				n := 0
				for _, forgotten := range []bool{row.full, row.bare} {
					if forgotten {
						n++
					}
				}
				if got := v.ForgetAnswers(row.about); got != n {
					t.Errorf("ForgetAnswers returns %d, want %d", got, n)
				}
				for name, forgotten := range map[string]bool{"full": row.full, "bare": row.bare, "other": false} {
					source, outdated := validator.Cached, v.Recheck(t.Context(), held[name], validator.Demands{})
					if forgotten {
						source = validator.Introspected
					}
					if errors.Is(outdated, introspect.AnswerOutdated) != forgotten || (outdated != nil) != forgotten {
						t.Errorf("%s: Recheck returns %v", name, causeOf(outdated))
					}
					wantVerdict(t, name+" again", v, tokens[name], "", source, "")
				}
			})
		})
	}
}

// TestForgetByClientClaim (R-IN-15): an answer is about the client that ClientClaim names, and about that of client_id.
func TestForgetByClientClaim(t *testing.T) {
	for client, want := range map[string]int{"app": 1, "web": 1, "other": 0} {
		is := newOpaqueIssuer(t, func(c *validator.Issuer) {
			c.Profile, c.ClientClaim, c.Marker = validator.ProfileLegacy, "azp", rules{{Name: "kind", Equals: "access"}}
		})
		wantVerdict(t, client, is.v, is.OpaqueBearer(issuertest.Claims{"azp": "app", "client_id": "web", "kind": "access"}), "", validator.Introspected, "")
		if n := is.v.ForgetAnswers(validator.AnswersAbout{Issuer: is.URL(), ClientID: client}); n != want {
			t.Errorf("%s: %d answers were forgotten, want %d", client, n, want)
		}
	}
}

// TestForgetWithStore (R-IN-15): an answer from a Store counts if its request began after answers were forgotten, and not if it began before.
func TestForgetWithStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMapStore()
		is := newOpaqueIssuer(t, withStore(store))
		other := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.OpaqueConfig(withStore(store))}})
		p := is.OpaqueBearer(nil)
		wantVerdict(t, "another process", other, p, "", validator.Introspected, "")
		time.Sleep(time.Second)
		is.v.ForgetAnswers(validator.AnswersAbout{Issuer: is.URL()})
		time.Sleep(time.Second)
		wantVerdict(t, "an answer from before", is.v, p, "", validator.Introspected, "")
		is.wantAsked(t, "an answer from before", 2)
		p = is.OpaqueBearer(nil)
		wantVerdict(t, "another process, later", other, p, "", validator.Introspected, "")
		wantVerdict(t, "an answer from after that", is.v, p, "", validator.Introspected, "")
		is.wantAsked(t, "an answer from after that", 3)
	})
}

// TestForgetRefused: what was remembered of tokens that are not active is forgotten, too.
func TestForgetRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		p := issuertest.Bearer(is.Opaque(testissuer.Token{Fault: testissuer.InactiveOnce}))
		wantVerdict(t, "first", is.v, p, validator.Inactive, validator.Introspected, "")
		wantVerdict(t, "again", is.v, p, validator.Inactive, validator.Cached, "")
		is.v.ForgetAnswers(validator.AnswersAbout{Issuer: is.URL()})
		wantVerdict(t, "forgotten", is.v, p, "", validator.Introspected, "")
	})
}

// TestForgetWhileAsking (R-IN-15): an answer that was under way when answers were forgotten counts for nobody, and the issuer is asked
// again.
func TestForgetWhileAsking(t *testing.T) {
	for name, demand := range map[string]time.Duration{"shared": 0, "each": validator.EachRequest} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				is := newOpaqueIssuer(t)
				token := is.OpaqueToken(nil)
				is.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: time.Second, Times: 1})
				var all sync.WaitGroup
				all.Go(func() {
					wantVerdict(t, "under way", is.v, within(issuertest.Bearer(token), demand), validator.Inactive, validator.Introspected, "")
				})
				time.Sleep(500 * time.Millisecond)
				is.Revoke(token)
				is.v.ForgetAnswers(validator.AnswersAbout{Issuer: is.URL()})
				all.Wait()
				is.wantAsked(t, "in all", 2)
			})
		})
	}
}

// TestForgetAnswersOfNobody: nothing happens for an issuer that is not known or is not asked, nor for a nil Validator.
func TestForgetAnswersOfNobody(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	for _, n := range []int{
		v.ForgetAnswers(validator.AnswersAbout{}), v.ForgetAnswers(validator.AnswersAbout{Issuer: testIssuer}),
		(*validator.Validator)(nil).ForgetAnswers(validator.AnswersAbout{Issuer: testIssuer}),
	} {
		if n != 0 {
			t.Errorf("%d answers were forgotten", n)
		}
	}
}

// TestRevokedWhileUsed (R-IN-13): with requests from many goroutines, no token is accepted a TTL after it was revoked.
func TestRevokedWhileUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ttl = 2 * time.Second
		is := newOpaqueIssuer(t, cache(ttl))
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: 50 * time.Millisecond})
		p := is.OpaqueBearer(nil)
		var mu sync.Mutex
		var revoked time.Time
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				for range 200 {
					arrived := time.Now()
					_, err := is.v.Validate(t.Context(), p)
					mu.Lock()
					if err == nil && !revoked.IsZero() && arrived.Sub(revoked) >= ttl {
						t.Errorf("accepted %v after the revocation", arrived.Sub(revoked))
					}
					mu.Unlock()
					time.Sleep(37 * time.Millisecond)
				}
			})
		}
		time.Sleep(3 * time.Second)
		is.Revoke(p.Token)
		mu.Lock()
		revoked = time.Now()
		mu.Unlock()
		all.Wait()
		wantVerdict(t, "at the end", is.v, p, validator.Inactive, validator.Cached, "")
	})
}
