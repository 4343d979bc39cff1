package jose_test

import (
	"crypto"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
)

// TestPinning covers R-JS-03 and R-JS-07: an RSA key without alg is bound to the
// first RSA algorithm of the issuer's list, and to no other.
func TestPinning(t *testing.T) {
	rsaAlgorithms := all[:6]
	tests := []struct {
		name string
		list []jose.Algorithm
		alg  string // of the JWK
		want jose.Algorithm
	}{
		{name: "alone", list: []jose.Algorithm{jose.PS256}, want: jose.PS256},
		{name: "first of two", list: []jose.Algorithm{jose.PS256, jose.RS256}, want: jose.PS256},
		{name: "the other first", list: []jose.Algorithm{jose.RS256, jose.PS256}, want: jose.RS256},
		{name: "behind others", list: []jose.Algorithm{jose.EdDSA, jose.ES256, jose.PS512, jose.RS256}, want: jose.PS512},
		{name: "no RSA algorithm", list: []jose.Algorithm{jose.ES256, jose.EdDSA}},
		{name: "nothing"},
		{name: "zero in the list", list: []jose.Algorithm{0, jose.RS384}, want: jose.RS384},
		{name: "nonsense in the list", list: []jose.Algorithm{jose.EdDSA + 1, 255}},
		{name: "alg decides", list: []jose.Algorithm{jose.RS256, jose.PS256}, alg: "PS256", want: jose.PS256},
		{name: "alg decides beside the list", list: []jose.Algorithm{jose.ES256}, alg: "RS512", want: jose.RS512},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key := public(rsaKey())
			if tt.alg != "" {
				key = key.with("alg", tt.alg)
			}
			set := parseSet(t, tt.list, key.String())
			if tt.want == 0 {
				if len(set.Keys()) != 0 {
					t.Fatalf("bound to %v", set.Keys()[0].Algorithm())
				}
				expect(t, set.Ignored()[0].Reason, jose.ErrUnusableKey, unpinned)
				return
			}
			for _, a := range rsaAlgorithms {
				_, err := verifyToken(set, token(t, a, rsaKey(), `{"alg":"`+a.String()+`"}`, "{}"))
				if a == tt.want {
					expect(t, err, nil, "")
				} else {
					expect(t, err, jose.ErrUnknownKey, "")
				}
			}
		})
	}
}

