package validator_test

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// configured makes a validator of the issuers.
func configured(t *testing.T, change func(*validator.Config), issuers ...validator.Issuer) *validator.Validator {
	t.Helper()
	config := validator.Config{Issuers: issuers}
	if change != nil {
		change(&config)
	}
	return issuertest.Validator(t, config)
}

// kidOf names the key that the issuer signs with.
func kidOf(issuer *issuertest.Issuer) jwkscache.KeyName {
	return jwkscache.KeyName{KeyID: issuer.SigningKey()}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// wantStates compares the states of the issuers' keys.
func wantStates(t *testing.T, what string, v *validator.Validator, want ...string) {
	t.Helper()
	var got []string
	for _, s := range v.Status().Issuers {
		got = append(got, s.State)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// TestStatus shows what is told of each issuer, in the order of the
// configuration, over the outage of one.
func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		steady, failing := issuertest.At(t, "https://steady.test"), issuertest.At(t, "https://failing.test")
		v := configured(t, nil, discovering(failing), pinned(steady))
		wantListed(t, "at first", v, failing.URL(), steady.URL())
		wantStates(t, "before anything", v, "unavailable", "fresh")
		noError(t, v.Warm(t.Context()))
		start := time.Now()
		wantStates(t, "warm", v, "fresh", "fresh")
		s := v.Status().Issuers[0]
		if s.Source != "discovery" || s.Location != failing.JWKSURL() || s.Origin != "fetched" || len(s.Keys) != 1 || !s.Fetched.Equal(start) {
			t.Errorf("%+v", s)
		}
		if s := v.Status().Issuers[1]; s.Source != "static" || s.Origin != "static" || len(s.Keys) != 1 || !s.Fetched.IsZero() {
			t.Errorf("%+v", s)
		}
		failing.Down(true)
		advance(time.Until(s.FreshUntil))
		wantReason(t, "with stale keys", reasonFor(t, v, failing, testissuer.Token{}), "")
		synctest.Wait()
		wantStates(t, "after its keys have aged", v, "stale", "fresh")
		if s := v.Status().Issuers[0]; s.LastError == nil || s.Failures != 1 || !s.LastFailure.Equal(time.Now()) {
			t.Errorf("%+v", s)
		}
		noError(t, v.Ready())
		advance(time.Until(s.UsableUntil))
		wantStates(t, "after the bound", v, "unavailable", "fresh")
		wantReason(t, "after the bound", reasonFor(t, v, failing, testissuer.Token{}), validator.Unavailable)
		wantReason(t, "of the other", reasonFor(t, v, steady, testissuer.Token{}), "")
	})
}

// TestLastGoodKeys covers R-DI-07: keys and metadata that cannot be refreshed
// leave the last ones in use, for a bounded time, and then nothing is accepted.
func TestLastGoodKeys(t *testing.T) {
	for name, fail := range map[string]func(*issuertest.Issuer){
		"keys": func(issuer *issuertest.Issuer) {
			issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Status: http.StatusServiceUnavailable})
		},
		"keys that are none": func(issuer *issuertest.Issuer) {
			issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Body: []byte(`{"keys":7}`)})
		},
		"all": func(issuer *issuertest.Issuer) { issuer.Down(true) },
	} {
		synctest.Test(t, func(t *testing.T) {
			issuer := issuertest.New(t)
			v := configured(t, nil, discovering(issuer))
			noError(t, v.Warm(t.Context()))
			defer running(t, v)()
			bound := v.Status().Issuers[0].UsableUntil
			fail(issuer)
			for time.Until(bound) > 2*time.Minute {
				advance(time.Minute)
				wantReason(t, name+" fail", reasonFor(t, v, issuer, testissuer.Token{}), "")
			}
			advance(time.Until(bound))
			err := verdict(t, v, issuer)
			wantReason(t, name+" failed for too long", validator.ReasonOf(err), validator.Unavailable)
			if cause := errors.Unwrap(err); cause == nil || !strings.Contains(cause.Error(), `validator: issuer "https://issuer.test": `) {
				t.Errorf("%s: the cause does not name the issuer: %v", name, cause)
			}
		})
	}
}

