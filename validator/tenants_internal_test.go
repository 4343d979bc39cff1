package validator

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// noKeys makes tenants whose keys are none, and a function that knows all of
// them but those below nobody.test.
func noKeys(maxTenants int) *tenants {
	find := func(_ context.Context, url string) (Issuer, error) {
		if len(url) > len(nobody) && url[:len(nobody)] == nobody {
			return Issuer{}, ErrUnknownIssuer
		}
		return Issuer{URL: url, Audiences: []string{"a"}, Keys: jwkscache.Static([]byte(`{"keys":[]}`)), Grants: []string{AllScopes}}, nil
	}
	return newTenants(&Config{Tenants: find, MaxTenants: maxTenants}, commonParts{sole: true})
}

const nobody = "https://nobody.test/"

// TestTenantsMemory shows that what made-up issuers leave behind is bounded, and
// that nothing of calls that have ended is kept.
func TestTenantsMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := noKeys(3)
		for i := range 3 * maxMisses {
			if _, err := ts.issuer(t.Context(), fmt.Sprintf("%s%d", nobody, i)); !errors.Is(err, ErrUnknownIssuer) {
				t.Fatal(err)
			}
			if n := len(ts.missed); n > maxMisses {
				t.Fatalf("%d misses are kept", n)
			}
		}
		for i := range 20 {
			if _, err := ts.issuer(t.Context(), fmt.Sprintf("https://tenant.test/%d", i)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		known := 0
		for range ts.known.Range {
			known++
		}
		underWay := len(ts.lanes[strangers].underWay) + len(ts.lanes[familiar].underWay)
		if known != 3 || ts.size != 3 || len(ts.asked) != 0 || underWay != 0 {
			t.Errorf("%d tenants, counted as %d; %d asked for, %d calls", known, ts.size, len(ts.asked), underWay)
		}
	})
}

// TestTenantsNoRate shows that quick answers are not limited in number: all of
// these come at one instant.
func TestTenantsNoRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts, start := noKeys(3), time.Now()
		for i := range 3000 {
			if _, err := ts.issuer(t.Context(), fmt.Sprintf("%s%d", nobody, i)); !errors.Is(err, ErrUnknownIssuer) {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("that took %v", took)
		}
	})
}

// TestTenantsKeepNoToken shows that what is kept of the asked string is a copy,
// not a piece of the token that it came from: neither in what is known, nor in
// what the function gets, which may keep it.
func TestTenantsKeepNoToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := noKeys(3)
		token := []byte("https://tenant.test/1 and more")
		if _, err := ts.issuer(t.Context(), aliased(token[:21])); err != nil {
			t.Fatal(err)
		}
		copy(token, "https://changed.test/")
		if ts.get("https://tenant.test/1") == nil {
			t.Error("the tenant's URL has changed with the token")
		}
		for _, found := range ts.known.Range {
			if is := found.(*tenant); is.url != "https://tenant.test/1" || is.answer.Load().config.URL != is.url {
				t.Errorf("known as %q and %q", is.url, is.answer.Load().config.URL)
			}
		}
	})
}

// TestTenantsLetInDespiteFlood shows that made-up issuers, however many, do not
// keep a tenant that had to give way from being let in again with its first
// accepted token.
func TestTenantsLetInDespiteFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := noKeys(1)
		for i := range 5 {
			is, err := ts.issuer(t.Context(), fmt.Sprintf("https://tenant.test/%d", i))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ts.issuer(t.Context(), fmt.Sprintf("https://other.test/%d", i)); err != nil {
				t.Fatal(err)
			}
			for j := range 2 * maxMisses {
				_, _ = ts.issuer(t.Context(), fmt.Sprintf("%s%d.%d", nobody, i, j))
			}
			if !ts.prove(is) || ts.get(is.url) == nil {
				t.Errorf("tenant %d is not let in again", i)
			}
			<-time.After(tenantMissed)
		}
	})
}