// TestListedTwice covers R-JS-07: a key that is listed for several algorithms verifies
// one of them, which is the first of the issuer's list.
func TestListedTwice(t *testing.T) {
	key := public(rsaKey())
	of := func(alg string) jwk { return key.with("kid", "k").with("alg", alg) }
	rs, ps, bare := of("RS256"), of("PS256"), key.with("kid", "bare")
	four := []jwk{of("RS512"), rs, of("RS384"), ps}
	tests := []struct {
		name string
		keys []jwk
		list []jose.Algorithm
		want jose.Algorithm
		lost []int // positions of the entries that are not used
	}{
		{"PS256 first in the document", []jwk{ps, rs}, []jose.Algorithm{jose.RS256, jose.PS256}, jose.RS256, []int{0}},
		{"PS256 first in the list", []jwk{rs, ps}, []jose.Algorithm{jose.PS256, jose.RS256}, jose.PS256, []int{0}},
		{"PS256 alone in the list", []jwk{rs, ps}, []jose.Algorithm{jose.PS256}, jose.PS256, []int{0}},
		{"none in the list", []jwk{ps, rs}, []jose.Algorithm{jose.ES256}, jose.PS256, []int{1}},
		{"no list", []jwk{ps, rs}, nil, jose.PS256, []int{1}},
		{"RS256 of four", four, []jose.Algorithm{jose.RS256}, jose.RS256, []int{0, 2, 3}},
		{"RS512 of four", four, []jose.Algorithm{jose.RS512}, jose.RS512, []int{1, 2, 3}},
		{"RS384 of four", four, []jose.Algorithm{jose.RS384, jose.PS384}, jose.RS384, []int{0, 1, 3}},
		{"PS256 of four", four, []jose.Algorithm{jose.PS512, jose.PS256}, jose.PS256, []int{0, 1, 2}},
		{"under several kids", []jwk{ps.with("kid", "p"), rs.with("kid", "r")}, []jose.Algorithm{jose.RS256, jose.PS256}, jose.RS256, []int{0}},
		{"alg, then none", []jwk{ps, bare}, []jose.Algorithm{jose.RS256, jose.PS256}, jose.PS256, nil},
		{"none, then alg", []jwk{bare, ps}, []jose.Algorithm{jose.RS256, jose.PS256}, jose.PS256, nil},
		{"none, and two", []jwk{bare, ps, rs}, []jose.Algorithm{jose.RS256, jose.PS256}, jose.RS256, []int{1}},
		{"twice the same", []jwk{ps, ps.with("kid", "x")}, all, jose.PS256, nil},
		{"one for encryption", []jwk{rs.with("use", "enc"), ps}, []jose.Algorithm{jose.RS256, jose.PS256}, jose.PS256, []int{0}},
		{"one of an algorithm that does not fit", []jwk{of("ES256"), ps}, []jose.Algorithm{jose.ES256, jose.PS256}, jose.PS256, []int{0}},
		{"another key between", []jwk{ps, public(otherRSAKey()).with("alg", "RS256"), rs}, []jose.Algorithm{jose.RS256, jose.PS256}, jose.RS256, []int{0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			texts := make([]string, 0, len(tt.keys))
			for _, k := range tt.keys {
				texts = append(texts, k.String())
			}
			set := parseSet(t, tt.list, texts...)
			var lost []int
			for _, ignored := range set.Ignored() {
				lost = append(lost, ignored.Index)
				if fitting := tt.keys[ignored.Index]["use"] == nil && tt.keys[ignored.Index]["alg"] != "ES256"; fitting {
					expect(t, ignored.Reason, jose.ErrUnusableKey, "one key verifies one algorithm only")
					if !ignored.OtherAlgorithm || !ignored.Expected() || ignored.KeyID == "" {
						t.Errorf("ignored %+v", ignored)
					}
				} else if ignored.OtherAlgorithm {
					t.Errorf("ignored %+v", ignored)
				}
			}
			if !slices.Equal(lost, tt.lost) || len(set.Keys()) != len(tt.keys)-len(tt.lost) {
				t.Fatalf("%d keys, ignored %v, want %v", len(set.Keys()), lost, tt.lost)
			}
			own, _ := jose.ParseKey([]byte(rs.String()), nil)
			for _, key := range set.Keys() {
				for _, a := range all[:6] {
					err := key.Verify(parse(t, token(t, a, rsaKey(), `{"alg":"`+a.String()+`"}`, "{}")))
					if verifies := err == nil; verifies != (a == tt.want && key.Thumbprint() == own.Thumbprint()) {
						t.Errorf("%v verifies %v: %v", key.Algorithm(), a, err)
					}
				}
			}
		})
	}
}

// TestListedTwiceCause checks what an operator is told of a token under another of the
// algorithms that a key is listed for.
func TestListedTwiceCause(t *testing.T) {
	key := public(rsaKey()).with("kid", "k")
	set := parseSet(t, []jose.Algorithm{jose.PS256, jose.RS256}, key.with("alg", "RS256").String(), key.with("alg", "PS256").String())
	_, err := set.Find(parse(t, unsigned(`{"alg":"RS256","kid":"k"}`)).UnverifiedHeader())
	expect(t, err, jose.ErrAlgorithm, "put RS256 before PS256 in Issuer.Algorithms")
	_, err = set.Find(parse(t, unsigned(`{"alg":"RS512","kid":"k"}`)).UnverifiedHeader())
	expect(t, err, jose.ErrAlgorithm, `"PS256", which the key of that kid is for`)
	if strings.Contains(err.Error(), "Issuer.Algorithms") {
		t.Errorf("%v: the key is not listed for RS512", err)
	}
	set = parseSet(t, []jose.Algorithm{jose.RS256, jose.PS256}, key.String(), key.with("kid", "l").with("alg", "PS256").String())
	_, err = set.Find(parse(t, unsigned(`{"alg":"RS256","kid":"k"}`)).UnverifiedHeader())
	expect(t, err, jose.ErrAlgorithm, "")
	if strings.Contains(err.Error(), "Issuer.Algorithms") {
		t.Errorf("%v: the set binds the key, and not the list", err)
	}
}

