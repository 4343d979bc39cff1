package jose_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sallyport-auth/sallyport/jose"
)

type rfcFile struct {
	Count int `json:"count"`
	Cases []struct {
		Name       string            `json:"name"`
		Layer      string            `json:"layer"`
		Algorithm  any               `json:"alg"`
		Keys       []json.RawMessage `json:"keys"`
		Token      string            `json:"token"`
		Expect     string            `json:"expect"`
		Thumbprint string            `json:"thumbprint_sha256"`
	} `json:"cases"`
}

// rfcCounts holds the number of cases of the layers jws and thumbprint in each file.
var rfcCounts = map[string]struct{ accepted, refused, thumbprints int }{
	"rfc7515.json": {3, 6, 0},
	"rfc7520.json": {3, 6, 0},
	"rfc7638.json": {0, 0, 4},
	"rfc7797.json": {0, 2, 0},
	"rfc8037.json": {1, 2, 0},
}

// rfcDeviations holds the cases whose expectation does not apply here, with the
// reason.
var rfcDeviations = map[string]string{
	"A.1 HS256":                          "HMAC, which is refused (R-JS-05)",
	"4.4 HMAC-SHA2 Integrity Protection": "HMAC, which is refused (R-JS-05)",
}

// rfcLayers are the layers above this package. Other packages test their cases.
var rfcLayers = []string{
	"claims", "cnf-x5t", "dpop-proof", "http", "introspection-json", "introspection-jwt", "statuslist", "statuslist-jwt",
}

// TestRFCVectors covers R-JS-01, R-JS-05, R-JS-07, R-JS-08, R-JS-11, R-JS-13 and
// R-JK-16 with the examples of RFC 7515, 7520, 7638, 7797 and 8037. It reads the
// other files to check that they have no cases of these layers.
func TestRFCVectors(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(vectorsDir(t), "rfc", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, path := range names {
		name := filepath.Base(path)
		want, listed := rfcCounts[name]
		if listed {
			read++
		}
		t.Run(name, func(t *testing.T) {
			var file rfcFile
			readVectors(t, "rfc/"+name, &file)
			if len(file.Cases) != file.Count {
				t.Errorf("%d cases, the file says %d", len(file.Cases), file.Count)
			}
			accepted, refused, thumbprints, not, above := 0, 0, 0, 0, 0
			for _, test := range file.Cases {
				if slices.Contains(rfcLayers, test.Layer) {
					above++
					continue
				}
				keys := make([]string, 0, len(test.Keys))
				for _, key := range test.Keys {
					keys = append(keys, string(key))
				}
				// The issuer of an example prefers the algorithm that it uses.
				algorithms := all
				if text, ok := test.Algorithm.(string); ok {
					if a, err := jose.ParseAlgorithm(text); err == nil {
						algorithms = append([]jose.Algorithm{a}, all...)
					}
				}
				set := parseSet(t, algorithms, keys...)
				switch test.Layer {
				case "thumbprint":
					if len(set.Keys()) != 1 || set.Keys()[0].Thumbprint() != test.Thumbprint {
						t.Errorf("%s: thumbprint of %+v", test.Name, set)
					}
					thumbprints++
				case "jws":
					_, err := verifyToken(set, test.Token)
					reason, deviates := rfcDeviations[test.Name]
					switch expected := test.Expect == "accept"; {
					case test.Expect != "accept" && test.Expect != "reject":
						t.Errorf("%s: expects %q", test.Name, test.Expect)
					case deviates && expected == (err == nil):
						t.Errorf("%s: listed as a deviation, and is none", test.Name)
					case deviates:
						t.Logf("%s: not applicable: %s", test.Name, reason)
						not++
					case expected != (err == nil):
						t.Errorf("%s: %v, want %s", test.Name, err, test.Expect)
					case expected:
						accepted++
					default:
						refused++
					}
				default:
					t.Errorf("%s: layer %q is not known", test.Name, test.Layer)
				}
			}
			if accepted != want.accepted || refused != want.refused || thumbprints != want.thumbprints {
				t.Errorf("counted %d, %d, %d, want %+v", accepted, refused, thumbprints, want)
			}
			if listed {
				t.Logf("vectors: %s, JWS and thumbprints: %d accepted, %d refused, %d thumbprints, %d not applicable", name, accepted, refused, thumbprints, not)
			} else {
				t.Logf("%s: %d cases, all of layers above this package", name, above)
			}
		})
	}
	if read != len(rfcCounts) {
		t.Errorf("%d of %d files with cases for this package are there", read, len(rfcCounts))
	}
}

const rfc7638Modulus = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"

// TestThumbprint covers R-JK-16: the thumbprints in RFC 7638 §3.1 and RFC 8037 A.3
// are over the required members alone, in whatever order the JWK has them.
func TestThumbprint(t *testing.T) {
	const x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
	tests := []struct{ name, key, want string }{
		{"RFC 7638 §3.1", `{"kty":"RSA","n":"` + rfc7638Modulus + `","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		{"other order, other members", `{ "use":"sig", "e":"AQAB", "x":"x", "n":"` + rfc7638Modulus + `", "kty":"RSA" }`, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		{"RFC 8037 A.3", `{"kty":"OKP","crv":"Ed25519","x":"` + x + `"}`, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
		{"with members beside", `{"x":"` + x + `","y":"y","alg":"EdDSA","kid":"k","crv":"Ed25519","kty":"OKP"}`, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
		{"escaped", `{"kty":"O\u004bP","crv":"Ed25519","x":"\u0031` + x[1:] + `"}`, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
		{"P-256", `{"crv":"P-256","kty":"EC","x":"q3zAwR_kUwtdLEwtB2oVfucXiLHmEhu9bJUFYjJxYGs","y":"8h0D-ONoU-iZqrq28TyUxEULxuGwJZGMJYTMbeMshvI"}`, "ZrBaai73Hi8Fg4MElvDGzIne2NsbI75RHubOViHYE5Q"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := parseSet(t, all, tt.key)
			if len(set.Keys()) != 1 {
				t.Fatalf("ignored %+v", set.Ignored())
			}
			if got := set.Keys()[0].Thumbprint(); got != tt.want {
				t.Errorf("thumbprint %s, want %s", got, tt.want)
			}
		})
	}
}

func TestKeyAccessors(t *testing.T) {
	set := parseSet(t, all, public(p256Key()).with("kid", "a").String(), public(edKey()).with("kid", "").String(), public(rsaKey()).String())
	for i, want := range []struct {
		id        string
		hasID     bool
		algorithm jose.Algorithm
	}{{"a", true, jose.ES256}, {"", true, jose.EdDSA}, {"", false, jose.RS256}} {
		key := set.Keys()[i]
		if id, has := key.ID(); id != want.id || has != want.hasID || key.Algorithm() != want.algorithm {
			t.Errorf("key %d: %q, %v, %v, want %+v", i, id, has, key.Algorithm(), want)
		}
	}
}