// TestMovedKeys covers R-DI-07: another jwks_uri raises an event, and its keys
// are used.
func TestMovedKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, elsewhere := issuertest.New(t), issuertest.At(t, "https://elsewhere.test")
		var moved []string
		config := discovering(issuer)
		config.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "elsewhere.test" {
				return elsewhere.Transport().RoundTrip(r)
			}
			return issuer.Transport().RoundTrip(r)
		})}
		v := configured(t, func(c *validator.Config) {
			c.Trace = &validator.Trace{Keys: &jwkscache.Trace{Moved: func(iss, from, to string) {
				moved = append(moved, fmt.Sprintf("%s: %s to %s", iss, from, to))
			}}}
		}, config)
		noError(t, v.Warm(t.Context()))
		stop := running(t, v)
		advance(50 * time.Minute)
		synctest.Wait()
		if len(moved) != 0 {
			t.Errorf("without a change: %q", moved)
		}
		for _, e := range metadataDocuments {
			issuer.Metadata(e, func(members map[string]any) { members["jwks_uri"] = elsewhere.JWKSURL() })
		}
		advance(90 * time.Minute)
		stop()
		synctest.Wait()
		if want := []string{fmt.Sprintf("%s: %s to %s", issuer.URL(), issuer.JWKSURL(), elsewhere.JWKSURL())}; !slices.Equal(moved, want) {
			t.Errorf("%q, want %q", moved, want)
		}
		if s := v.Status().Issuers[0]; s.Location != elsewhere.JWKSURL() {
			t.Errorf("Status names %q", s.Location)
		}
		wantReason(t, "of the old place", reasonFor(t, v, issuer, testissuer.Token{}), validator.BadSignature) // the kids are the same
		there := testissuer.Token{Claims: map[string]any{"iss": issuer.URL()}}
		wantReason(t, "of the new place", reasonFor(t, v, elsewhere, there), "")
	})
}

// TestUnlistedResource covers R-DI-10: Warnings names an issuer whose metadata
// lists protected_resources without any of Audiences.
func TestUnlistedResource(t *testing.T) {
	for name, row := range map[string]struct {
		listed any // nil: nothing is said
		warned bool
	}{
		"nothing is said":   {nil, false},
		"this one":          {[]string{"https://else.test", "https://api.test"}, false},
		"another audience":  {[]string{"https://second.test"}, false},
		"others":            {[]string{"https://else.test"}, true},
		"none":              {[]string{}, true},
		"a similar one":     {[]string{"https://api.test/"}, true},
		"one in other case": {[]string{"https://API.test"}, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			issuer, quiet := issuertest.New(t), issuertest.At(t, "https://quiet.test")
			if row.listed != nil {
				for _, e := range metadataDocuments {
					issuer.Metadata(e, func(members map[string]any) { members["protected_resources"] = row.listed })
				}
			}
			config := discovering(issuer)
			config.Audiences = []string{"https://api.test", "https://second.test"}
			v := configured(t, nil, discovering(quiet), config)
			if all := v.Warnings(); len(all) != 0 {
				t.Errorf("%s: before anything is known: %q", name, all)
			}
			noError(t, v.Warm(t.Context()))
			all := v.Warnings()
			if (len(all) == 1) != row.warned || len(all) > 1 {
				t.Errorf("%s: %q", name, all)
			}
			for _, text := range all {
				if !strings.Contains(text, `issuer "https://issuer.test"`) || !strings.Contains(text, "protected_resources") {
					t.Errorf("%s: %q", name, text)
				}
			}
			wantReason(t, name+": a warning refuses nothing", reasonFor(t, v, issuer, testissuer.Token{}), "")
		})
	}
}