// TestEmptyKidWithout covers R-OP-06: if the keys with an empty kid are left out, no other
// key is tried for it.
func TestEmptyKidWithout(t *testing.T) {
	set := parseSet(t, all, public(rsaKey()).with("kid", "").String(), public(otherRSAKey()).String())
	set = set.Without(func(key *jose.Key) bool { _, has := key.ID(); return has })
	_, err := set.Find(parse(t, unsigned(`{"alg":"RS256","kid":""}`)).UnverifiedHeader())
	expect(t, err, jose.ErrUnknownKey, "")
	if keys, err := set.Find(parse(t, unsigned(`{"alg":"RS256"}`)).UnverifiedHeader()); err != nil || len(keys) != 1 {
		t.Errorf("no kid: %d keys, %v", len(keys), err)
	}
}

// TestUnknownKeyCause checks what an operator is told of a token that no key is for.
func TestUnknownKeyCause(t *testing.T) {
	ec, ed := public(p256Key()), public(edKey())
	five := make([]string, 0, 5)
	for i := range cap(five) {
		five = append(five, public(testkey.NewPrivate(jose.EdDSA)).with("kid", strconv.Itoa(i)).String())
	}
	for _, tt := range []struct {
		name   string
		keys   []string
		header string
		detail string
	}{
		{"a key that is not used", []string{ec.with("kid", "a").with("use", "enc").String(), ed.with("kid", "b").String()}, `{"alg":"ES256","kid":"a"}`, "the set lists a key of that kid that is not used: use is not sig"},
		{"keys without kid", []string{ec.String(), ed.String()}, `{"alg":"ES256","kid":"a"}`, "the keys of the set have no kid: let the issuer write the kid of its tokens into its keys"},
		{"a key with another kid", []string{ec.with("kid", "b").String(), ed.String()}, `{"alg":"ES256","kid":"a"}`, "let the issuer publish the key before it signs with it"},
		{"no kid, and five keys", five, `{"alg":"EdDSA"}`, "found no kid, and 5 keys for EdDSA, of which not all may be tried"},
		{"no kid, and no key", []string{ec.String()}, `{"alg":"EdDSA"}`, "found no kid, and no key for EdDSA"},
		{"an empty kid", []string{ec.with("use", "enc").String()}, `{"alg":"ES256","kid":""}`, "look at why the keys of the issuer are not used"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseSet(t, all, tt.keys...).Find(parse(t, unsigned(tt.header)).UnverifiedHeader())
			expect(t, err, jose.ErrUnknownKey, tt.detail)
		})
	}
}

// TestExcessWithoutKid covers R-JK-15 for keys without kid: those that are not tried are
// listed.
func TestExcessWithoutKid(t *testing.T) {
	texts := make([]string, 0, 7)
	for range 6 {
		texts = append(texts, public(testkey.NewPrivate(jose.EdDSA)).String())
	}
	set := parseSet(t, all, append(texts, texts[1], public(p256Key()).String())...)
	if n := len(set.Keys()); n != 6 { // four of Ed25519, of which one is there twice, and P-256
		t.Errorf("%d keys are used", n)
	}
	ignored := set.Ignored()
	if len(ignored) != 2 || ignored[0].Index != 4 || ignored[1].Index != 5 {
		t.Fatalf("ignored %+v", ignored)
	}
	expect(t, ignored[0].Reason, jose.ErrUnusableKey, "give each key a kid")
}

