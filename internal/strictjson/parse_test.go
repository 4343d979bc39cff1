package strictjson

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// flat returns members as text for comparison.
func flat(members []Member) string {
	var b strings.Builder
	for _, m := range members {
		fmt.Fprintf(&b, "%q=%s;", m.Name, m.Value.Raw())
	}
	return b.String()
}

// both parses doc with both readers and fails the test if they differ.
func both(t *testing.T, doc string, limits Limits) ([]Member, error) {
	t.Helper()
	members, err := ParseObject(doc, limits, nil)
	byLibrary, libraryErr := parseByLibrary(doc, limits, nil)
	if !errors.Is(err, libraryErr) || (err == nil && flat(members) != flat(byLibrary)) {
		t.Errorf("%q: %s, %v; by the library %s, %v", doc, flat(members), err, flat(byLibrary), libraryErr)
	}
	return members, err
}

// scanned reports whether the scanner accepts doc.
func scanned(doc string) bool {
	_, sure := scanObject(doc, HeaderLimits, nil)
	return sure
}

// TestParseObjectRefuses covers R-JS-15: documents that are not one JSON object with
// unique names. Each is also tried with an escape before it: in a name, which the
// scanner leaves to the library, and in a value.
func TestParseObjectRefuses(t *testing.T) {
	tests := []struct {
		name, doc string
		want      error
	}{
		{"nothing", ``, ErrSyntax},
		{"white space", " \t\r\n", ErrSyntax},
		{"array", `[1]`, ErrObject},
		{"empty array", `[]`, ErrObject},
		{"string", `"a"`, ErrObject},
		{"number", `1`, ErrObject},
		{"null", `null`, ErrObject},
		{"true", `true`, ErrObject},
		{"spaced array", ` [{}] `, ErrObject},
		{"array and more", `[1] x`, ErrObject},
		{"array 17 deep", strings.Repeat("[", 17) + strings.Repeat("]", 17), ErrObject},
		{"array of 257 members", `[{` + names(257) + `}]`, ErrObject},
		{"bad scalar", `nul`, ErrSyntax},
		{"bad array", `[1`, ErrSyntax},
		{"open", `{`, ErrSyntax},
		{"only closed", `}`, ErrSyntax},
		{"closed as an array", `{]`, ErrSyntax},
		{"open after a name", `{"a"`, ErrSyntax},
		{"open after a colon", `{"a":`, ErrSyntax},
		{"open after a value", `{"a":1`, ErrSyntax},
		{"open after a comma", `{"a":1,`, ErrSyntax},
		{"open string", `{"a":"`, ErrSyntax},
		{"open name", `{"a`, ErrSyntax},
		{"open array", `{"a":[`, ErrSyntax},
		{"open array after a value", `{"a":[1`, ErrSyntax},
		{"open array after a comma", `{"a":[1,`, ErrSyntax},
		{"open inner object", `{"a":{"b":1}`, ErrSyntax},
		{"trailing comma", `{"a":1,}`, ErrSyntax},
		{"leading comma", `{,"a":1}`, ErrSyntax},
		{"comma alone", `{,}`, ErrSyntax},
		{"two commas", `{"a":1,,"b":2}`, ErrSyntax},
		{"no comma", `{"a":1 "b":2}`, ErrSyntax},
		{"no colon", `{"a" 1}`, ErrSyntax},
		{"two colons", `{"a"::1}`, ErrSyntax},
		{"no value", `{"a":}`, ErrSyntax},
		{"name alone", `{"a"}`, ErrSyntax},
		{"no name", `{:1}`, ErrSyntax},
		{"no name after another", `{"a":1,:1}`, ErrSyntax},
		{"name without its first quote", `{a":1}`, ErrSyntax},
		{"name without its last quote", `{"a:1}`, ErrSyntax},
		{"name a number", `{1:1}`, ErrSyntax},
		{"name without quotes", `{a:1}`, ErrSyntax},
		{"name null", `{null:1}`, ErrSyntax},
		{"single quotes", `{'a':1}`, ErrSyntax},
		{"array with a trailing comma", `{"a":[1,]}`, ErrSyntax},
		{"array with a leading comma", `{"a":[,1]}`, ErrSyntax},
		{"array without a comma", `{"a":[1 2]}`, ErrSyntax},
		{"array with a colon", `{"a":[1:2]}`, ErrSyntax},
		{"array closed as an object", `{"a":[1}}`, ErrSyntax},
		{"array closed by its object", `{"a":[1}`, ErrSyntax},
		{"empty array closed by its object", `{"a":[}`, ErrSyntax},
		{"object closed by its object", `{"a":{}`, ErrSyntax},
		{"comment", `{"a":1/* */}`, ErrSyntax},
		{"line comment", "{\"a\":1//\n}", ErrSyntax},
		{"literal in upper case", `{"a":TRUE}`, ErrSyntax},
		{"literal cut off", `{"a":tru}`, ErrSyntax},
		{"literal too long", `{"a":truest}`, ErrSyntax},
		{"literal misspelt", `{"a":trux}`, ErrSyntax},
		{"false misspelt", `{"a":falsy}`, ErrSyntax},
		{"null misspelt", `{"a":nill}`, ErrSyntax},
		{"false cut off", `{"a":fals}`, ErrSyntax},
		{"null cut off", `{"a":nul}`, ErrSyntax},
		{"undefined", `{"a":undefined}`, ErrSyntax},
		{"NaN", `{"a":NaN}`, ErrSyntax},
		{"Infinity", `{"a":-Infinity}`, ErrSyntax},
		{"leading zero", `{"a":01}`, ErrSyntax},
		{"negative leading zero", `{"a":-01}`, ErrSyntax},
		{"plus", `{"a":+1}`, ErrSyntax},
		{"minus alone", `{"a":-}`, ErrSyntax},
		{"point in front", `{"a":.5}`, ErrSyntax},
		{"point behind", `{"a":5.}`, ErrSyntax},
		{"exponent cut off", `{"a":1e}`, ErrSyntax},
		{"signed exponent cut off", `{"a":1e+}`, ErrSyntax},
		{"exponent with two signs", `{"a":1e+-1}`, ErrSyntax},
		{"exponent with a point", `{"a":1e1.5}`, ErrSyntax},
		{"hexadecimal", `{"a":0x10}`, ErrSyntax},
		{"underscore", `{"a":1_000}`, ErrSyntax},
		{"bad escape", `{"a":"\x41"}`, ErrSyntax},
		{"short escape", `{"a":"\u00e"}`, ErrSyntax},
		{"short escape at the end", `{"a":"\u00`, ErrSyntax},
		{"escape in capitals", `{"a":"\U0041"}`, ErrSyntax},
		{"escape of an apostrophe", `{"a":"\'"}`, ErrSyntax},
		{"escape of a digit", `{"a":"\0"}`, ErrSyntax},
		{"escaped quote only", `{"a":"\"}`, ErrSyntax},
		{"escape with a sign", `{"a":"\u+041"}`, ErrSyntax},
		{"escape with a slash", `{"a":"\u004/"}`, ErrSyntax},
		{"escape with a colon", `{"a":"\u004:"}`, ErrSyntax},
		{"escape with an at sign", `{"a":"\u004@"}`, ErrSyntax},
		{"escape with a g", `{"a":"\u004g"}`, ErrSyntax},
		{"escape with a G", `{"a":"\u004G"}`, ErrSyntax},
		{"escape with a backquote", "{\"a\":\"\\u004`\"}", ErrSyntax},
		{"backslash at the end", `{"a":"\`, ErrSyntax},
		{"control character", "{\"a\":\"\x01\"}", ErrSyntax},
		{"LF in a string", "{\"a\":\"\n\"}", ErrSyntax},
		{"tab in a name", "{\"\t\":1}", ErrSyntax},
		{"NUL", "{\"a\":\"\x00\"}", ErrSyntax},
		{"NUL between", "{\x00\"a\":1}", ErrSyntax},
		{"form feed between", "{\f\"a\":1}", ErrSyntax},
		{"no-break space between", "{\u00a0\"a\":1}", ErrSyntax},

		{"duplicate", `{"a":1,"a":1}`, ErrSyntax},
		{"duplicate, apart", `{"a":1,"b":2,"a":3}`, ErrSyntax},
		{"duplicate of the empty name", `{"":1,"":2}`, ErrSyntax},
		{"duplicate, escaped", `{"a":1,"\u0061":1}`, ErrSyntax},
		{"duplicate, both escaped", `{"\u0061":1,"\u0061":1}`, ErrSyntax},
		{"duplicate, escaped in two ways", `{"\/":1,"\u002F":1}`, ErrSyntax},
		{"duplicate, escaped beyond the plane", `{"😀":1,"\ud83d\ude00":1}`, ErrSyntax},
		{"duplicate below", `{"a":{"b":1,"b":2}}`, ErrSyntax},
		{"duplicate below, escaped", `{"a":{"b":1,"\u0062":2}}`, ErrSyntax},
		{"duplicate in an array", `{"a":[1,{"b":1,"b":2}]}`, ErrSyntax},
		{"duplicate far below", `{"a":[[{"b":{"c":[{"d":1,"d":1}]}}]]}`, ErrSyntax},
		{"duplicate after an object below", `{"a":{"x":1},"b":{"a":1},"a":2}`, ErrSyntax},
		{"duplicate of 50 names", `{` + names(50) + `,"n7":1}`, ErrSyntax},

		{"invalid UTF-8 in a value", "{\"a\":\"\xff\"}", ErrSyntax},
		{"invalid UTF-8 in a name", "{\"\xff\":1}", ErrSyntax},
		{"invalid UTF-8 below", "{\"a\":[{\"b\":\"\xc3\"}]}", ErrSyntax},
		{"overlong", "{\"a\":\"\xc0\x80\"}", ErrSyntax},
		{"overlong slash", "{\"a\":\"\xe0\x80\xaf\"}", ErrSyntax},
		{"CESU-8", "{\"a\":\"\xed\xa0\xbd\xed\xb8\x80\"}", ErrSyntax},
		{"surrogate in UTF-8", "{\"a\":\"\xed\xa0\x80\"}", ErrSyntax},
		{"beyond Unicode", "{\"a\":\"\xf4\x90\x80\x80\"}", ErrSyntax},
		{"cut off in a letter", "{\"a\":\"\xe2\x82\"}", ErrSyntax},
		{"Latin-1", "{\"a\":\"caf\xe9\"}", ErrSyntax},
		{"lone high surrogate", `{"a":"\ud83d"}`, ErrSyntax},
		{"lone low surrogate", `{"a":"\ude00"}`, ErrSyntax},
		{"surrogates exchanged", `{"a":"\ude00\ud83d"}`, ErrSyntax},
		{"two high surrogates", `{"a":"\ud83d\ud83d"}`, ErrSyntax},
		{"high surrogate and a letter", `{"a":"\ud83dx"}`, ErrSyntax},
		{"high surrogate and LF", `{"a":"\ud83d\n"}`, ErrSyntax},
		{"high surrogate and a short escape", `{"a":"\ud83d\ude0"}`, ErrSyntax},
		{"high surrogate and an escaped letter", `{"a":"\ud83d\u0061"}`, ErrSyntax},
		{"high surrogate and a digit for the u", `{"a":"\ud83d\0de00"}`, ErrSyntax},
		{"high surrogate and a slash for the backslash", `{"a":"\ud83d/ude00"}`, ErrSyntax},
		{"lone surrogate in a name", `{"\ud83d":1}`, ErrSyntax},

		{"BOM", "\ufeff{}", ErrSyntax},
		{"BOM behind", "{}\ufeff", ErrSyntax},
		{"UTF-16 BE", "\x00{\x00}", ErrSyntax},
		{"UTF-16 LE", "{\x00}\x00", ErrSyntax},
		{"UTF-16 with BOM", "\xfe\xff\x00{\x00}", ErrSyntax},
		{"UTF-32", "\x00\x00\x00{\x00\x00\x00}", ErrSyntax},

		{"letter behind", `{}x`, ErrSyntax},
		{"brace behind", `{}}`, ErrSyntax},
		{"comma behind", `{},`, ErrSyntax},
		{"object behind", `{} {}`, ErrSyntax},
		{"object on the next line", "{}\n{}", ErrSyntax},
		{"NUL behind", "{}\x00", ErrSyntax},
		{"record separator before", "\x1e{}", ErrSyntax},

		{"17 deep", nested(17), ErrLimits},
		{"17 deep in arrays", `{"a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, ErrLimits},
		{"17 deep, mixed", `{"a":` + strings.Repeat(`[{"a":`, 8) + "1" + strings.Repeat("}]", 8) + `}`, ErrLimits},
		{"100 000 deep", strings.Repeat(`{"a":`, 100_000), ErrLimits},
		{"100 000 deep in arrays", `{"a":` + strings.Repeat(`[`, 100_000), ErrLimits},
		{"257 members", `{` + names(257) + `}`, ErrLimits},
		{"257 members below", `{"a":{` + names(256) + `}}`, ErrLimits},
		{"257 members in small objects", `{"a":[` + strings.TrimSuffix(strings.Repeat(`{"b":1},`, 256), ",") + `]}`, ErrLimits},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			members, err := both(t, tt.doc, HeaderLimits)
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if len(members) != 0 {
				t.Errorf("members %s beside the error", flat(members))
			}
			if scanned(tt.doc) {
				t.Error("the scanner is sure of it")
			}
			if rest, ok := strings.CutPrefix(tt.doc, `{"a":`); ok {
				if _, err := both(t, `{"\u007a":0,"a":`+rest, HeaderLimits); err == nil {
					t.Error("accepted behind an escape in a name")
				}
				if _, err := both(t, `{"z":"\u007a","a":`+rest, HeaderLimits); err == nil {
					t.Error("accepted behind an escape in a value")
				}
			}
		})
	}
}

