package claims_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
)

const (
	issuer = "https://issuer.test"
	rp     = "https://api.test"
	now    = 1_700_000_000
)

// signer is a key that signs tokens.
type signer struct{ testkey.Key }

func newSigner(label string) signer { return signer{testkey.Of(jose.EdDSA, label).WithID("a")} }

// set returns the JWK Set that publishes the key of s as kid "a".
func (s signer) set(t *testing.T) *jose.Set {
	t.Helper()
	set, err := jose.ParseSet(testkey.Set(s.Key), nil)
	if err != nil || len(set.Keys()) != 1 {
		t.Fatal(set.Ignored(), err)
	}
	return set
}

func accepting(set *jose.Set) claims.JWT {
	return claims.JWT{
		Type:       "logout+jwt",
		Issuer:     issuer,
		Audiences:  []string{"other", rp},
		Algorithms: []jose.Algorithm{jose.ES256, jose.EdDSA},
		Keys:       func(_ context.Context, h jose.Header) ([]*jose.Key, error) { return set.Find(h) },
		Leeway:     claims.Leeway{Expiry: 30 * time.Second, Future: 30 * time.Second},
	}
}

// payload is the JSON text of the base claims with changes, in the order of their
// names. An empty change leaves a claim out.
func payload(changes map[string]string) string {
	all := map[string]string{
		"iss": `"` + issuer + `"`, "aud": `"` + rp + `"`, "iat": fmt.Sprint(now), "exp": fmt.Sprint(now + 60), "jti": `"1"`,
	}
	maps.Copy(all, changes)
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name] != "" {
			parts = append(parts, `"`+name+`":`+all[name])
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

const header = `{"alg":"EdDSA","kid":"a","typ":"logout+jwt"}`

func at(second float64) context.Context {
	return clock.At(context.Background(), time.UnixMilli(int64(second*1000)))
}

func TestVerify(t *testing.T) {
	s := newSigner("s")
	accepted := accepting(s.set(t))
	verified, err := accepted.Verify(at(now), s.Sign(header, payload(nil)))
	if err != nil {
		t.Fatal(err)
	}
	if claims.Lookup(verified.Members, "jti").Raw() != `"1"` || len(verified.Members) != 5 {
		t.Errorf("members %v", verified.Members)
	}
	if id, _ := verified.Key.ID(); id != "a" || !verified.IssuedAt.Equal(time.Unix(now, 0)) || !verified.Expiry.Equal(time.Unix(now+60, 0)) {
		t.Errorf("%+v", verified)
	}
	accepted.NoExpiry = true
	verified, err = accepted.Verify(at(now), s.Sign(header, payload(map[string]string{"exp": ""})))
	if err != nil || !verified.Expiry.IsZero() {
		t.Errorf("without exp: %+v, %v", verified, err)
	}
}

// TestHeaders covers R-JS-03, R-JS-14 and R-AT-02: the algorithm is from the
// list, the type is the expected one, and the header names no key.
func TestHeaders(t *testing.T) {
	s := newSigner("s")
	accepted := accepting(s.set(t))
	for text, want := range map[string]error{
		`{"alg":"EdDSA","kid":"a","typ":"logout+jwt"}`:                     nil,
		`{"alg":"Ed25519","kid":"a","typ":"Logout+JWT"}`:                   nil,
		`{"alg":"EdDSA","typ":"application/logout+jwt"}`:                   nil,
		`{"alg":"EdDSA","typ":"Application/logout+jwt"}`:                   nil,
		`{"alg":"EdDSA","typ":"logout+jwt","iss":"https://issuer.test"}`:   nil,
		`{"alg":"EdDSA","typ":"logout+jwt","iss":"https:\/\/issuer.test"}`: claims.ErrReplicated,
		`{"alg":"EdDSA","typ":"logout+jwt","aud":"x"}`:                     claims.ErrReplicated,
		`{"alg":"EdDSA","typ":"logout+jwt","sub":"x"}`:                     claims.ErrReplicated,
		`{"alg":"EdDSA","kid":"a"}`:                                        claims.ErrTokenType,
		`{"alg":"EdDSA","kid":"a","typ":1}`:                                claims.ErrTokenType,
		`{"alg":"EdDSA","kid":"a","typ":""}`:                               claims.ErrTokenType,
		`{"alg":"EdDSA","kid":"a","typ":"at+jwt"}`:                         claims.ErrTokenType,
		`{"alg":"EdDSA","kid":"a","typ":"logins+jwt"}`:                     claims.ErrTokenType, // as long as the right one
		`{"alg":"EdDSA","kid":"a","typ":"JWT"}`:                            claims.ErrTokenType,
		`{"alg":"EdDSA","kid":"a","typ":"application/"}`:                   claims.ErrTokenType,
		`{"alg":"EdDSA","kid":"a","typ":"text/logout+jwt"}`:                claims.ErrTokenType,
		`{"alg":"EdDSA","kid":"a","typ":"logout+jwt;x=1"}`:                 claims.ErrTokenType,
		`{"alg":"EdDSA","kid":"b","typ":"logout+jwt"}`:                     jose.ErrUnknownKey,
		`{"alg":"RS256","kid":"a","typ":"logout+jwt"}`:                     jose.ErrAlgorithm,
		`{"alg":"ES256","kid":"a","typ":"logout+jwt"}`:                     jose.ErrAlgorithm,
		`{"alg":"none","kid":"a","typ":"logout+jwt"}`:                      jose.ErrAlgorithm,
		`{"kid":"a","typ":"logout+jwt"}`:                                   jose.ErrAlgorithm,
		`{"alg":"EdDSA","typ":"logout+jwt","crit":["x"],"x":1}`:            jose.ErrMalformed,
	} {
		_, err := accepted.Verify(at(now), s.Sign(text, payload(nil)))
		check(t, text, 0, err, 0, want, same)
	}
	other := newSigner("o")
	_, err := accepted.Verify(at(now), other.Sign(header, payload(nil)))
	check(t, "another key", 0, err, 0, jose.ErrSignature, same)
	token := s.Sign(header, payload(nil))
	_, err = accepted.Verify(at(now), token+".x")
	check(t, "four segments", 0, err, 0, jose.ErrMalformed, same)
}

// TestCausesOfHeaders checks what the errors of headers say was found.
func TestCausesOfHeaders(t *testing.T) {
	s := newSigner("s")
	accepted := accepting(s.set(t))
	for text, want := range map[string]string{
		`{"alg":"EdDSA","kid":"a"}`:                                                   "no typ",
		`{"alg":"EdDSA","kid":"a","typ":1}`:                                           "typ, which is no string",
		`{"alg":"EdDSA","kid":"a","typ":"JWT"}`:                                       `typ "JWT"`,
		`{"alg":"EdDSA","typ":"logout+jwt","iss":"https://other.test"}`:               "another iss in the header",
		`{"alg":"EdDSA","typ":"logout+jwt","iss":"https://issuer.test","aud":"x"}`:    "another aud in the header",
		`{"alg":"EdDSA","typ":"logout+jwt","iss":"https://issuer.test","sub":"user"}`: "sub in the header and not in the claims",
	} {
		_, err := accepted.Verify(at(now), s.Sign(text, payload(nil)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// TestTypeOutsideASCII checks that a letter outside ASCII that folds to an ASCII
// letter does not match it.
func TestTypeOutsideASCII(t *testing.T) {
	for text, want := range map[string]bool{"secevent+jwt": true, "SECEVENT+JWT": true, "ſecevent+jwt": false, "application/secevent+jwt": true, "application/ſecevent+jwt": false} {
		u, err := jose.ParseCompact(testkey.Encode([]byte(`{"typ":"`+text+`"}`)) + ".e30.AAAA")
		if err != nil {
			t.Fatal(err)
		}
		if claims.IsType(u.UnverifiedHeader(), "secevent+jwt") != want {
			t.Errorf("%s: not %v", text, want)
		}
		if claims.IsType(u.UnverifiedHeader(), "") {
			t.Errorf("%s: is no type", text)
		}
	}
	if claims.IsType(jose.Header{}, "") {
		t.Error("an absent typ matches an empty name")
	}
}

// TestClaims covers R-CL-01, R-CL-03, R-CL-06, R-CL-07, R-CL-08 and R-CL-09 for
// tokens that are not access tokens.
func TestClaims(t *testing.T) {
	s := newSigner("s")
	accepted := accepting(s.set(t))
	type changes map[string]string
	for _, row := range []struct {
		what    string
		at      float64
		changes changes
		want    error
	}{
		{"one of several audiences", now, changes{"aud": `["x","` + rp + `"]`}, nil},
		{"not yet expired, within the leeway", now + 89.999, nil, nil},
		{"expired", now + 90, nil, claims.ErrExpired},
		{"iat ahead, within the leeway", now - 30, nil, nil},
		{"iat ahead", now - 30.001, nil, claims.ErrNotYetValid},
		{"nbf is now and the leeway", now, changes{"nbf": fmt.Sprint(now + 30)}, nil},
		{"nbf ahead", now, changes{"nbf": fmt.Sprint(now + 31)}, claims.ErrNotYetValid},
		{"no iss", now, changes{"iss": ""}, claims.ErrIssuer},
		{"iss with a slash", now, changes{"iss": `"` + issuer + `/"`}, claims.ErrIssuer},
		{"iss in an array", now, changes{"iss": `["` + issuer + `"]`}, claims.ErrIssuer},
		{"empty iss", now, changes{"iss": `""`}, claims.ErrIssuer},
		{"no aud", now, changes{"aud": ""}, claims.ErrAudience},
		{"no audience", now, changes{"aud": "[]"}, claims.ErrAudience},
		{"another audience", now, changes{"aud": `"` + rp + `/"`}, claims.ErrAudience},
		{"aud is null", now, changes{"aud": "null"}, claims.ErrAudienceType},
		{"aud with a number", now, changes{"aud": `["` + rp + `",1]`}, claims.ErrType},
		{"no iat", now, changes{"iat": ""}, claims.ErrNoIssuedAt},
		{"iat as text", now, changes{"iat": `"1"`}, claims.ErrDate},
		{"no exp", now, changes{"exp": ""}, claims.ErrNoExpiry},
		{"exp is null", now, changes{"exp": "null"}, claims.ErrDate},
		{"nbf as text", now, changes{"nbf": `"1"`}, claims.ErrDate},
		{"a member twice", now, changes{"x": `{"a":1,"a":2}`}, claims.ErrPayload},
	} {
		_, err := accepted.Verify(at(row.at), s.Sign(header, payload(row.changes)))
		check(t, row.what, 0, err, 0, row.want, same)
	}
	_, err := accepted.Verify(at(now), s.Sign(header, `[]`))
	check(t, "an array", 0, err, 0, claims.ErrPayload, same)

	accepted.NoExpiry = true
	_, err = accepted.Verify(at(now+90), s.Sign(header, payload(nil)))
	check(t, "expired, where exp is optional", 0, err, 0, claims.ErrExpired, same)

	accepted.MaxAge = time.Minute // iat is now
	_, err = accepted.Verify(at(now+60), s.Sign(header, payload(map[string]string{"exp": ""})))
	check(t, "as old as is allowed", 0, err, 0, nil, same)
	_, err = accepted.Verify(at(now+60.001), s.Sign(header, payload(map[string]string{"exp": ""})))
	check(t, "older than is allowed", 0, err, 0, claims.ErrTooOld, same)
}

// TestZeroJWT checks that a JWT without one of its fields accepts nothing, and
// that a zero Leeway allows no difference.
func TestZeroJWT(t *testing.T) {
	s := newSigner("s")
	set := s.set(t)
	failed := errors.New("no keys now")
	for what, row := range map[string]struct {
		change func(*claims.JWT)
		want   error
	}{
		"complete":      {func(*claims.JWT) {}, nil},
		"no type":       {func(j *claims.JWT) { j.Type = "" }, claims.ErrTokenType},
		"no issuer":     {func(j *claims.JWT) { j.Issuer = "" }, claims.ErrIssuer},
		"no audiences":  {func(j *claims.JWT) { j.Audiences = nil }, claims.ErrAudience},
		"no algorithms": {func(j *claims.JWT) { j.Algorithms = nil }, jose.ErrAlgorithm},
		"no algorithm":  {func(j *claims.JWT) { j.Algorithms = []jose.Algorithm{0} }, jose.ErrAlgorithm},
		"no keys":       {func(j *claims.JWT) { j.Keys = nil }, jose.ErrUnknownKey},
		"keys without any": {func(j *claims.JWT) {
			j.Keys = func(context.Context, jose.Header) ([]*jose.Key, error) { return nil, nil }
		}, jose.ErrUnknownKey},
		"keys that fail": {func(j *claims.JWT) {
			j.Keys = func(context.Context, jose.Header) ([]*jose.Key, error) { return set.Keys(), failed }
		}, failed},
		"everything": {func(j *claims.JWT) { *j = claims.JWT{} }, jose.ErrAlgorithm},
	} {
		accepted := accepting(set)
		row.change(&accepted)
		_, err := accepted.Verify(at(now), s.Sign(header, payload(nil)))
		check(t, what, 0, err, 0, row.want, same)
	}
	accepted := accepting(set)
	accepted.Issuer = ""
	for _, iss := range []string{"", `""`, "1"} {
		_, err := accepted.Verify(at(now), s.Sign(header, payload(map[string]string{"iss": iss})))
		check(t, "no issuer, and iss "+iss, 0, err, 0, claims.ErrIssuer, same)
	}
	accepted = accepting(set)
	accepted.Algorithms = []jose.Algorithm{0}
	_, err := accepted.Verify(at(now), s.Sign(`{"alg":"none","kid":"a","typ":"logout+jwt"}`, payload(nil)))
	check(t, "no algorithm, and alg none", 0, err, 0, jose.ErrAlgorithm, same)
	accepted = accepting(set)
	accepted.Limits = strictjson.Limits{Depth: 2, Members: 10}
	_, err = accepted.Verify(at(now), s.Sign(header, payload(map[string]string{"x": "[[[]]]"})))
	check(t, "beyond the limits", 0, err, 0, claims.ErrPayload, same)
	if text := err.Error(); !strings.Contains(text, "wanted at most 2") {
		t.Error(text)
	}
	accepted = accepting(set)
	accepted.Leeway = claims.Leeway{}
	_, err = accepted.Verify(at(now+60), s.Sign(header, payload(nil)))
	check(t, "at exp", 0, err, 0, claims.ErrExpired, same)
	_, err = accepted.Verify(at(now-1), s.Sign(header, payload(nil)))
	check(t, "before iat", 0, err, 0, claims.ErrNotYetValid, same)
}

// TestErrorsShowNamedFields checks that an error quotes iss and aud, which are no
// secrets, and nothing else that the sender chose (R-OB-07).
func TestErrorsShowNamedFields(t *testing.T) {
	s := newSigner("s")
	accepted := accepting(s.set(t))
	const mark = "MARK"
	for _, row := range []struct {
		changes map[string]string
		found   string
	}{
		{map[string]string{"iss": `"MARK"`}, `found iss "MARK"; wanted "https://issuer.test"`},
		{map[string]string{"aud": `"MARK"`}, `found aud "MARK"; wanted one of "other", "https://api.test"`},
		{map[string]string{"iat": `"MARK"`}, "found iat, which is a string; wanted a number"},
		{map[string]string{"exp": `"MARK"`}, "found exp, which is a string; wanted a number"},
		{map[string]string{"aud": `["MARK",""]`}, "found aud with an empty string as element 1"},
		{map[string]string{"x": `{"MARK":1,"MARK":2}`}, "found a member name that occurs twice, at byte "},
	} {
		_, err := accepted.Verify(at(now), s.Sign(header, payload(row.changes)))
		if err == nil || !strings.HasPrefix(err.Error(), "claims: ") || !strings.Contains(err.Error(), row.found) {
			t.Errorf("%v: %v, want %s", row.changes, err, row.found)
		}
		if err != nil && strings.Contains(err.Error(), mark) != strings.Contains(row.found, mark) {
			t.Errorf("%v: %v shows another field", row.changes, err)
		}
	}
}

// TestVerifyWith checks that the key which verifies is returned, after others.
func TestVerifyWith(t *testing.T) {
	s := newSigner("s")
	mine, other := s.set(t).Keys()[0], newSigner("o").set(t).Keys()[0]
	u, err := jose.ParseCompact(s.Sign(header, "{}"))
	if err != nil {
		t.Fatal(err)
	}
	if key, err := claims.VerifyWith([]*jose.Key{other, mine}, &u); key != mine || err != nil {
		t.Errorf("%v, %v", key, err)
	}
	if key, err := claims.VerifyWith([]*jose.Key{other}, &u); key != nil || !errors.Is(err, jose.ErrSignature) {
		t.Errorf("%v, %v", key, err)
	}
	if key, err := claims.VerifyWith(nil, &u); key != nil || !errors.Is(err, jose.ErrUnknownKey) {
		t.Errorf("%v, %v", key, err)
	}
}

// TestReadersAllocateNothing checks the readers that access tokens are read by.
func TestReadersAllocateNothing(t *testing.T) {
	text, list, date := value(t, `"abc"`), value(t, `["a","b"]`), value(t, `1700000000`)
	members, _ := strictjson.ParseObject(`{"a":1}`, strictjson.TokenLimits, nil)
	if n := testing.AllocsPerRun(100, func() {
		_, _ = claims.Text(text)
		_, _ = claims.Text(list)
		_ = claims.CheckAudience(list)
		_, _ = claims.Date(date)
		_, _ = claims.Scope(text)
		_ = claims.CheckReplicated(jose.Header{}, members)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