// TestForbidKey covers R-OP-06: a forbidden key is refused at once, by kid and by
// thumbprint, no refresh brings it back, and other issuers do not mind.
func TestForbidKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, other := issuertest.New(t), issuertest.At(t, "https://other.test")
		v := configured(t, nil, discovering(issuer), discovering(other))
		noError(t, v.Warm(t.Context()))
		stolen := issuer.SigningKey()
		if stolen != other.SigningKey() {
			t.Fatal("the kids differ")
		}
		thumbprint := jwkscache.KeyName{Thumbprint: v.Status().Issuers[0].Keys[0].Thumbprint()}
		for _, name := range []jwkscache.KeyName{{KeyID: stolen}, thumbprint} {
			noError(t, v.ForbidKey(t.Context(), issuer.URL(), name))
			wantReason(t, "forbidden", reasonFor(t, v, issuer, testissuer.Token{Key: stolen}), validator.UnknownKey)
			wantReason(t, "of another issuer", reasonFor(t, v, other, testissuer.Token{}), "")
			if s := v.Status().Issuers; !slices.Equal(s[0].Forbidden, []jwkscache.KeyName{name}) || len(s[0].Keys) != 0 || len(s[1].Forbidden) != 0 {
				t.Errorf("%+v", s)
			}
			stop := running(t, v)
			advance(time.Hour)
			wantReason(t, "after refreshes", reasonFor(t, v, issuer, testissuer.Token{Key: stolen}), validator.UnknownKey)
			stop()
			noError(t, v.PermitKey(t.Context(), issuer.URL(), name))
			wantReason(t, "permitted", reasonFor(t, v, issuer, testissuer.Token{Key: stolen}), "")
		}
		noError(t, v.ForbidKey(t.Context(), issuer.URL(), thumbprint))
		issuer.Rotate()
		wantReason(t, "the next key", reasonFor(t, v, issuer, testissuer.Token{}), "")
		wantReason(t, "the stolen one", reasonFor(t, v, issuer, testissuer.Token{Key: stolen}), validator.UnknownKey)
	})
}

// TestForbiddenKeys covers R-OP-06 for keys that the configuration names, and its
// faults.
func TestForbiddenKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		config := discovering(issuer)
		config.ForbiddenKeys = []jwkscache.KeyName{kidOf(issuer)}
		v := configured(t, nil, config)
		config.ForbiddenKeys[0].KeyID = "other" // which is too late
		wantReason(t, "forbidden", reasonFor(t, v, issuer, testissuer.Token{}), validator.UnknownKey)
		issuer.Rotate()
		advance(10 * time.Second)
		wantReason(t, "the next key", reasonFor(t, v, issuer, testissuer.Token{}), "")
		noError(t, v.PermitKey(t.Context(), issuer.URL(), jwkscache.KeyName{KeyID: "key-1"}))
		wantReason(t, "permitted until the next start", reasonFor(t, v, issuer, testissuer.Token{Key: "key-1"}), "")

		config.ForbiddenKeys = []jwkscache.KeyName{{}, {Thumbprint: "short"}}
		_, err := validator.New(validator.Config{Issuers: []validator.Issuer{config}})
		for _, want := range []string{"Issuers[0].ForbiddenKeys[0] names no key", "set either KeyID or Thumbprint", "43 characters"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v does not say %s", err, want)
			}
		}
	})
}