// names returns n members n0 … of an object.
func names(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"n%d":%d,`, i, i)
	}
	return strings.TrimSuffix(b.String(), ",")
}

// groups returns 16 members g0 … whose values are objects of 15 members each, 256 in
// all.
func groups() string {
	var b strings.Builder
	for i := range 16 {
		fmt.Fprintf(&b, `"g%d":{%s},`, i, names(15))
	}
	return strings.TrimSuffix(b.String(), ",")
}

// nested returns an object with that many levels.
func nested(depth int) string {
	return strings.Repeat(`{"a":`, depth-1) + "{}" + strings.Repeat("}", depth-1)
}

// TestParseObjectLimits covers R-OP-07: both readers accept documents up to the
// limits and no more.
func TestParseObjectLimits(t *testing.T) {
	tests := []struct {
		name, doc string
		scanner   bool // whether the scanner takes it
		want      error
	}{
		{"16 deep", nested(16), true, nil},
		{"16 deep, escaped", strings.Replace(nested(16), "a", `\u0061`, 1), false, nil},
		{"17 deep", nested(17), false, ErrDepth},
		{"16 deep in arrays", `{"a":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `}`, true, nil},
		{"17 deep in arrays", `{"a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, false, ErrDepth},
		{"16 deep, twice", `{"a":` + nested(15) + `,"b":` + nested(15) + `}`, true, nil},
		{"40 names open", `{` + names(40) + `}`, true, nil},
		{"41 names open", `{` + names(41) + `}`, false, nil},
		{"40 names open in two objects", `{` + names(19) + `,"x":{` + names(20) + `}}`, true, nil},
		{"41 names open in two objects", `{` + names(19) + `,"x":{` + names(21) + `}}`, false, nil},
		{"256 members", `{` + names(256) + `}`, false, nil},
		{"257 members", `{` + names(257) + `}`, false, ErrMembers},
		{"256 members, never 41 open", `{` + groups() + `}`, true, nil},
		{"257 members, never 41 open", `{` + groups() + `,"x":1}`, false, ErrMembers},
		{"256 members, escaped", `{` + strings.Replace(groups(), "g0", `\u0067`, 1) + `}`, false, nil},
		{"257 members, escaped", `{` + strings.Replace(groups(), "g0", `\u0067`, 1) + `,"x":1}`, false, ErrMembers},
		{"many elements are not members", `{"a":[` + strings.Repeat("1,", 10_000) + `1]}`, true, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := both(t, tt.doc, HeaderLimits); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if got := scanned(tt.doc); got != tt.scanner {
				t.Errorf("scanner sure: %v, want %v", got, tt.scanner)
			}
		})
	}
	if _, err := both(t, `{"a":{}}`, Limits{Depth: 1, Members: 9}); !errors.Is(err, ErrDepth) || !errors.Is(err, ErrLimits) {
		t.Errorf("depth 2 of 1: %v", err)
	}
	if _, err := both(t, `{}`, Limits{Depth: 1}); err != nil {
		t.Errorf("no member of none: %v", err)
	}
	if _, err := both(t, `{"a":1}`, Limits{Depth: 1}); !errors.Is(err, ErrMembers) || !errors.Is(err, ErrLimits) {
		t.Errorf("one member of none: %v", err)
	}
	for doc, want := range map[string]error{
		nested(64):                 nil,
		nested(65):                 ErrDepth,
		`{` + names(4096) + `}`:    nil,
		`{` + names(4097) + `}`:    ErrMembers,
		`{"x":` + nested(64) + `}`: ErrDepth,
	} {
		if _, err := both(t, doc, TokenLimits); !errors.Is(err, want) {
			t.Errorf("%.40s…: %v, want %v", doc, err, want)
		}
		if _, err := both(t, doc, Checked); err != nil {
			t.Errorf("%.40s… without limits: %v", doc, err)
		}
	}
}

// TestParseObject covers R-JS-15 and R-JS-16: the members of accepted documents, and
// the reader that accepts them.
func TestParseObject(t *testing.T) {
	tests := []struct {
		doc     string
		want    string
		scanner bool
	}{
		{`{}`, ``, true},
		{`  { }  `, ``, true},
		{"\t{\r\n}\n", ``, false},
		{`{"a":1}`, `"a"=1;`, true},
		{` { "a" : 1 , "b" : [ 1 , 2 ] , "c" : { "d" : null } } `, `"a"=1;"b"=[ 1 , 2 ];"c"={ "d" : null };`, true},
		{"{\n\t\"a\":\t1,\r\n\"b\":[\n1\n]}", "\"a\"=1;\"b\"=[\n1\n];", false},
		{`{"exp":1,"EXP":2,"Exp":3}`, `"exp"=1;"EXP"=2;"Exp"=3;`, true},
		{`{"b":1,"a":2}`, `"b"=1;"a"=2;`, true},
		{`{"":"","a":""}`, `""="";"a"="";`, true},
		{`{"\u0061":"\u0062"}`, `"a"="\u0062";`, false},
		{`{"a\"b":"c\"d","e\\":1}`, `"a\"b"="c\"d";"e\\"=1;`, false},
		{`{"é":"ü","ß":"😀"}`, `"é"="ü";"ß"="😀";`, true},
		{`{"ſub":1,"sub":2}`, `"ſub"=1;"sub"=2;`, true},
		{"{\"a\":\"\x7f\u0080\u2028\ufeff\ufffd\U0010ffff\"}", "\"a\"=\"\x7f\u0080\u2028\ufeff\ufffd\U0010ffff\";", true},
		{`{"a":"\ud83d\ude00\u0000\/"}`, `"a"="\ud83d\ude00\u0000\/";`, true},
		{`{"a":"\"\\\/\b\f\n\r\t","b":"\u00AF\uaf09\uDBFF\uDFFF\ud800\udc00"}`, `"a"="\"\\\/\b\f\n\r\t";"b"="\u00AF\uaf09\uDBFF\uDFFF\ud800\udc00";`, true},
		{`{"a":["é\n",{"b":"\\"}]}`, `"a"=["é\n",{"b":"\\"}];`, true},
		{`{"a":{"\u0062":1}}`, `"a"={"\u0062":1};`, false},
		{`{"a":true,"b":false,"c":null}`, `"a"=true;"b"=false;"c"=null;`, true},
		{`{"a":0,"b":-0,"c":-1.5,"d":1e5,"e":1E+5,"f":0.5e-05,"g":10}`, `"a"=0;"b"=-0;"c"=-1.5;"d"=1e5;"e"=1E+5;"f"=0.5e-05;"g"=10;`, true},
		{`{"a":1e400,"b":123456789012345678901234567890}`, `"a"=1e400;"b"=123456789012345678901234567890;`, true},
		{`{"a":[],"b":{},"c":[[],[[]]],"d":[{}]}`, `"a"=[];"b"={};"c"=[[],[[]]];"d"=[{}];`, true},
		{`{"a":{"a":{"a":1}},"b":{"a":[{"a":1},{"a":1}]}}`, `"a"={"a":{"a":1}};"b"={"a":[{"a":1},{"a":1}]};`, true},
		{`{"a":"{\"b\":1}","c":"[]{},:"}`, `"a"="{\"b\":1}";"c"="[]{},:";`, true},
		{`{"a":"[]{},:"}`, `"a"="[]{},:";`, true},
		{`{"1":1}`, `"1"=1;`, true},
	}
	for _, tt := range tests {
		t.Run(tt.doc, func(t *testing.T) {
			members, err := both(t, tt.doc, TokenLimits)
			if err != nil || flat(members) != tt.want {
				t.Errorf("%s, %v, want %s", flat(members), err, tt.want)
			}
			if got := scanned(tt.doc); got != tt.scanner {
				t.Errorf("scanner sure: %v, want %v", got, tt.scanner)
			}
		})
	}
}

// TestParseObjectAppends checks that members are appended to the caller's, and that
// an error leaves those unchanged.
func TestParseObjectAppends(t *testing.T) {
	before := make([]Member, 1, 8)
	before[0] = Member{Name: "kept", Value: Value{raw: "0"}}
	for _, doc := range []string{`{"a":1}`, `{"\u0061":1}`} {
		members, err := ParseObject(doc, TokenLimits, slices.Clone(before))
		if err != nil || flat(members) != `"kept"=0;"a"=1;` {
			t.Errorf("%s: %s, %v", doc, flat(members), err)
		}
	}
	members, err := ParseObject(`{"a":1,"a":2}`, TokenLimits, before)
	if err == nil || flat(members) != `"kept"=0;` {
		t.Errorf("%s, %v", flat(members), err)
	}
}

// TestParseObjectAllocations checks that usual documents, and the strings in them,
// are read without an allocation.
func TestParseObjectAllocations(t *testing.T) {
	const doc = `{"iss":"https://a.example","sub":"é","aud":["x","y"],"exp":1700000000,"cnf":{"jkt":"z"}}`
	members := make([]Member, 0, 8)
	n := testing.AllocsPerRun(20, func() {
		members, _ = ParseObject(doc, TokenLimits, members[:0])
		for _, m := range members {
			_, _ = m.Value.Text()
		}
	})
	if n > 0 || len(members) != 5 {
		t.Errorf("%v allocations for %s", n, flat(members))
	}
}

func TestParseShallow(t *testing.T) {
	deep := strings.Repeat("[", 500) + strings.Repeat("]", 500)
	tests := []struct {
		name, doc string
		want      string
		err       error
	}{
		{"empty", `{}`, ``, nil},
		{"members", "{ \"a\" : 1 ,\n\"b\":[ {} ] }\n", `"a"=1;"b"=[ {} ];`, nil},
		{"duplicate below", `{"a":{"b":1,"b":2}}`, `"a"={"b":1,"b":2};`, nil},
		{"duplicate in an array", `{"a":[{"b":1,"b":2}]}`, `"a"=[{"b":1,"b":2}];`, nil},
		{"invalid UTF-8 below", "{\"a\":[\"\xff\"]}", "\"a\"=[\"\xff\"];", nil},
		{"lone surrogate below", `{"a":"\ud800"}`, `"a"="\ud800";`, nil},
		{"deep", `{"a":` + deep + `}`, `"a"=` + deep + `;`, nil},
		{"many members", `{` + names(300) + `}`, "", nil},
		{"escaped name", `{"\u0061":1}`, `"a"=1;`, nil},
		{"duplicate", `{"a":1,"a":2}`, ``, ErrSyntax},
		{"duplicate, escaped", `{"a":1,"\u0061":2}`, ``, ErrSyntax},
		{"duplicate, apart", `{"a":{},"b":[],"a":1}`, ``, ErrSyntax},
		{"two names that are not UTF-8", "{\"\xff\":1,\"\xfe\":2}", ``, ErrSyntax},
		{"trailing letter", `{"a":1}x`, ``, ErrSyntax},
		{"trailing object", `{"a":1} {}`, ``, ErrSyntax},
		{"trailing NUL", "{}\x00", ``, ErrSyntax},
		{"BOM", "\ufeff{}", ``, ErrSyntax},
		{"nothing", ``, ``, ErrSyntax},
		{"array", `[]`, ``, ErrObject},
		{"array of an object", `[{"a":1}]`, ``, ErrObject},
		{"null", `null`, ``, ErrObject},
		{"string", `"a"`, ``, ErrObject},
		{"number", `1`, ``, ErrObject},
		{"closed only", `}`, ``, ErrSyntax},
		{"open", `{`, ``, ErrSyntax},
		{"open after a name", `{"a"`, ``, ErrSyntax},
		{"open after a colon", `{"a":`, ``, ErrSyntax},
		{"open after a value", `{"a":1`, ``, ErrSyntax},
		{"open below", `{"a":[`, ``, ErrSyntax},
		{"syntax below", `{"a":[1,]}`, ``, ErrSyntax},
		{"no comma", `{"a":1 "b":2}`, ``, ErrSyntax},
		{"trailing comma", `{"a":1,}`, ``, ErrSyntax},
		{"closed as an array", `{"a":1]`, ``, ErrSyntax},
		{"name a number", `{1:1}`, ``, ErrSyntax},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			members, err := ParseShallow(tt.doc)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if tt.name == "many members" {
				if len(members) != 300 {
					t.Errorf("%d members", len(members))
				}
				return
			}
			if got := flat(members); got != tt.want {
				t.Errorf("members %s, want %s", got, tt.want)
			}
		})
	}
}

// TestEveryPosition checks that the scanner, which reads eight bytes at a time,
// misses no byte: a document with one byte replaced is accepted only if the library
// accepts it.
func TestEveryPosition(t *testing.T) {
	const nested, flat = `{"iss":"https://a.example","n":[1,{"b":null}]}`, `{"iss":"example"}`
	for length := range 34 {
		doc := []string{nested, flat}[length%2]
		padded := strings.Replace(doc, "example", strings.Repeat("x", length/2), 1)
		for i := range len(padded) {
			for _, b := range []byte{'\\', 0, 1, '\n', 0x1f, ' ', 0x7f, 0x80, 0xff, '"', '{', '}', '0'} {
				changed := padded[:i] + string([]byte{b}) + padded[i+1:]
				got, err := ParseObject(changed, TokenLimits, nil)
				want, wantErr := parseByLibrary(changed, TokenLimits, nil)
				if !errors.Is(err, wantErr) || len(got) != len(want) && err == nil {
					t.Errorf("%q: %v %v, want %v %v", changed, got, err, want, wantErr)
				}
				for _, m := range got {
					if known := m.Value.Printable(); known != !strings.ContainsFunc(changed, unprintable) {
						t.Errorf("%q: %s printable: %v", changed, m.Value.Raw(), known)
					}
				}
			}
		}
	}
}

// TestDuplicate checks that a name that occurs twice is told from other faults, and is
// one of the syntax.
func TestDuplicate(t *testing.T) {
	for doc, want := range map[string]bool{
		`{"a":1,"a":2}`: true, `{"a":1,"\u0061":2}`: true, `{"x":{"a":1,"a":2}}`: true, `{"x":[{"a":1,"a":2}]}`: true,
		`{"a":1,"A":2}`: false, `{"a":1,}`: false, `{"a":"a","b":"a"`: false, `[{"a":1,"a":2}]`: true,
	} {
		_, err := ParseObject(doc, TokenLimits, nil)
		if errors.Is(err, ErrDuplicate) != want || want && !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %v", doc, err)
		}
	}
	if _, err := ParseShallow(`{"a":1,"a":2}`); !errors.Is(err, ErrDuplicate) {
		t.Error(err)
	}
	if errors.Is(ErrSyntax, ErrDuplicate) {
		t.Error("every fault of the syntax is a duplicate")
	}
}
