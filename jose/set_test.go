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

// TestBoundTwice covers R-JS-07: key material that is listed twice keeps its first
// algorithm.
func TestBoundTwice(t *testing.T) {
	key := public(rsaKey())
	ps, rs, bare := key.with("alg", "PS256").with("kid", "ps"), key.with("alg", "RS256").with("kid", "rs"), key.with("kid", "bare")
	tests := []struct {
		name         string
		keys         []jwk
		want         jose.Algorithm
		usable, lost int
	}{
		{"PS256 first", []jwk{ps, rs}, jose.PS256, 1, 1},
		{"RS256 first", []jwk{rs, ps}, jose.RS256, 1, 1},
		{"alg, then none", []jwk{ps, bare}, jose.PS256, 1, 1},
		{"none, then alg", []jwk{bare, ps}, jose.RS256, 1, 1},
		{"twice the same", []jwk{ps, ps.with("kid", "x")}, jose.PS256, 2, 0},
		{"an unusable one binds nothing", []jwk{rs.with("use", "enc"), ps}, jose.PS256, 1, 1},
		{"another key between", []jwk{ps, public(otherRSAKey()).with("alg", "RS256"), rs}, jose.PS256, 2, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			texts := make([]string, 0, len(tt.keys))
			for _, k := range tt.keys {
				texts = append(texts, k.String())
			}
			set := parseSet(t, all, texts...)
			if len(set.Keys()) != tt.usable || len(set.Ignored()) != tt.lost {
				t.Fatalf("%d keys, ignored %+v", len(set.Keys()), set.Ignored())
			}
			if tt.lost > 0 && tt.keys[0]["use"] == nil {
				expect(t, set.Ignored()[0].Reason, jose.ErrUnusableKey, "under another algorithm")
			}
			for _, key := range set.Keys() {
				for _, a := range []jose.Algorithm{jose.RS256, jose.PS256} {
					err := key.Verify(parse(t, token(t, a, rsaKey(), `{"alg":"`+a.String()+`"}`, "{}")))
					if verifies := err == nil; verifies != (a == tt.want && key.Thumbprint() == set.Keys()[0].Thumbprint()) {
						t.Errorf("%v verifies %v: %v", key.Algorithm(), a, err)
					}
				}
			}
		})
	}
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
		{"empty kid for keys without", []jwk{ec}, `{"alg":"ES256","kid":""}`, nil, jose.ErrUnknownKey},
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
		{"no kid, two keys", []jwk{r, r2}, `{"alg":"RS256"}`, nil, jose.ErrUnknownKey},
		{"no kid, the same key twice", []jwk{ec, ec}, `{"alg":"ES256"}`, nil, jose.ErrUnknownKey},
		{"no kid, two keys with kids", []jwk{r.with("kid", "a"), r2.with("kid", "b")}, `{"alg":"RS256"}`, nil, jose.ErrUnknownKey},
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
