package validator_test

import (
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestCacheFreesResolvedIssuers: neither what is kept of a resolved issuer's tokens nor a Token
// that its caller holds keeps the resolved issuer's keys in memory once it is forgotten.
func TestCacheFreesResolvedIssuers(t *testing.T) {
	gone := make(chan struct{})
	d := newDirectory()
	d.set(resolvedA, func() finder { // nothing here refers to the client afterwards
		client := &http.Client{Transport: new(http.Transport)}
		runtime.AddCleanup(client, func(struct{}) { close(gone) }, struct{}{})
		return answering(validator.Issuer{
			URL: resolvedA, Audiences: []string{testAudience}, Keys: resolvedKeys, Grants: allScopes, HTTPClient: client,
		})
	}())
	v := issuertest.Validator(t, validator.Config{ResolveIssuer: d.find})
	token := cached(at(0), t, v, ofResolved(resolvedA))
	d.set(resolvedA, resolvedTo(resolvedA, resolvedKeys, testAudience))
	v.ForgetIssuer(resolvedA)
	if n, _ := validator.CacheSize(v); n != 1 {
		t.Fatalf("%d tokens are kept", n)
	}
	for wait := true; wait; {
		runtime.GC()
		select {
		case <-gone:
			wait = false
		default:
			runtime.Gosched()
		}
	}
	accepts(at(0), t, v, ofResolved(resolvedA)) // by the resolved issuer as it is now
	if err := token.Meets(at(0), validator.Demands{}); !errors.Is(err, validator.Unavailable) {
		t.Errorf("a token that is held, of an issuer that was forgotten: %v", err)
	}
	runtime.KeepAlive(v)
}

// TestCacheTokenAssigned: a caller that assigns another Token to the one it was
// given changes its own, and not what the next caller is told.
func TestCacheTokenAssigned(t *testing.T) {
	v, ctx := issuertest.Validator(t, baseConfig()), at(0)
	a, b := bearer(testKey.token(baseClaims)), bearer(testKey.token(baseClaims.with("sub", `"someone-else"`)))
	other := accepts(ctx, t, v, b)
	subject := cached(ctx, t, v, a).Subject()
	for _, assigned := range []validator.Token{*other, {}} {
		token := cached(ctx, t, v, a)
		*token = assigned
		next := accepts(ctx, t, v, a)
		if next == token || next.Subject() != subject {
			t.Errorf("the next caller is told of %q", next.Subject())
		}
	}
}

// TestHeadersAreNotTrusted: that a header is known from accepted tokens says
// nothing about the next one that has it: not under another issuer with the same
// kid, nor with another signature, nor once the key is forbidden or the
// algorithm is another's.
func TestHeadersAreNotTrusted(t *testing.T) {
	const other = "https://other.example.com"
	ours, theirs := edSigner("same-kid", "ours"), edSigner("same-kid", "theirs")
	config := baseConfig()
	config.Issuers[0].Keys, config.Issuers[0].Grants = keysOf(ours), allScopes
	config.Issuers = append(config.Issuers, validator.Issuer{
		URL: other, Audiences: []string{testAudience}, Keys: keysOf(theirs), Grants: allScopes,
	})
	v, ctx := issuertest.Validator(t, config), at(0)
	ofOther := baseClaims.with("iss", `"`+other+`"`)
	if ours.header().text() != theirs.header().text() {
		t.Fatal("the headers differ")
	}
	fresh := func(claims object, id string) object { return claims.with("jti", `"`+id+`"`) }
	for n, id := range []string{"1", "2", "3"} { // the first makes the header known
		accepts(ctx, t, v, bearer(ours.token(fresh(baseClaims, id))))
		accepts(ctx, t, v, bearer(theirs.token(fresh(ofOther, id))))
		refuses(ctx, t, v, bearer(theirs.token(fresh(baseClaims, id))), validator.BadSignature)
		refuses(ctx, t, v, bearer(ours.token(fresh(ofOther, id))), validator.BadSignature)
		if kept, _ := validator.CacheSize(v); kept != 2*(n+1) {
			t.Errorf("%d tokens are kept", kept)
		}
	}
	if err := v.ForbidKey(ctx, config.Issuers[0].URL, jwkscache.KeyName{KeyID: "same-kid"}); err != nil {
		t.Fatal(err)
	}
	refuses(ctx, t, v, bearer(ours.token(fresh(baseClaims, "4"))), validator.UnknownKey)
	accepts(ctx, t, v, bearer(theirs.token(fresh(ofOther, "4"))))
}

// TestHeadersAreLearntFromTheAccepted: a header is remembered once a token with
// it was accepted, which shows in what is kept of the next one.
func TestHeadersAreLearntFromTheAccepted(t *testing.T) {
	pad := `"` + strings.Repeat("x", 300) + `"`
	keeps := func(t *testing.T, header object, before ...object) int {
		t.Helper()
		v, ctx := issuertest.Validator(t, baseConfig()), at(0)
		for _, claims := range before {
			_, _ = v.Validate(ctx, bearer(testKey.Sign(header.text(), claims.text())))
		}
		_, was := validator.CacheSize(v)
		accepts(ctx, t, v, bearer(testKey.Sign(header.text(), baseClaims.with("jti", `"last"`).text())))
		_, is := validator.CacheSize(v)
		return is - was
	}
	header := testKey.header().with("pad", pad)
	for name, row := range map[string]struct {
		header object
		before []object
		learnt bool
	}{
		"accepted":            {header, []object{baseClaims}, true},
		"expired":             {header, []object{baseClaims.with("exp", "1")}, false},
		"another audience":    {header, []object{baseClaims.with("aud", `"https://b.example.com"`)}, false},
		"no jti":              {header, []object{baseClaims.without("jti")}, false},
		"bound":               {header, []object{baseClaims.with("cnf", `{"jkt":"x"}`)}, false},
		"without kid":         {header.without("kid"), []object{baseClaims}, false},
		"with iss":            {header.with("iss", `"`+testIssuer+`"`), []object{baseClaims}, false},
		"longer than is kept": {header.with("pad2", pad).with("pad3", pad), []object{baseClaims}, false},
	} {
		without := keeps(t, row.header)
		if got := keeps(t, row.header, row.before...); (got < without) != row.learnt || !row.learnt && got != without {
			t.Errorf("%s: %d bytes are kept, of a header that is not known %d", name, got, without)
		}
	}
}

// TestCacheBytesOfEscapes: claims with escapes are a copy, which the estimate
// counts.
func TestCacheBytesOfEscapes(t *testing.T) {
	kept := func(pad string) int {
		v := issuertest.Validator(t, baseConfig())
		accepts(at(0), t, v, bearer(testKey.token(baseClaims.with("pad", `"`+pad+`"`))))
		_, bytes := validator.CacheSize(v)
		return bytes
	}
	plain, escaped := kept(strings.Repeat("p", 2000)), kept(`\u0041`+strings.Repeat("p", 1994))
	if escaped < plain+2000 {
		t.Errorf("%d bytes with escapes, %d without", escaped, plain)
	}
}
