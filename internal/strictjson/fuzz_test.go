package strictjson

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

var seeds = []string{
	``, `{}`, ` { } `, `{`, `}`, `[]`, `null`, `"a"`, `{"a":1}`, "{\"a\":\n1}", `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`,
	`{"iss":"https://a.example","aud":["x","y"],"exp":1700000000,"iat":1.5e9,"cnf":{"jkt":"z"},"scope":"a b"}`,
	`{"a":[1,[2,{"b":"]}\""}],{},[]],"c":true,"d":false,"e":null,"f":-0.5E-7}`,
	`{"a":{"b":{"c":{"d":{}}}},"b":{"b":1}}`, `{"a":[{"b":1,"b":1}]}`, `{"é":"😀","\ud83d\ude00":"\u00e9"}`,
	"{\"a\":\"\xff\"}", "{\"a\":\"\xed\xa0\x80\"}", `{"a":"\ud800"}`, "\ufeff{}", "{\x00}\x00", `{}x`, `{} {}`, `{"a":01}`,
	`{"a":1,}`, `{"a":[1,]}`, `{"a":.5}`, `{"a":1e400}`, `{"a":"\x"}`, "{\"a\":\"\t\"}", `{"":""}`, `{"a":tru}`, `{"a":- 1}`,
	`{"\"":"\\","\\":"\""}`, `{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB"},{"kty":"EC","kty":"EC"}],"keys":[]}`,
}

// FuzzParseObject compares the two readers with each other and with encoding/json
// (R-JS-15, R-JS-16, R-OP-07):
//   - the library accepts what the scanner accepts, with the same members;
//   - ParseObject and the library agree on every document;
//   - encoding/json reads an accepted document as the same names, strings and
//     arrays, within the limits.
func FuzzParseObject(f *testing.F) {
	for _, seed := range seeds {
		f.Add(seed, 16, 256)
	}
	for _, seed := range []string{nested(16), nested(17), `{` + names(40) + `}`, `{` + names(41) + `}`, `{` + groups() + `}`, `{` + names(257) + `}`} {
		f.Add(seed, 16, 256)
	}
	f.Add(`{"a":{"b":[[]],"c":1}}`, 3, 3)
	f.Add(`{"a":{"b":[[]],"c":1}}`, 4, 2)
	f.Fuzz(func(t *testing.T, doc string, depth, count int) {
		limits := Limits{Depth: 1 + abs(depth)%20, Members: abs(count) % 300}
		byLibrary, libraryErr := parseByLibrary(doc, limits, nil)
		if found, sure := scanObject(doc, limits, nil); sure && (libraryErr != nil || flat(found) != flat(byLibrary)) {
			t.Errorf("the scanner is sure of %s; the library says %s, %v", flat(found), flat(byLibrary), libraryErr)
		}
		members, err := ParseObject(doc, limits, nil)
		if !errors.Is(err, libraryErr) || flat(members) != flat(byLibrary) {
			t.Errorf("%s, %v; by the library %s, %v", flat(members), err, flat(byLibrary), libraryErr)
		}
		if err != nil {
			return
		}
		if !json.Valid([]byte(doc)) {
			t.Fatal("encoding/json finds it invalid")
		}
		if d, n := measure(t, doc); d > limits.Depth || n > limits.Members {
			t.Errorf("depth %d and %d members within %+v", d, n, limits)
		}
		var standard map[string]json.RawMessage
		if err := json.Unmarshal([]byte(doc), &standard); err != nil {
			t.Fatal(err)
		}
		checkNames(t, members, slices.Collect(maps.Keys(standard)))
		for _, m := range members {
			checkValue(t, m.Value, standard[m.Name])
		}
	})
}

func abs(n int) int { return max(n, -(n + 1)) }

// measure counts levels and members with encoding/json.
func measure(t *testing.T, doc string) (deepest, members int) {
	t.Helper()
	var walk func(v any, depth int)
	walk = func(v any, depth int) {
		switch v := v.(type) {
		case map[string]any:
			deepest = max(deepest, depth)
			members += len(v)
			for _, element := range v {
				walk(element, depth+1)
			}
		case []any:
			deepest = max(deepest, depth)
			for _, element := range v {
				walk(element, depth+1)
			}
		}
	}
	dec := json.NewDecoder(strings.NewReader(doc))
	dec.UseNumber() // some numbers are beyond a float64
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	walk(v, 1)
	return deepest, members
}

// checkNames checks that names are unique and are those wanted.
func checkNames(t *testing.T, members []Member, want []string) {
	t.Helper()
	got := make([]string, 0, len(members))
	for _, m := range members {
		got = append(got, m.Name)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("names %q; encoding/json has %q", got, want)
	}
}

// checkValue compares a value, and the values in it, with those of encoding/json.
func checkValue(t *testing.T, v Value, standard json.RawMessage) {
	t.Helper()
	if v.Raw() != string(standard) {
		t.Errorf("value %s; encoding/json has %s", v.Raw(), standard)
	}
	if v.Printable() && strings.ContainsFunc(v.Raw(), unprintable) {
		t.Errorf("%q is called printable", v.Raw())
	}
	text, isText := v.Text()
	if isText != (v.Kind() == String) || isText != (standard[0] == '"') {
		t.Errorf("%s is a string: %v", standard, isText)
	}
	if isText {
		var want string
		if err := json.Unmarshal(standard, &want); err != nil || text != want {
			t.Errorf("%s reads as %q; encoding/json has %q, %v", standard, text, want, err)
		}
	}
	var want []json.RawMessage
	if v.Kind() == Array {
		if err := json.Unmarshal(standard, &want); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for element := range v.Elements() {
		if n == len(want) {
			t.Fatalf("%s has more than %d elements", standard, n)
		}
		checkValue(t, element, want[n])
		n++
	}
	if n != len(want) {
		t.Errorf("%s has %d elements, not %d", standard, len(want), n)
	}
}

func unprintable(r rune) bool { return r < ' ' || r > '~' || r == '\\' }

// FuzzParseShallow checks that encoding/json reads an accepted document as the same
// names and values, and that each value that ParseObject accepts has the same text
// there.
func FuzzParseShallow(f *testing.F) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		members, err := ParseShallow(doc)
		if _, strict := ParseObject(doc, Limits{Depth: 9000, Members: 1 << 30}, nil); strict == nil && err != nil {
			t.Errorf("ParseObject accepts it, and ParseShallow says %v", err)
		}
		if err != nil {
			if members != nil {
				t.Errorf("%s, %v", flat(members), err)
			}
			return
		}
		var standard map[string]json.RawMessage
		if err := json.Unmarshal([]byte(doc), &standard); err != nil {
			t.Fatalf("encoding/json: %v", err)
		}
		checkNames(t, members, slices.Collect(maps.Keys(standard)))
		for _, m := range members {
			if m.Value.Raw() != string(standard[m.Name]) {
				t.Errorf("value %s; encoding/json has %s", m.Value.Raw(), standard[m.Name])
			}
			n := 0
			for range m.Value.Elements() {
				n++
			}
			var elements []json.RawMessage
			if m.Value.Kind() == Array {
				if err := json.Unmarshal(standard[m.Name], &elements); err != nil {
					t.Fatal(err)
				}
			}
			if n != len(elements) {
				t.Errorf("%s has %d elements, not %d", m.Value.Raw(), len(elements), n)
			}
		}
	})
}
