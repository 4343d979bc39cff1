package jose_test

import (
	"math/big"
	"slices"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
)

const (
	rsaBits     = "limit RSABits"
	rsaExponent = "limit RSAExponent"
	curveCost   = "under ES384 or ES512"
	excess      = "a kid of its own"
)

// rsaOf returns an RSA key with that size and exponent. Keys with different serial
// numbers differ.
func rsaOf(bits int, exponent int64, serial int64) jwk {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	n.Add(n, big.NewInt(2*serial+1))
	return jwk{"kty": "RSA", "alg": "RS256", "n": b64(n.Bytes()), "e": b64(big.NewInt(exponent).Bytes())}
}

// TestCostlyKeys covers R-JS-10: a key under which one signature check costs more
// than four under ES256 is used only if the issuer's limits or its list of
// algorithms ask for it.
func TestCostlyKeys(t *testing.T) {
	ec384, ec521 := public(p384Key()), public(p521Key())
	const largest = 1<<31 - 1
	tests := []struct {
		name   string
		key    jwk
		list   []jose.Algorithm
		limits jose.Limits
		reason string // "" if the key is used
	}{
		{name: "4096 bits", key: rsaOf(4096, 65537, 0)},
		{name: "4097 bits", key: rsaOf(4097, 65537, 0), reason: rsaBits},
		{name: "4097 bits, small exponent", key: rsaOf(4097, 3, 0), reason: rsaBits},
		{name: "8192 bits", key: rsaOf(8192, 65537, 0), reason: rsaBits},
		{name: "8192 bits for PS256", key: rsaOf(8192, 65537, 0).with("alg", "PS256"), reason: rsaBits},
		{name: "8192 bits without alg", key: rsaOf(8192, 65537, 0).without("alg"), list: []jose.Algorithm{jose.RS256}, reason: rsaBits},
		{name: "8192 bits, limit 8191", key: rsaOf(8192, 65537, 0), limits: jose.Limits{RSABits: 8191}, reason: rsaBits},
		{name: "8192 bits, limit 8192", key: rsaOf(8192, 65537, 0), limits: jose.Limits{RSABits: 8192}},
		{name: "8192 bits, limit 8192, another algorithm in the list", key: rsaOf(8192, 65537, 0), list: []jose.Algorithm{jose.PS256}, limits: jose.Limits{RSABits: 8192}},
		{name: "8193 bits, limit 10000", key: rsaOf(8193, 65537, 0), limits: jose.Limits{RSABits: 10_000}, reason: modulus},
		{name: "3072 bits, limit 2048", key: rsaOf(3072, 65537, 0), limits: jose.Limits{RSABits: 2048}, reason: rsaBits},
		{name: "negative limit of bits", key: rsaOf(2048, 65537, 0), limits: jose.Limits{RSABits: -1}, reason: rsaBits},

		{name: "exponent 65539", key: rsaOf(2048, 65539, 0), reason: rsaExponent},
		{name: "exponent 2^31-1", key: rsaOf(2048, largest, 0), reason: rsaExponent},
		{name: "exponent 65539, limit 65539", key: rsaOf(2048, 65539, 0), limits: jose.Limits{RSAExponent: 65539}},
		{name: "exponent 2^31-1, its limit", key: rsaOf(4096, largest, 0), limits: jose.Limits{RSAExponent: largest}},
		{name: "exponent 2^31+1, a larger limit", key: rsaOf(2048, largest+2, 0), limits: jose.Limits{RSAExponent: largest}, reason: exponent},
		{name: "exponent 2^31-1 and 8192 bits, limit of the exponent", key: rsaOf(8192, largest, 0), limits: jose.Limits{RSAExponent: largest}, reason: rsaBits},
		{name: "exponent 2^31-1 and 8192 bits, limit of the bits", key: rsaOf(8192, largest, 0), limits: jose.Limits{RSABits: 8192}, reason: rsaExponent},
		{name: "exponent 2^31-1 and 8192 bits, both limits", key: rsaOf(8192, largest, 0), limits: jose.Limits{RSABits: 8192, RSAExponent: largest}},
		{name: "negative limit of exponents", key: rsaOf(2048, 3, 0), limits: jose.Limits{RSAExponent: -1}, reason: rsaExponent},

		// Below 65537, but with 30 multiplications where that has 17.
		{name: "exponent 65535", key: rsaOf(2048, 65535, 0)},
		{name: "exponent 65535 and 4096 bits", key: rsaOf(4096, 65535, 0), reason: rsaExponent},
		{name: "exponent 65535 and 8192 bits", key: rsaOf(8192, 65535, 0), limits: jose.Limits{RSABits: 8192}, reason: rsaExponent},

		{name: "P-384", key: ec384, list: []jose.Algorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}, reason: curveCost},
		{name: "P-384 with alg", key: ec384.with("alg", "ES384"), list: []jose.Algorithm{jose.RS256, jose.ES512}, reason: curveCost},
		{name: "P-384, in the list", key: ec384, list: []jose.Algorithm{jose.ES256, jose.ES384}},
		{name: "P-384, no list", key: ec384},
		{name: "P-521", key: ec521, list: []jose.Algorithm{jose.ES384}, reason: curveCost},
		{name: "P-521, in the list", key: ec521, list: []jose.Algorithm{jose.ES512}},
		{name: "P-256", key: public(p256Key())},
		{name: "Ed25519", key: public(edKey())},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, err := jose.KeyRules{Algorithms: tt.list, Limits: tt.limits}.ParseSet(document(tt.key.String()))
			if err != nil {
				t.Fatal(err)
			}
			if tt.reason == "" {
				if len(set.Keys()) != 1 {
					t.Fatalf("ignored %+v", set.Ignored())
				}
				return
			}
			if len(set.Keys()) != 0 || len(set.Ignored()) != 1 {
				t.Fatalf("%d keys, ignored %+v", len(set.Keys()), set.Ignored())
			}
			expect(t, set.Ignored()[0].Reason, jose.ErrUnusableKey, tt.reason)
		})
	}
}