// TestKeyIssuers checks that a key whose member issuer names another issuer is not used.
func TestKeyIssuers(t *testing.T) {
	const own, foreign = "https://own.example", "https://foreign.example"
	r := public(rsaKey()).with("kid", "k").with("alg", "RS256")
	one := []string{own}
	for _, tt := range []struct {
		name    string
		issuers []string
		key     jwk
		reason  string // "" if the key is used
	}{
		{"own", one, r.with("issuer", own), ""},
		{"one of two", []string{foreign, own}, r.with("issuer", own), ""},
		{"a template", []string{"https://login.example/{tenantid}/v2.0"}, r.with("issuer", "https://login.example/{tenantid}/v2.0"), ""},
		{"another", one, r.with("issuer", foreign), `its issuer is "https://foreign.example", which is not one of Issuer.KeyIssuers`},
		{"with a slash", one, r.with("issuer", own+"/"), "not one of Issuer.KeyIssuers"},
		{"in upper case", one, r.with("issuer", strings.ToUpper(own)), "not one of Issuer.KeyIssuers"},
		{"empty", one, r.with("issuer", ""), "not one of Issuer.KeyIssuers"},
		{"of an empty list", []string{}, r.with("issuer", own), "not one of Issuer.KeyIssuers"},
		{"a number", one, r.with("issuer", 1), "issuer is a number and must be a string"},
		{"an array", one, r.with("issuer", one), "issuer is an array and must be a string"},
		{"absent", one, r, ""},
		{"absent, of an empty list", []string{}, r, ""},
		{"null", one, r.with("issuer", nil), ""},
		{"another, not looked at", nil, r.with("issuer", foreign), ""},
		{"a number, not looked at", nil, r.with("issuer", 1), ""},
		{"another, for encryption", one, r.with("issuer", foreign).with("use", "enc"), "not one of Issuer.KeyIssuers"},
		{"another, and private", one, r.with("issuer", foreign).with("d", "AA"), private},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set, err := jose.KeyRules{Algorithms: all, Issuers: tt.issuers}.ParseSet(document(tt.key.String()))
			if err != nil {
				t.Fatal(err)
			}
			if tt.reason == "" {
				if len(set.Keys()) != 1 || len(set.Ignored()) != 0 {
					t.Errorf("ignored %+v", set.Ignored())
				}
				return
			}
			if len(set.Keys()) != 0 || len(set.Ignored()) != 1 {
				t.Fatalf("%d keys, ignored %+v", len(set.Keys()), set.Ignored())
			}
			ignored := set.Ignored()[0]
			expect(t, ignored.Reason, jose.ErrUnusableKey, tt.reason)
			if want := strings.Contains(tt.reason, "KeyIssuers"); ignored.OtherIssuer != want || ignored.Expected() != want || ignored.KeyID != "k" {
				t.Errorf("ignored %+v", ignored)
			}
		})
	}
	set, err := jose.KeyRules{Algorithms: all, Issuers: one}.ParseSet(document(
		r.with("issuer", foreign).with("alg", "PS256").String(), r.with("issuer", own).String(), public(otherRSAKey()).with("kid", "k").with("issuer", foreign).String(),
	))
	if err != nil || len(set.Keys()) != 1 || set.Keys()[0].Algorithm() != jose.RS256 {
		t.Fatalf("the same key of both issuers: %v, %+v", err, set)
	}
	_, err = verifyToken(set, token(t, jose.RS256, otherRSAKey(), `{"alg":"RS256","kid":"k"}`, "{}"))
	expect(t, err, jose.ErrSignature, "")
}