// TestTenantsGaveWayDespiteFlood shows that made-up issuers do not make the
// validator forget who gave way a short time ago: naming it again would fetch its
// keys again.
func TestTenantsGaveWayDespiteFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := noKeys(1)
		for _, url := range []string{"https://tenant.test/1", "https://tenant.test/2"} {
			if _, err := ts.issuer(t.Context(), url); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 2 * maxMisses {
			_, _ = ts.issuer(t.Context(), fmt.Sprintf("%s%d", nobody, i))
		}
		if _, err := ts.issuer(t.Context(), "https://tenant.test/1"); !errors.Is(err, errGaveWay) {
			t.Errorf("%v, want %v", err, errGaveWay)
		}
		<-time.After(tenantMissed)
		if _, err := ts.issuer(t.Context(), "https://tenant.test/1"); err != nil {
			t.Error(err)
		}
	})
}

// TestTenantsDisplacedMemory shows that the tenants that gave way are forgotten
// in the end, and are then not let in again.
func TestTenantsDisplacedMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := noKeys(1)
		first, err := ts.issuer(t.Context(), "https://tenant.test/first")
		if err != nil {
			t.Fatal(err)
		}
		for i := range maxDisplaced + 10 {
			if _, err := ts.issuer(t.Context(), fmt.Sprintf("https://tenant.test/%d", i)); err != nil {
				t.Fatal(err)
			}
			if n := len(ts.displaced); n > maxDisplaced {
				t.Fatalf("%d are remembered", n)
			}
		}
		if ts.prove(first) {
			t.Error("let in although it may have been withdrawn since")
		}
	})
}

// aliased is a string that changes with b, as no string should.
func aliased(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// TestIssuerClone: what is kept of an answer does not change with what the
// function may go on using, or it would count as the same configuration.
func TestIssuerClone(t *testing.T) {
	config := func() Issuer {
		return Issuer{
			Audiences: []string{"a"}, Algorithms: []jose.Algorithm{jose.ES256}, ForbiddenKeys: []jwkscache.KeyName{{KeyID: "a"}},
			Marker: []ClaimRule{{Name: "a"}}, Claims: []ClaimRule{{Name: "a"}}, Grants: []string{"a"}, MultiFactor: []string{"a"},
			Roles: []string{"a"}, ACRs: []string{"a"},
			Mappings: []Mapping{{Claim: []string{"a"}, To: ToRole, Values: map[string][]string{"a": {"a"}}}}, Tenant: TenantRule{Claim: "a", Owned: []string{"a"}},
		}
	}
	for name, change := range map[string]func(*Issuer){
		"Audiences":           func(c *Issuer) { c.Audiences[0] = "b" },
		"Algorithms":          func(c *Issuer) { c.Algorithms[0] = jose.RS256 },
		"ForbiddenKeys":       func(c *Issuer) { c.ForbiddenKeys[0].KeyID = "b" },
		"Marker":              func(c *Issuer) { c.Marker[0].Name = "b" },
		"Claims":              func(c *Issuer) { c.Claims[0].Name = "b" },
		"Grants":              func(c *Issuer) { c.Grants[0] = "b" },
		"Roles":               func(c *Issuer) { c.Roles[0] = "b" },
		"ACRs":                func(c *Issuer) { c.ACRs[0] = "b" },
		"MultiFactor":         func(c *Issuer) { c.MultiFactor[0] = "b" },
		"Mappings":            func(c *Issuer) { c.Mappings[0].To = ToScope },
		"Mappings' claims":    func(c *Issuer) { c.Mappings[0].Claim[0] = "b" },
		"Mappings' values":    func(c *Issuer) { c.Mappings[0].Values["b"] = nil },
		"Mappings' meanings":  func(c *Issuer) { c.Mappings[0].Values["a"][0] = "b" },
		"Tenant":              func(c *Issuer) { c.Tenant.Owned[0] = "b" },
		"Tenant.Fixed":        func(c *Issuer) { c.Tenant.Fixed = "b" },
		"ClientOnly":          func(c *Issuer) { c.ClientOnly.Name = "b" },
		"no Grants, and none": func(c *Issuer) { c.Grants = []string{} },
	} {
		given, before := config(), config()
		if name == "no Grants, and none" {
			given.Grants, before.Grants = nil, nil
		}
		clone := given.clone()
		if !clone.equal(&given) {
			t.Fatalf("%s: a clone differs", name)
		}
		change(&given)
		if !clone.equal(&before) {
			t.Errorf("%s: the clone has changed", name)
		}
		if clone.equal(&given) {
			t.Errorf("%s: the change is none", name)
		}
	}
}