// TestCandidateCost covers R-JK-15: the keys of one kid are tried cheapest first, up
// to the cost of four checks under ES256, and the others are listed as ignored.
func TestCandidateCost(t *testing.T) {
	const f4 = 65537
	kid := func(keys ...jwk) []jwk {
		for i := range keys {
			keys[i] = keys[i].with("kid", "a")
		}
		return keys
	}
	p256 := func() jwk { return public(testkey.NewPrivate(jose.ES256)) }
	p521 := func() jwk { return public(testkey.NewPrivate(jose.ES512)) }
	eight := jose.Limits{RSABits: 8192}
	tests := []struct {
		name   string
		keys   []jwk
		limits jose.Limits
		alg    string
		want   []int // positions in the document, in the order of trying
		excess []int
	}{
		{name: "cheapest first", keys: kid(rsaOf(3072, f4, 0), rsaOf(2048, f4, 0)), want: []int{1, 0}},
		{name: "cheapest first by exponent", keys: kid(rsaOf(3072, f4, 0), rsaOf(3072, 3, 1)), want: []int{1, 0}},
		{name: "equal ones in the order of the document", keys: kid(rsaOf(2048, f4, 0), rsaOf(2048, f4, 1)), want: []int{0, 1}},
		{name: "four of 2048 bits", keys: kid(rsaOf(2048, f4, 3), rsaOf(2048, f4, 2), rsaOf(2048, f4, 1), rsaOf(2048, f4, 0)), want: []int{0, 1, 2, 3}},
		{name: "five cheap ones", keys: kid(rsaOf(2048, 3, 4), rsaOf(2048, 3, 3), rsaOf(2048, 3, 2), rsaOf(2048, 3, 1), rsaOf(2048, 3, 0)), want: []int{0, 1, 2, 3}, excess: []int{4}},
		{name: "three of 2560 bits", keys: kid(rsaOf(2560, f4, 0), rsaOf(2560, f4, 1), rsaOf(2560, f4, 2)), want: []int{0, 1}, excess: []int{2}},
		{name: "two of 3072 bits", keys: kid(rsaOf(3072, f4, 0), rsaOf(3072, f4, 1)), want: []int{0}, excess: []int{1}},
		{name: "two of 4096 bits", keys: kid(rsaOf(4096, f4, 0), rsaOf(4096, f4, 1)), want: []int{0}, excess: []int{1}},
		{name: "two of 4096 bits and exponent 3", keys: kid(rsaOf(4096, 3, 0), rsaOf(4096, 3, 1)), want: []int{0, 1}},
		{name: "two of 8192 bits", keys: kid(rsaOf(8192, f4, 0), rsaOf(8192, f4, 1)), limits: eight, want: []int{0}, excess: []int{1}},
		{name: "8192 bits before 2048", keys: kid(rsaOf(8192, f4, 0), rsaOf(2048, f4, 1)), limits: eight, want: []int{1}, excess: []int{0}},
		{name: "8192 bits of a kid of its own", keys: append(kid(rsaOf(8192, f4, 0)), rsaOf(2048, f4, 1)), limits: eight, want: []int{0}},
		{name: "two P-521", keys: kid(p521(), p521()), alg: "ES512", want: []int{0}, excess: []int{1}},
		{name: "four P-256", keys: kid(p256(), p256(), p256(), p256()), alg: "ES256", want: []int{0, 1, 2, 3}},
		{name: "five P-256", keys: kid(p256(), p256(), p256(), p256(), p256()), alg: "ES256", want: []int{0, 1, 2, 3}, excess: []int{4}},
		{name: "other algorithms do not count", keys: kid(p256(), rsaOf(4096, f4, 0), p521()), alg: "ES256", want: []int{0}},
		{name: "the same key again does not count", keys: kid(rsaOf(3072, f4, 0), rsaOf(3072, f4, 0), rsaOf(2048, f4, 1), rsaOf(2048, f4, 1)), want: []int{2, 0}},
		{name: "the same key again, in excess", keys: kid(rsaOf(4096, f4, 0), rsaOf(4096, f4, 1), rsaOf(4096, f4, 1)), want: []int{0}, excess: []int{1, 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			texts := make([]string, 0, len(tt.keys))
			for _, key := range tt.keys {
				texts = append(texts, key.String())
			}
			set, err := jose.KeyRules{Algorithms: all, Limits: tt.limits}.ParseSet(document(texts...))
			if err != nil {
				t.Fatal(err)
			}
			if tt.alg == "" {
				tt.alg = "RS256"
			}
			found, err := set.Find(parse(t, unsigned(`{"alg":"`+tt.alg+`","kid":"a"}`)).UnverifiedHeader())
			expect(t, err, nil, "")
			prints := make([]string, 0, len(texts))
			for _, text := range texts {
				prints = append(prints, parseAlone(t, text, tt.limits).Thumbprint())
			}
			var got, left []int
			for _, key := range found {
				got = append(got, slices.Index(prints, key.Thumbprint()))
			}
			for _, ignored := range set.Ignored() {
				left = append(left, ignored.Index)
				expect(t, ignored.Reason, jose.ErrUnusableKey, excess)
				if ignored.KeyID != "a" || ignored.Private {
					t.Errorf("%+v", ignored)
				}
			}
			if !slices.Equal(got, tt.want) || !slices.Equal(left, tt.excess) || len(set.Keys())+len(left) != len(texts) {
				t.Errorf("%v are tried and %v told, want %v and %v; %d keys", got, left, tt.want, tt.excess, len(set.Keys()))
			}
		})
	}
}

