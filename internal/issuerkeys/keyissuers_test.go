package issuerkeys_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// jwkWith returns the JWK of a new key with further members, given as JSON text.
func jwkWith(t *testing.T, kid, members string) string {
	t.Helper()
	return `{` + members + `,` + jwk(t, kid)[1:]
}

// TestKeyIssuers covers R-JK-02 for a JWK Set of several issuers: whatever the source, a
// key whose member issuer names another one is not used, and Status says why.
func TestKeyIssuers(t *testing.T) {
	document := setOf(
		jwkWith(t, "own", `"issuer":"https://issuer.example"`), jwkWith(t, "foreign", `"issuer":"https://other.example"`),
		jwkWith(t, "typed", `"issuer":1`), jwk(t, "bare"),
	)
	bound := func(b *issuerkeys.Binding) { b.KeyIssuers = []string{issuer} }
	check := func(t *testing.T, keys *issuerkeys.Keys, origin string) {
		t.Helper()
		wants(t, "own", find(t, keys, "own"), nil)
		wants(t, "bare", find(t, keys, "bare"), nil)
		wants(t, "foreign", find(t, keys, "foreign"), jose.ErrUnknownKey)
		wants(t, "typed", find(t, keys, "typed"), jose.ErrUnknownKey)
		status := keys.Status()
		if len(status.Ignored) != 2 || !status.Ignored[0].OtherIssuer || status.Ignored[0].KeyID != "foreign" || status.Ignored[1].OtherIssuer || status.Origin != origin {
			t.Errorf("%+v", status)
		}
	}
	for name, source := range map[string]func(*testing.T) (*issuerkeys.Keys, string){
		"static": func(t *testing.T) (*issuerkeys.Keys, string) {
			return bindTo(t, jwkscache.Static([]byte(document)), bound), "static"
		},
		"file": func(t *testing.T) (*issuerkeys.Keys, string) {
			_, keys := fileOf(t, document, bound)
			return keys, "fetched"
		},
		"URL": func(t *testing.T) (*issuerkeys.Keys, string) {
			s := new(site)
			s.answers(200, document)
			return openSite(t, s, bound), "fetched"
		},
		"fallback of a URL": func(t *testing.T) (*issuerkeys.Keys, string) {
			s := new(site)
			s.answers(200, document)
			return fallbackOf(t, s, setOf(), bound), "fetched"
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				keys, origin := source(t)
				must(t, keys.Warm(t.Context()))
				check(t, keys, origin)
			})
		})
	}
	t.Run("fallback", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := new(site)
			s.down()
			keys := fallbackOf(t, s, document, bound)
			wants(t, "own", find(t, keys, "own"), nil)
			wants(t, "foreign", find(t, keys, "foreign"), issuerkeys.ErrUnavailable)
			if got := keys.Status(); got.Origin != "fallback" || len(got.Ignored) != 2 {
				t.Errorf("%+v", got)
			}
		})
	})
	t.Run("snapshot of all keys", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dir, s := snapshots(t), new(site)
			s.answers(200, document)
			all := openSite(t, s, kept(dir))
			must(t, all.Warm(t.Context()))
			wants(t, "foreign, without KeyIssuers", find(t, all, "foreign"), nil)
			synctest.Wait()
			s.down()
			keys := openSite(t, s, kept(dir), bound)
			wants(t, "own", find(t, keys, "own"), nil)
			wants(t, "foreign", find(t, keys, "foreign"), issuerkeys.ErrUnavailable)
			if got := keys.Status(); got.Origin != "snapshot" || len(got.Ignored) != 2 {
				t.Errorf("%+v", got)
			}
		})
	})
}

// TestKeyIssuersCopied checks that Open copies the list.
func TestKeyIssuersCopied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, s := []string{issuer}, new(site)
		s.answers(200, setOf(jwkWith(t, "own", `"issuer":"https://issuer.example"`)))
		keys := openSite(t, s, func(b *issuerkeys.Binding) { b.KeyIssuers = list })
		list[0] = "https://other.example"
		wants(t, "own", find(t, keys, "own"), nil)
	})
}

// TestSetOfOtherIssuers covers R-JK-13: a set in which a known key belongs to another
// issuer withdraws it, and a set with keys of other issuers alone is no damaged set.
func TestSetOfOtherIssuers(t *testing.T) {
	key := jwk(t, "a")
	moved := `{"issuer":"https://other.example",` + key[1:]
	for name, set := range map[string]string{
		"the same key":                            setOf(moved),
		"the same key beside an unreadable one":   setOf(moved, unreadable("b")),
		"another key":                             setOf(jwkWith(t, "b", `"issuer":"https://other.example"`)),
		"another key, beside one to encrypt with": setOf(jwkWith(t, "b", `"issuer":"https://other.example"`), encryptionKey("")),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(site)
				s.answers(200, setOf(key))
				keys := openSite(t, s, func(b *issuerkeys.Binding) { b.KeyIssuers = []string{issuer} })
				must(t, keys.Warm(t.Context()))
				handle := held(t, keys, "a")
				s.answers(200, set)
				advance(11 * time.Minute)
				must(t, keys.Warm(t.Context()))
				wants(t, "the Handle", handle.check(t), jose.ErrUnknownKey)
			})
		})
	}
	t.Run("an unreadable set beside another issuer's key of the kid", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, foreign := new(site), jwkWith(t, "a", `"issuer":"https://other.example"`)
			s.answers(200, setOf(key, foreign))
			keys := openSite(t, s, func(b *issuerkeys.Binding) { b.KeyIssuers = []string{issuer} })
			must(t, keys.Warm(t.Context()))
			handle := held(t, keys, "a")
			s.answers(200, setOf(unreadable("a"), foreign))
			advance(11 * time.Minute)
			must(t, keys.Warm(t.Context()))
			wants(t, "the Handle", handle.check(t), nil)
		})
	})
}

// TestListedTwice covers R-JS-07: of a key that is listed for several algorithms, the
// issuer's list decides which entry is used, after a refresh too.
func TestListedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := testkey.New(jose.RS256, "k")
		entry := func(alg string) string {
			return `{"alg":"` + alg + `",` + strings.Replace(key.JWK(), `"alg":"RS256",`, "", 1)[1:]
		}
		s := new(site)
		s.answers(200, setOf(entry("RS512"), entry("RS256"), entry("PS256")))
		keys := openSite(t, s, func(b *issuerkeys.Binding) { b.Algorithms = []jose.Algorithm{jose.PS256, jose.RS256} })
		for range 2 {
			must(t, keys.Warm(t.Context()))
			_, err := keys.Find(t.Context(), time.Now(), headerText(t, `{"alg":"PS256","kid":"k"}`))
			wants(t, "PS256", err, nil)
			_, err = keys.Find(t.Context(), time.Now(), headerText(t, `{"alg":"RS256","kid":"k"}`))
			wants(t, "RS256", err, jose.ErrAlgorithm)
			s.answers(200, setOf(entry("RS256"), entry("PS256"), entry("RS512")))
			advance(11 * time.Minute)
		}
	})
}
