package jose_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/sallyport-auth/sallyport/jose"
)

type wycheproofFile struct {
	NumberOfTests int `json:"numberOfTests"`
	TestGroups    []struct {
		Comment string          `json:"comment"`
		Public  json.RawMessage `json:"public"` // absent: the group's keys are symmetric
		Tests   []struct {
			ID      int    `json:"tcId"`
			Comment string `json:"comment"`
			JWS     string `json:"jws"`
			Result  string `json:"result"`
		} `json:"tests"`
	} `json:"testGroups"`
}

// deviation is a vector whose label does not apply here: the result that the test
// wants, and the reason.
type deviation struct {
	accepted bool
	reason   string
}

const (
	pinnedPS256   = "labelled valid, but the JWK says alg PS256 and the token PS384: one key has one algorithm (R-JS-06, R-JS-07)"
	unknownES521  = "labelled valid, but the JWK's alg is ES521, which no registry has: the key is ignored (R-JS-06, R-JK-05)"
	lostPadding   = "labelled invalid, but byte for byte the valid vector 357: the padding was lost in the file; HS256 is refused anyway (R-JS-05)"
	questionMark  = "labelled valid, but a segment holds '?', which is not base64url (R-JS-02)"
	emptySegment  = "labelled valid, but the payload segment is empty, and a token has three non-empty segments (R-JS-01)"
	symmetricSets = "labelled by what to do with a symmetric key set; no symmetric key is used whatever stands beside it (R-JS-05, R-JK-07)"
	duplicateKid  = "labelled by whether a set with a duplicate kid is refused; it is narrowed instead (R-JK-15), and HS256 is refused anyway (R-JS-05)"
	rocaKey       = "labelled invalid for the factors of the modulus, which are not looked for (package jose says so)"
)

var deviations = map[string]map[int]deviation{
	"json_web_signature_test": {
		259: {reason: emptySegment},
		264: {reason: emptySegment},
		268: {reason: emptySegment},
		272: {reason: emptySegment},
		320: {reason: emptySegment},
		325: {reason: emptySegment},
		346: {reason: pinnedPS256},
		347: {reason: unknownES521},
		350: {reason: pinnedPS256},
		351: {reason: unknownES521},
		367: {reason: lostPadding},
		370: {reason: lostPadding},
		372: {reason: questionMark},
		373: {reason: questionMark},
	},
	"json_web_key_test": {
		1: {reason: symmetricSets},
		4: {reason: duplicateKid},
		7: {reason: rocaKey, accepted: true},
	},
}

// TestWycheproofJWS covers R-JS-01, R-JS-02, R-JS-04, R-JS-05, R-JS-06, R-JS-08 and
// R-JS-09.
func TestWycheproofJWS(t *testing.T) {
	wycheproof(t, "json_web_signature_test", "JWS", func(public json.RawMessage) []byte { return document(string(public)) })
}

// TestWycheproofJWK covers R-JS-05, R-JS-10, R-JK-05 and R-JK-06.
func TestWycheproofJWK(t *testing.T) {
	wycheproof(t, "json_web_key_test", "JWK", func(public json.RawMessage) []byte { return public })
}

// wycheproof checks every vector of a file. A vector without a public key is checked
// with all public keys of the file and must be refused before any is tried.
func wycheproof(t *testing.T, name, title string, set func(public json.RawMessage) []byte) {
	t.Helper()
	var file wycheproofFile
	readVectors(t, "wycheproof/"+name+".json", &file)
	var applicability struct {
		Rows []struct {
			File string `json:"file"`
			ID   int    `json:"tcId"`
			Use  string `json:"use"`
		} `json:"rows"`
	}
	readVectors(t, "wycheproof/applicability.json", &applicability)
	usable := map[int]bool{}
	for _, row := range applicability.Rows {
		if row.File == name {
			usable[row.ID] = row.Use == "accept" || row.Use == "reject"
		}
	}

	var every []string
	for _, group := range file.TestGroups {
		var jwks struct{ Keys []json.RawMessage }
		if group.Public == nil {
			continue
		}
		if err := json.Unmarshal(set(group.Public), &jwks); err != nil {
			t.Fatal(err)
		}
		for _, key := range jwks.Keys {
			every = append(every, string(key))
		}
	}

	accepted, refused, total := 0, 0, 0
	seen := map[int]bool{}
	for _, group := range file.TestGroups {
		jwks := document(every...)
		if group.Public != nil {
			jwks = set(group.Public)
		}
		keys, err := jose.ParseSet(jwks, all)
		if err != nil {
			t.Errorf("%s: %v", group.Comment, err)
			continue
		}
		for _, test := range group.Tests {
			total++
			seen[test.ID] = true
			_, err := verifyToken(keys, test.JWS)
			want := test.Result == "valid" && group.Public != nil
			not, deviates := deviations[name][test.ID]
			if deviates {
				want = not.accepted
			}
			if verdict := err == nil; verdict != want {
				t.Errorf("%d %s: %v (%s)", test.ID, test.Comment, err, test.Result)
				continue
			}
			if group.Public == nil && !errors.Is(err, jose.ErrMalformed) && !errors.Is(err, jose.ErrAlgorithm) {
				t.Errorf("%d %s: a token of a symmetric key got as far as %v", test.ID, test.Comment, err)
			}
			applies, listed := usable[test.ID]
			switch {
			case !listed:
				t.Errorf("%d %s: not in applicability.json", test.ID, test.Comment)
			case !applies && !deviates:
				t.Errorf("%d %s: not usable as labelled, and no reason is written down", test.ID, test.Comment)
			case deviates && applies && want == (test.Result == "valid"):
				t.Errorf("%d %s: listed as a deviation, and is none", test.ID, test.Comment)
			case deviates:
				t.Logf("%d %s: not applicable: %s", test.ID, test.Comment, not.reason)
			case want:
				accepted++
			default:
				refused++
			}
		}
	}
	for id := range deviations[name] {
		if !seen[id] {
			t.Errorf("%d: listed as a deviation, and not in the file", id)
		}
	}
	if total != file.NumberOfTests || len(seen) != total || len(usable) != total {
		t.Errorf("%d tests, %d ids, %d rows of applicability; the file says %d", total, len(seen), len(usable), file.NumberOfTests)
	}
	t.Logf("vectors: wycheproof %s: %d accepted, %d refused, %d not applicable", title, accepted, refused, len(deviations[name]))
}