// parseAlone returns the only key of a set with the JWK text.
func parseAlone(t *testing.T, text string, limits jose.Limits) *jose.Key {
	t.Helper()
	set, err := jose.KeyRules{Algorithms: all, Limits: limits}.ParseSet(document(text))
	if err != nil || len(set.Keys()) != 1 {
		t.Fatalf("%v, %+v", err, set.Ignored())
	}
	return set.Keys()[0]
}

// TestIgnoredInOrder checks that Ignored lists keys in excess in the order of the
// document.
func TestIgnoredInOrder(t *testing.T) {
	var texts []string
	for i := range int64(3) {
		texts = append(texts, rsaOf(4096, 65537, i).with("kid", "a").String(), "null")
	}
	var got []int
	for _, ignored := range parseSet(t, all, texts...).Ignored() {
		got = append(got, ignored.Index)
	}
	if !slices.Equal(got, []int{1, 2, 3, 4, 5}) {
		t.Errorf("ignored %v", got)
	}
}

// TestExcessTakesOver checks that a key in excess is tried once another key of its
// kid is gone, and that it always counts among the keys for a token without kid.
func TestExcessTakesOver(t *testing.T) {
	first, second := rsaOf(4096, 65537, 0).with("kid", "a"), rsaOf(4096, 65537, 1).with("kid", "a")
	set := parseSet(t, all, first.String(), second.String())
	withKid, without := parse(t, unsigned(`{"alg":"RS256","kid":"a"}`)).UnverifiedHeader(), parse(t, unsigned(`{"alg":"RS256"}`)).UnverifiedHeader()
	_, err := set.Find(without)
	expect(t, err, jose.ErrUnknownKey, "")

	tried := set.Keys()[0]
	rest := set.Without(func(key *jose.Key) bool { return key == tried })
	found, err := rest.Find(withKid)
	expect(t, err, nil, "")
	if len(found) != 1 || found[0] == tried || len(rest.Ignored()) != 0 || len(rest.Keys()) != 1 {
		t.Errorf("%d found, ignored %+v", len(found), rest.Ignored())
	}
	same := set.Without(func(*jose.Key) bool { return false })
	if len(same.Ignored()) != 1 || len(same.Keys()) != 1 {
		t.Errorf("%d keys, ignored %+v", len(same.Keys()), same.Ignored())
	}
}