// TestKeyLimits shows that they reach the keys of their issuer, and no others,
// and that their faults are told with all others.
func TestKeyLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited, other := issuertest.At(t, "https://limited.test"), issuertest.At(t, "https://other.test")
		config := discovering(limited)
		config.KeyLimits = jwkscache.Limits{MaxAge: 2 * time.Minute, Keys: 1}
		v := configured(t, nil, config, discovering(other))
		noError(t, v.Warm(t.Context()))
		start := time.Now()
		for i, want := range []time.Duration{2 * time.Minute, 70 * time.Minute} {
			if got := v.Status().Issuers[i].UsableUntil.Sub(start); got != want {
				t.Errorf("%s: usable for %v, want %v", v.Status().Issuers[i].Issuer, got, want)
			}
		}
		limited.AddKey(testissuer.Key{})
		other.AddKey(testissuer.Key{})
		advance(70 * time.Minute)
		wantReason(t, "with too many keys", reasonFor(t, v, limited, testissuer.Token{}), validator.Unavailable)
		wantReason(t, "the other", reasonFor(t, v, other, testissuer.Token{}), "")
	})
	_, err := validator.New(validator.Config{Issuers: []validator.Issuer{{
		URL: "https://issuer.test", Algorithms: []jose.Algorithm{},
		KeyLimits: jwkscache.Limits{Keys: 1001, Stale: -1},
	}}})
	for _, want := range []string{"Issuers[0].KeyLimits.Keys is 1001", "KeyLimits.Stale is -1ns", "Audiences is empty", "Algorithms is empty"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
}

// TestSnapshotDir covers R-JK-12 and R-OP-06 across a restart: keys serve while
// the issuer is down, and what is forbidden stays so, for configured issuers and
// for resolved issuers.
func TestSnapshotDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	synctest.Test(t, func(t *testing.T) {
		issuer, resolved := issuertest.New(t), issuertest.At(t, "https://resolved.test")
		d := newDirectory()
		d.set(resolved.URL(), answering(discovering(resolved)))
		start := func(dir string) *validator.Validator {
			return configured(t, func(c *validator.Config) { c.SnapshotDir, c.ResolveIssuer = dir, d.find }, discovering(issuer))
		}
		both := []*issuertest.Issuer{issuer, resolved}
		v := start(dir)
		for _, i := range both {
			wantReason(t, "before: "+i.URL(), reasonFor(t, v, i, testissuer.Token{}), "")
		}
		synctest.Wait()
		for _, i := range both {
			i.Down(true)
		}
		v = start(dir)
		for _, i := range both {
			wantReason(t, "restarted: "+i.URL(), reasonFor(t, v, i, testissuer.Token{}), "")
		}
		for _, s := range v.Status().Issuers {
			if s.Origin != "snapshot" || s.SnapshotError != nil {
				t.Errorf("%+v", s)
			}
		}
		for _, i := range both {
			wantReason(t, "without a directory: "+i.URL(), reasonFor(t, start(""), i, testissuer.Token{}), validator.Unavailable)
			noError(t, v.ForbidKey(t.Context(), i.URL(), kidOf(i)))
		}
		v = start(dir)
		for _, i := range both {
			wantReason(t, "forbidden before the restart: "+i.URL(), reasonFor(t, v, i, testissuer.Token{}), validator.UnknownKey)
			i.Down(false)
		}
		advance(time.Minute)
		for _, i := range both {
			wantReason(t, "with keys that are fetched: "+i.URL(), reasonFor(t, v, i, testissuer.Token{}), validator.UnknownKey)
			noError(t, v.PermitKey(t.Context(), i.URL(), kidOf(i)))
		}
		v = start(dir)
		for _, i := range both {
			wantReason(t, "permitted before the restart: "+i.URL(), reasonFor(t, v, i, testissuer.Token{}), "")
		}
	})
}

// TestStatusWithoutCache checks the Status of a Validator without a cache.
func TestStatusWithoutCache(t *testing.T) {
	is := issuertest.New(t)
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.Config()}, Cache: validator.CacheConfig{Off: true}})
	if _, err := v.Validate(t.Context(), is.Bearer(nil)); err != nil {
		t.Fatal(err)
	}
	if s := v.Status(); s.CachedTokens != 0 || s.CachedBytes != 0 || s.EvictedTokens != 0 {
		t.Errorf("%d tokens, %d bytes, %d evicted", s.CachedTokens, s.CachedBytes, s.EvictedTokens)
	}
}
