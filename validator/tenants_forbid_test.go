package validator_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestTenantForbiddenKey covers R-OP-06 for tenants: a forbidden key stays so
// after the tenant had to give way, after its configuration has changed, and if
// a call was under way; a permitted one comes back.
func TestTenantForbiddenKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		tenants := startTenants(t, d, 2)
		defer closeAll(tenants)
		tenant, other := tenants[0], tenants[1]
		v := tenanted(t, d, 1, nil)
		key := jwkscache.KeyName{KeyID: tenant.SigningKey()}
		if err := v.ForbidKey(t.Context(), tenant.URL(), key); err != nil { // not known yet
			t.Fatal(err)
		}
		wantReason(t, "forbidden before it was known", judged(t, v, tenant, testissuer.Token{}), validator.UnknownKey)
		wantReason(t, "the same kid of another tenant", judged(t, v, other, testissuer.Token{}), "")
		wantListed(t, "after that", v, other.URL())
		advance(10 * time.Second)
		wantReason(t, "after giving way", judged(t, v, tenant, testissuer.Token{}), validator.UnknownKey)
		changed := pinned(tenant)
		changed.KeyLimits.Keys = 7
		d.set(tenant.URL(), answering(changed))
		advance(5 * time.Minute)
		wantReason(t, "after a change", judged(t, v, tenant, testissuer.Token{}), validator.UnknownKey)
		v.ForgetTenant(tenant.URL())
		wantReason(t, "after it was forgotten", judged(t, v, tenant, testissuer.Token{}), validator.UnknownKey)
		advance(5 * time.Minute)
		if err := v.PermitKey(t.Context(), tenant.URL(), key); err != nil {
			t.Fatal(err)
		}
		wantReason(t, "permitted", judged(t, v, tenant, testissuer.Token{}), "")
		v.ForgetTenant(tenant.URL())
		wantReason(t, "permitted, and asked for again", judged(t, v, tenant, testissuer.Token{}), "")
	})
}

// TestTenantForbiddenKeyByThumbprint covers R-OP-06: of two names each holds, and
// one that the configuration forbids is not permitted for good.
func TestTenantForbiddenKeyByThumbprint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		tenant := startTenants(t, d, 1)[0]
		defer tenant.Close()
		v := tenanted(t, d, 1, nil)
		wantReason(t, "before", judged(t, v, tenant, testissuer.Token{}), "")
		id := jwkscache.KeyName{KeyID: tenant.SigningKey()}
		thumbprint := jwkscache.KeyName{Thumbprint: v.Status()[0].Keys[0].Thumbprint()}
		for _, name := range []jwkscache.KeyName{id, thumbprint} {
			if err := v.ForbidKey(t.Context(), tenant.URL(), name); err != nil {
				t.Fatal(err)
			}
		}
		if err := v.PermitKey(t.Context(), tenant.URL(), id); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			wantReason(t, "by thumbprint", judged(t, v, tenant, testissuer.Token{}), validator.UnknownKey)
			v.ForgetTenant(tenant.URL())
		}
		config := pinned(tenant)
		config.ForbiddenKeys = []jwkscache.KeyName{id}
		d.set(tenant.URL(), answering(config))
		for _, name := range []jwkscache.KeyName{id, thumbprint} {
			if err := v.PermitKey(t.Context(), tenant.URL(), name); err != nil {
				t.Fatal(err)
			}
		}
		wantReason(t, "both permitted", judged(t, v, tenant, testissuer.Token{}), "")
		v.ForgetTenant(tenant.URL())
		wantReason(t, "as the configuration says", judged(t, v, tenant, testissuer.Token{}), validator.UnknownKey)
	})
}