// TestFind covers R-JS-17, R-JK-11, R-JK-14 and R-JK-15: which keys are tried for a
// token.
func TestFind(t *testing.T) {
	r, r2, ec, ed := public(rsaKey()), public(otherRSAKey()), public(p256Key()), public(edKey())
	many := func(n int, kid string) []jwk {
		keys := make([]jwk, 0, n)
		for range n {
			keys = append(keys, public(testkey.NewPrivate(jose.EdDSA)).with("kid", kid))
		}
		return keys
	}
	bare := func(keys []jwk) []jwk {
		for i := range keys {
			keys[i] = keys[i].without("kid")
		}
		return keys
	}
	long := strings.Repeat("k", 257)
	tests := []struct {
		name   string
		keys   []jwk
		header string
		want   []int // positions among the usable keys
		err    error
	}{
		{"exact kid", []jwk{ec.with("kid", "a"), ed.with("kid", "b")}, `{"alg":"EdDSA","kid":"b"}`, []int{1}, nil},
		{"kid in another case", []jwk{ec.with("kid", "abc")}, `{"alg":"ES256","kid":"ABC"}`, nil, jose.ErrUnknownKey},
		{"prefix of a kid", []jwk{ec.with("kid", "abc")}, `{"alg":"ES256","kid":"ab"}`, nil, jose.ErrUnknownKey},
		{"kid and more", []jwk{ec.with("kid", "abc")}, `{"alg":"ES256","kid":"abcd"}`, nil, jose.ErrUnknownKey},
		{"trailing space", []jwk{ec.with("kid", "abc")}, `{"alg":"ES256","kid":"abc "}`, nil, jose.ErrUnknownKey},
		{"trailing NUL", []jwk{ec.with("kid", "abc")}, `{"alg":"ES256","kid":"abc\u0000"}`, nil, jose.ErrUnknownKey},
		{"other Unicode form", []jwk{ec.with("kid", "\u00e9")}, `{"alg":"ES256","kid":"e\u0301"}`, nil, jose.ErrUnknownKey},
		{"path", []jwk{ec.with("kid", "a")}, `{"alg":"ES256","kid":"../../../dev/null"}`, nil, jose.ErrUnknownKey},
		{"SQL", []jwk{ec.with("kid", "a")}, `{"alg":"ES256","kid":"' UNION SELECT 'a"}`, nil, jose.ErrUnknownKey},
		{"URL", []jwk{ec.with("kid", "a")}, `{"alg":"ES256","kid":"http://127.0.0.1/a"}`, nil, jose.ErrUnknownKey},
		{"path that is the kid", []jwk{ec.with("kid", "../a?b=c")}, `{"alg":"ES256","kid":"../a?b=c"}`, []int{0}, nil},
		{"escaped", []jwk{ec.with("kid", "é\n")}, `{"alg":"ES256","kid":"\u00e9\u000a"}`, []int{0}, nil},
		{"empty kid", []jwk{ec.with("kid", ""), public(testkey.NewPrivate(jose.ES256))}, `{"alg":"ES256","kid":""}`, []int{0}, nil},
		{"empty kid for keys without", []jwk{ec}, `{"alg":"ES256","kid":""}`, []int{0}, nil},
		{"empty kid for several keys without", []jwk{r, ec, r2}, `{"alg":"RS256","kid":""}`, []int{0, 2}, nil},
		{"empty kid beside keys with kids", []jwk{r.with("kid", "a"), r2}, `{"alg":"RS256","kid":""}`, []int{1}, nil},
		{"empty kid, all keys with kids", []jwk{ec.with("kid", "a")}, `{"alg":"ES256","kid":""}`, nil, jose.ErrUnknownKey},
		{"empty kid, of another algorithm", []jwk{r.with("kid", ""), ec}, `{"alg":"ES256","kid":""}`, nil, jose.ErrAlgorithm},
		{"kid for a key without", []jwk{ec}, `{"alg":"ES256","kid":"a"}`, nil, jose.ErrUnknownKey},
		{"kid of 256 bytes", []jwk{ec.with("kid", long[:256])}, `{"alg":"ES256","kid":"` + long[:256] + `"}`, []int{0}, nil},
		{"kid of 257 bytes", []jwk{ec.with("kid", long[:256])}, `{"alg":"ES256","kid":"` + long + `"}`, nil, jose.ErrUnknownKey},
		{"kid of another type of key", []jwk{ec.with("kid", "a")}, `{"alg":"RS256","kid":"a"}`, nil, jose.ErrAlgorithm},
		{"kid of another algorithm of the key", []jwk{r.with("kid", "a").with("alg", "PS256")}, `{"alg":"RS256","kid":"a"}`, nil, jose.ErrAlgorithm},
		{"kid of a key that is ignored", []jwk{ec.with("kid", "a").with("use", "enc"), ed}, `{"alg":"ES256","kid":"a"}`, nil, jose.ErrUnknownKey},
		{"no alg, with kid", []jwk{ec.with("kid", "a")}, `{"kid":"a"}`, nil, jose.ErrAlgorithm},
		{"no alg, unknown kid", []jwk{ec.with("kid", "a")}, `{"alg":"HS256","kid":"b"}`, nil, jose.ErrAlgorithm},
		{"empty set", nil, `{"alg":"ES256","kid":"a"}`, nil, jose.ErrUnknownKey},

		{"duplicate kid, one algorithm", []jwk{r.with("kid", "a"), r2.with("kid", "a")}, `{"alg":"RS256","kid":"a"}`, []int{0, 1}, nil},
		{"duplicate kid, narrowed by type", []jwk{r.with("kid", "a"), ec.with("kid", "a"), ed.with("kid", "a")}, `{"alg":"ES256","kid":"a"}`, []int{1}, nil},
		{"duplicate kid, narrowed by alg", []jwk{r.with("kid", "a").with("alg", "PS256"), r2.with("kid", "a").with("alg", "RS256")}, `{"alg":"PS256","kid":"a"}`, []int{0}, nil},
		{"duplicate kid, none left", []jwk{r.with("kid", "a"), ec.with("kid", "a")}, `{"alg":"EdDSA","kid":"a"}`, nil, jose.ErrAlgorithm},
		{"other kids are not tried", append(many(1, "b"), ed.with("kid", "a")), `{"alg":"EdDSA","kid":"a"}`, []int{1}, nil},
		{"three", many(3, "a"), `{"alg":"EdDSA","kid":"a"}`, []int{0, 1, 2}, nil},
		{"four", many(4, "a"), `{"alg":"EdDSA","kid":"a"}`, []int{0, 1, 2, 3}, nil},
		{"no more than four", many(6, "a"), `{"alg":"EdDSA","kid":"a"}`, []int{0, 1, 2, 3}, nil},

		{"no kid, one key", []jwk{ec}, `{"alg":"ES256"}`, []int{0}, nil},
		{"no kid, one key with a kid", []jwk{ec.with("kid", "a")}, `{"alg":"ES256"}`, []int{0}, nil},
		{"no kid, one key of the algorithm", []jwk{r, ec, ed}, `{"alg":"ES256"}`, []int{1}, nil},
		{"no kid, one not for encryption", []jwk{ec, public(testkey.NewPrivate(jose.ES256)).with("use", "enc")}, `{"alg":"ES256"}`, []int{0}, nil},
		{"no kid, no key", nil, `{"alg":"ES256"}`, nil, jose.ErrUnknownKey},
		{"no kid, no key of the algorithm", []jwk{r, ed}, `{"alg":"ES256"}`, nil, jose.ErrUnknownKey},
		{"no kid, two keys", []jwk{r, r2}, `{"alg":"RS256"}`, []int{0, 1}, nil},
		{"no kid, the same key twice", []jwk{ec, ec}, `{"alg":"ES256"}`, []int{0}, nil},
		{"no kid, the same key with a kid and without", []jwk{ec.with("kid", "a"), ec}, `{"alg":"ES256"}`, []int{0}, nil},
		{"no kid, the same key under two kids", []jwk{ec.with("kid", "a"), ec.with("kid", "b")}, `{"alg":"ES256"}`, []int{0}, nil},
		{"no kid, two keys with kids", []jwk{r.with("kid", "a"), r2.with("kid", "b")}, `{"alg":"RS256"}`, []int{0, 1}, nil},
		{"no kid, a key with a kid and one without", []jwk{r.with("kid", "a"), r2}, `{"alg":"RS256"}`, []int{0, 1}, nil},
		{"no kid, four keys with kids", append(many(2, "a"), many(2, "b")...), `{"alg":"EdDSA"}`, []int{0, 1, 2, 3}, nil},
		{"no kid, five keys with kids", append(many(2, "a"), many(3, "b")...), `{"alg":"EdDSA"}`, nil, jose.ErrUnknownKey},
		{"no kid, five keys with kids and one without", append(append(many(2, "a"), many(3, "b")...), ed), `{"alg":"EdDSA"}`, []int{5}, nil},
		{"no kid, six keys without", bare(many(6, "")), `{"alg":"EdDSA"}`, []int{0, 1, 2, 3}, nil},
		{"empty kid, six keys without", bare(many(6, "")), `{"alg":"EdDSA","kid":""}`, []int{0, 1, 2, 3}, nil},
		{"no kid, keys with an empty one", many(3, ""), `{"alg":"EdDSA"}`, []int{0, 1, 2}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			texts := make([]string, 0, len(tt.keys))
			for _, k := range tt.keys {
				texts = append(texts, k.String())
			}
			set := parseSet(t, all, texts...)
			found, err := set.Find(parse(t, unsigned(tt.header)).UnverifiedHeader())
			expect(t, err, tt.err, "")
			var positions []int
			for _, key := range found {
				positions = append(positions, slices.Index(set.Keys(), key))
			}
			if !slices.Equal(positions, tt.want) {
				t.Errorf("found %v, want %v", positions, tt.want)
			}
		})
	}
}

