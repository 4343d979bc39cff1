package validator_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestResolvedForbiddenKey covers R-OP-06 for resolved issuers: a forbidden key stays so
// after the resolved issuer had to give way, after its configuration has changed, and if
// a call was under way; a permitted one comes back.
func TestResolvedForbiddenKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		issuers := startIssuers(t, d, 2)
		resolved, other := issuers[0], issuers[1]
		v := resolving(t, d, 1, nil)
		key := jwkscache.KeyName{KeyID: resolved.SigningKey()}
		if err := v.ForbidKey(t.Context(), resolved.URL(), key); err != nil { // not known yet
			t.Fatal(err)
		}
		wantReason(t, "forbidden before it was known", reasonFor(t, v, resolved, testissuer.Token{}), validator.UnknownKey)
		wantReason(t, "the same kid of another issuer", reasonFor(t, v, other, testissuer.Token{}), "")
		wantListed(t, "after that", v, other.URL())
		advance(10 * time.Second)
		wantReason(t, "after giving way", reasonFor(t, v, resolved, testissuer.Token{}), validator.UnknownKey)
		changed := pinned(resolved)
		changed.KeyLimits.Keys = 7
		d.set(resolved.URL(), answering(changed))
		advance(5 * time.Minute)
		wantReason(t, "after a change", reasonFor(t, v, resolved, testissuer.Token{}), validator.UnknownKey)
		v.ForgetIssuer(resolved.URL())
		wantReason(t, "after it was forgotten", reasonFor(t, v, resolved, testissuer.Token{}), validator.UnknownKey)
		advance(5 * time.Minute)
		if err := v.PermitKey(t.Context(), resolved.URL(), key); err != nil {
			t.Fatal(err)
		}
		wantReason(t, "permitted", reasonFor(t, v, resolved, testissuer.Token{}), "")
		v.ForgetIssuer(resolved.URL())
		wantReason(t, "permitted, and asked for again", reasonFor(t, v, resolved, testissuer.Token{}), "")
	})
}

// TestResolvedForbiddenKeyByThumbprint covers R-OP-06: of two names each holds, and
// one that the configuration forbids is not permitted for good.
func TestResolvedForbiddenKeyByThumbprint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		resolved := startIssuers(t, d, 1)[0]
		v := resolving(t, d, 1, nil)
		wantReason(t, "before", reasonFor(t, v, resolved, testissuer.Token{}), "")
		id := jwkscache.KeyName{KeyID: resolved.SigningKey()}
		thumbprint := jwkscache.KeyName{Thumbprint: v.Status().Issuers[0].Keys[0].Thumbprint()}
		for _, name := range []jwkscache.KeyName{id, thumbprint} {
			if err := v.ForbidKey(t.Context(), resolved.URL(), name); err != nil {
				t.Fatal(err)
			}
		}
		if err := v.PermitKey(t.Context(), resolved.URL(), id); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			wantReason(t, "by thumbprint", reasonFor(t, v, resolved, testissuer.Token{}), validator.UnknownKey)
			v.ForgetIssuer(resolved.URL())
		}
		config := pinned(resolved)
		config.ForbiddenKeys = []jwkscache.KeyName{id}
		d.set(resolved.URL(), answering(config))
		for _, name := range []jwkscache.KeyName{id, thumbprint} {
			if err := v.PermitKey(t.Context(), resolved.URL(), name); err != nil {
				t.Fatal(err)
			}
		}
		wantReason(t, "both permitted", reasonFor(t, v, resolved, testissuer.Token{}), "")
		v.ForgetIssuer(resolved.URL())
		wantReason(t, "as the configuration says", reasonFor(t, v, resolved, testissuer.Token{}), validator.UnknownKey)
	})
}

// TestResolvedForbiddenKeyDuringACall covers R-OP-06 for a key that is forbidden,
// or permitted, while the function is asked.
func TestResolvedForbiddenKeyDuringACall(t *testing.T) {
	for name, calls := range map[string]int{"of a newcomer": 1, "of a known issuer": 2} {
		known := calls > 1
		synctest.Test(t, func(t *testing.T) {
			d := newDirectory()
			resolved := startIssuers(t, d, 1)[0]
			v := resolving(t, d, 1, nil)
			key := jwkscache.KeyName{KeyID: resolved.SigningKey()}
			if known {
				wantReason(t, "before", reasonFor(t, v, resolved, testissuer.Token{}), "")
				advance(5 * time.Minute)
			}
			gate := make(chan struct{})
			changed := pinned(resolved)
			changed.KeyLimits.Keys = 7
			d.set(resolved.URL(), held(gate, answering(changed)))
			waiting := inBackground(t, v, resolved)
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			if err := v.ForbidKey(gone, resolved.URL(), key); (err == nil) != known {
				t.Errorf("%s: %v", name, err)
			}
			close(gate)
			wantReason(t, name, <-waiting, validator.UnknownKey)
			wantReason(t, name+", later", reasonFor(t, v, resolved, testissuer.Token{}), validator.UnknownKey)
			wantCount(t, "calls", d.total(), calls)
		})
	}
}

// TestResolvedForbiddenKeyWhileResolveIssuerFails covers R-OP-06: a key can be forbidden
// although the function fails for so long that the resolved issuer cannot be judged, and
// is forbidden when that answers again.
func TestResolvedForbiddenKeyWhileResolveIssuerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		resolved := startIssuers(t, d, 1)[0]
		v := resolving(t, d, 0, nil)
		key := jwkscache.KeyName{KeyID: resolved.SigningKey()}
		wantReason(t, "before", reasonFor(t, v, resolved, testissuer.Token{}), "")
		d.set(resolved.URL(), failing(errDirectory))
		advance(2 * time.Hour)
		wantReason(t, "while it fails", reasonFor(t, v, resolved, testissuer.Token{}), validator.Unavailable)
		if err := v.ForbidKey(t.Context(), resolved.URL(), key); err != nil {
			t.Errorf("of an issuer that was known: %v", err)
		}
		d.set(resolved.URL(), answering(pinned(resolved)))
		advance(5 * time.Second)
		wantReason(t, "when it answers again", reasonFor(t, v, resolved, testissuer.Token{}), validator.UnknownKey)
	})
}

// TestForbidKeyRefused shows what cannot be forbidden, and that it changes
// nothing.
func TestForbidKeyRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		resolved := startIssuers(t, d, 1)[0]
		static := issuertest.At(t, "https://static.test")
		v := resolving(t, d, 0, nil, pinned(static))
		for name, amend := range map[string]func(context.Context, string, jwkscache.KeyName) error{"ForbidKey": v.ForbidKey, "PermitKey": v.PermitKey} {
			for _, bad := range []jwkscache.KeyName{
				{}, {KeyID: "a", Thumbprint: strings.Repeat("A", 43)}, {Thumbprint: "short"}, {KeyID: strings.Repeat("a", 257)},
			} {
				for _, url := range []string{resolved.URL(), static.URL()} {
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
					t.Errorf("%s for %q, without issuers: %v", name, url, err)
				}
			}
			advance(time.Minute)
			d.asked = make(map[string]int)
		}
		wantReason(t, "after all", reasonFor(t, v, resolved, testissuer.Token{}), "")
		wantReason(t, "after all", reasonFor(t, v, static, testissuer.Token{}), "")
	})
}

func amendOf(v *validator.Validator, name string) func(context.Context, string, jwkscache.KeyName) error {
	if name == "ForbidKey" {
		return v.ForbidKey
	}
	return v.PermitKey
}