// TestTenantForbiddenKeyDuringACall covers R-OP-06 for a key that is forbidden,
// or permitted, while the function is asked.
func TestTenantForbiddenKeyDuringACall(t *testing.T) {
	for name, calls := range map[string]int{"of a newcomer": 1, "of a known tenant": 2} {
		known := calls > 1
		synctest.Test(t, func(t *testing.T) {
			d := newDirectory()
			tenant := startTenants(t, d, 1)[0]
			defer tenant.Close()
			v := tenanted(t, d, 1, nil)
			key := jwkscache.KeyName{KeyID: tenant.SigningKey()}
			if known {
				wantReason(t, "before", judged(t, v, tenant, testissuer.Token{}), "")
				advance(5 * time.Minute)
			}
			gate := make(chan struct{})
			changed := pinned(tenant)
			changed.KeyLimits.Keys = 7
			d.set(tenant.URL(), held(gate, answering(changed)))
			waiting := inBackground(t, v, tenant)
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			if err := v.ForbidKey(gone, tenant.URL(), key); (err == nil) != known {
				t.Errorf("%s: %v", name, err)
			}
			close(gate)
			wantReason(t, name, <-waiting, validator.UnknownKey)
			wantReason(t, name+", later", judged(t, v, tenant, testissuer.Token{}), validator.UnknownKey)
			wantCount(t, "calls", d.total(), calls)
		})
	}
}

// TestTenantForbiddenKeyWhileTenantsFails covers R-OP-06: a key can be forbidden
// although the function fails for so long that the tenant cannot be judged, and
// is forbidden when that answers again.
func TestTenantForbiddenKeyWhileTenantsFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		tenant := startTenants(t, d, 1)[0]
		defer tenant.Close()
		v := tenanted(t, d, 0, nil)
		key := jwkscache.KeyName{KeyID: tenant.SigningKey()}
		wantReason(t, "before", judged(t, v, tenant, testissuer.Token{}), "")
		d.set(tenant.URL(), failing(errDirectory))
		advance(2 * time.Hour)
		wantReason(t, "while it fails", judged(t, v, tenant, testissuer.Token{}), validator.Unavailable)
		if err := v.ForbidKey(t.Context(), tenant.URL(), key); err != nil {
			t.Errorf("of a tenant that was known: %v", err)
		}
		d.set(tenant.URL(), answering(pinned(tenant)))
		advance(5 * time.Second)
		wantReason(t, "when it answers again", judged(t, v, tenant, testissuer.Token{}), validator.UnknownKey)
	})
}

// TestForbidKeyRefused shows what cannot be forbidden, and that it changes
// nothing.
func TestForbidKeyRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		tenant := startTenants(t, d, 1)[0]
		defer tenant.Close()
		static := startIssuer(t, "https://static.test")
		defer static.Close()
		v := tenanted(t, d, 0, nil, pinned(static))
		for name, amend := range map[string]func(context.Context, string, jwkscache.KeyName) error{"ForbidKey": v.ForbidKey, "PermitKey": v.PermitKey} {
			for _, bad := range []jwkscache.KeyName{
				{}, {KeyID: "a", Thumbprint: strings.Repeat("A", 43)}, {Thumbprint: "short"}, {KeyID: strings.Repeat("a", 257)},
			} {
				for _, url := range []string{tenant.URL(), static.URL()} {
					if err := amend(t.Context(), url, bad); err == nil || errors.Is(err, validator.ErrUnknownIssuer) {
						t.Errorf("%s %+v: %v", name, bad, err)
					}
				}
			}
			wantCount(t, "calls for bad names", d.total(), 0)
			for _, url := range []string{"", "https://nobody.test", "no URL"} {
				if err := amend(t.Context(), url, jwkscache.KeyName{KeyID: "a"}); !errors.Is(err, validator.ErrUnknownIssuer) {
					t.Errorf("%s for %q: %v", name, url, err)
				}
				if err := amendOf(trusting(t, nil, static), name)(t.Context(), url, jwkscache.KeyName{KeyID: "a"}); !errors.Is(err, validator.ErrUnknownIssuer) {
					t.Errorf("%s for %q, without tenants: %v", name, url, err)
				}
			}
			advance(time.Minute)
			d.asked = make(map[string]int)
		}
		wantReason(t, "after all", judged(t, v, tenant, testissuer.Token{}), "")
		wantReason(t, "after all", judged(t, v, static, testissuer.Token{}), "")
	})
}

func amendOf(v *validator.Validator, name string) func(context.Context, string, jwkscache.KeyName) error {
	if name == "ForbidKey" {
		return v.ForbidKey
	}
	return v.PermitKey
}