// TestMightGain covers R-JK-11 and R-JS-17: it is true only for a kid that a key
// could have and that no key of the set has.
func TestMightGain(t *testing.T) {
	set := parseSet(t, all, public(p256Key()).with("kid", "a").String(), public(edKey()).with("kid", "b").with("use", "enc").String())
	for header, want := range map[string]bool{
		`{"alg":"ES256","kid":"a"}`:                                   false,
		`{"alg":"RS256","kid":"a"}`:                                   false,
		`{"alg":"ES256","kid":"c"}`:                                   true,
		`{"alg":"ES256","kid":"A"}`:                                   true,
		`{"alg":"ES256","kid":""}`:                                    true,
		`{"alg":"EdDSA","kid":"b"}`:                                   true, // ignored, and perhaps no longer
		`{"alg":"ES256"}`:                                             false,
		`{"alg":"RS256"}`:                                             false,
		`{"alg":"ES256","kid":"` + strings.Repeat("k", 256) + `"}`:    true,
		`{"alg":"ES256","kid":"` + strings.Repeat("k", 257) + `"}`:    false,
		`{"alg":"ES256","kid":"` + strings.Repeat("k", 10_000) + `"}`: false,
	} {
		if got := set.MightGain(parse(t, unsigned(header)).UnverifiedHeader()); got != want {
			t.Errorf("MightGain of %.40s is %v", header, got)
		}
	}
}

// TestFindAndVerify covers R-JK-15: the fourth key of a kid verifies, the fifth is
// not tried, and a key of another kid is never tried.
func TestFindAndVerify(t *testing.T) {
	private := make([]crypto.Signer, 6)
	texts := make([]string, 6)
	for i := range private {
		private[i] = testkey.NewPrivate(jose.EdDSA)
		texts[i] = public(private[i]).with("kid", "a").String()
	}
	texts[5] = public(private[5]).with("kid", "b").String()
	set := parseSet(t, all, texts...)
	for i, key := range private {
		candidates, err := verifyToken(set, token(t, jose.EdDSA, key, `{"alg":"EdDSA","kid":"a"}`, "{}"))
		if candidates != 4 {
			t.Errorf("%d candidates", candidates)
		}
		if i < 4 {
			expect(t, err, nil, "")
		} else {
			expect(t, err, jose.ErrSignature, "")
		}
	}
}

// TestSetsAreApart covers R-JK-02: a kid has a meaning only within its set.
func TestSetsAreApart(t *testing.T) {
	a, b := testkey.NewPrivate(jose.EdDSA), testkey.NewPrivate(jose.EdDSA)
	setA := parseSet(t, all, public(a).with("kid", "k").String())
	setB := parseSet(t, all, public(b).with("kid", "k").String())
	signed := token(t, jose.EdDSA, b, `{"alg":"EdDSA","kid":"k"}`, "{}")
	_, err := verifyToken(setA, signed)
	expect(t, err, jose.ErrSignature, "")
	_, err = verifyToken(setB, signed)
	expect(t, err, nil, "")
}

// TestFindAllocations checks that Find allocates nothing with a result, and no more than
// a cause without one.
func TestFindAllocations(t *testing.T) {
	texts := make([]string, 0, 50)
	for i := range 50 {
		texts = append(texts, public(testkey.NewPrivate(jose.EdDSA)).with("kid", strconv.Itoa(i)).String())
	}
	set := parseSet(t, all, append(texts, public(p256Key()).String())...)
	for _, header := range []string{
		`{"alg":"EdDSA","kid":"7"}`, `{"alg":"EdDSA","kid":"x"}`, `{"alg":"ES256","kid":"7"}`, `{"alg":"ES256"}`, `{"alg":"EdDSA"}`,
		`{"alg":"none"}`, `{"alg":"EdDSA","kid":"` + strings.Repeat("k", 5000) + `"}`,
	} {
		h := parse(t, unsigned(header)).UnverifiedHeader()
		limit := float64(causeAllocations)
		if _, err := set.Find(h); err == nil {
			limit = 0
		}
		if n := testing.AllocsPerRun(20, func() { _, _ = set.Find(h) }); n > limit {
			t.Errorf("%v allocations for %.40s", n, header)
		}
	}
}

// BenchmarkParseSet reads sets of as many keys as an issuer may have.
func BenchmarkParseSet(b *testing.B) {
	for _, n := range []int{10, 1000} {
		texts := make([]string, 0, n)
		for i := range n {
			texts = append(texts, rsaOf(2048, 65537, int64(i)).with("kid", strconv.Itoa(i)).String())
		}
		text := document(texts...)
		b.Run(strconv.Itoa(n)+" keys", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if set, err := jose.ParseSet(text, all); err != nil || set.Len() != n {
					b.Fatal(err)
				}
			}
		})
	}
}
