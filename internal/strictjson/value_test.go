package strictjson

import (
	"slices"
	"strings"
	"testing"
)

// member returns the value of the member a of doc.
func member(t *testing.T, doc string) Value {
	t.Helper()
	members, err := ParseObject(doc, TokenLimits, nil)
	if err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	for _, m := range members {
		if m.Name == "a" {
			return m.Value
		}
	}
	return Value{}
}

func TestValueText(t *testing.T) {
	tests := []struct {
		value, want string
		ok          bool
	}{
		{`""`, "", true},
		{`"b"`, "b", true},
		{`"é 😀"`, "é 😀", true},
		{`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t", true},
		{`"\u0000\u00e9\u2028"`, "\x00é\u2028", true},
		{`"\ud83d\ude00"`, "😀", true},
		{`"\uD83D\uDE00\u00E9"`, "😀é", true},
		{`"\\u0041"`, `\u0041`, true},
		{`"null"`, "null", true},
		{`null`, "", false},
		{`1`, "", false},
		{`true`, "", false},
		{`["b"]`, "", false},
		{`{"b":"c"}`, "", false},
	}
	for _, tt := range tests {
		v := member(t, `{"a": `+tt.value+` }`)
		if text, ok := v.Text(); text != tt.want || ok != tt.ok {
			t.Errorf("%s: %q, %v, want %q, %v", tt.value, text, ok, tt.want, tt.ok)
		}
		if v.Raw() != tt.value {
			t.Errorf("%s: raw %s", tt.value, v.Raw())
		}
	}
	if text, ok := (Value{}).Text(); text != "" || ok {
		t.Errorf("absent: %q, %v", text, ok)
	}
	if text, ok := (Value{raw: `"\ud800"`}).Text(); ok { // as ParseShallow leaves it
		t.Errorf("a lone surrogate reads as %q", text)
	}
}

func TestValueKind(t *testing.T) {
	for value, want := range map[string]Kind{
		`null`: Null, `true`: Boolean, `false`: Boolean, `"x"`: String, `""`: String, `[]`: Array, `{}`: Object,
		`0`: Number, `-1`: Number, `9e9`: Number,
	} {
		if got := member(t, `{"a":`+value+`}`).Kind(); got != want {
			t.Errorf("%s is of kind %d, want %d", value, got, want)
		}
	}
	if got := member(t, `{}`).Kind(); got != Absent {
		t.Errorf("an absent member is of kind %d", got)
	}
}

func TestValueMember(t *testing.T) {
	const object = ` { "b" : { "c" : [ "}" , { "d" : 1 } ] } , "\u0063":"\"}",` + "\n" + `"d":[{"e":1}],"e":null , "":{}, "f":-1.5e3}`
	for _, tt := range []struct{ value, name, want string }{
		{object, "b", `{ "c" : [ "}" , { "d" : 1 } ] }`},
		{object, "c", `"\"}"`},
		{object, "d", `[{"e":1}]`},
		{object, "e", `null`},
		{object, "", `{}`},
		{object, "f", `-1.5e3`},
		{object, "g", ``},
		{object, "B", ``},
		{`{}`, "b", ``},
		{`{ }`, "", ``},
		{`{"b":1}`, "b", `1`},
		{`["b"]`, "b", ``},
		{`"b"`, "b", ``},
		{`null`, "b", ``},
	} {
		for _, doc := range []string{`{"a":` + tt.value + `}`, `{"x":"é","a":` + tt.value + `}`} {
			if got := member(t, doc).Member(tt.name).Raw(); got != tt.want {
				t.Errorf("the member %q of %s is %s, want %s", tt.name, tt.value, got, tt.want)
			}
		}
	}
	if got := (Value{}).Member("a").Kind(); got != Absent {
		t.Errorf("an absent value has a member of kind %d", got)
	}
}

func TestValueElements(t *testing.T) {
	tests := []struct {
		value string
		want  []string
	}{
		{`[]`, nil},
		{"[ \t\r\n]", nil},
		{`[1]`, []string{`1`}},
		{`[1,2,-3.5e7]`, []string{`1`, `2`, `-3.5e7`}},
		{"[ 1 ,\t2\r,\n3 ]", []string{`1`, `2`, `3`}},
		{`[true,false,null]`, []string{`true`, `false`, `null`}},
		{`["a","b"]`, []string{`"a"`, `"b"`}},
		{`["],[","}{",","]`, []string{`"],["`, `"}{"`, `","`}},
		{`["\"],[\\","\\\""]`, []string{`"\"],[\\"`, `"\\\""`}},
		{`["\\",1]`, []string{`"\\"`, `1`}},
		{`[[],[[]],{}]`, []string{`[]`, `[[]]`, `{}`}},
		{`[[1,[2,3]],4]`, []string{`[1,[2,3]]`, `4`}},
		{"[ [ 1 , 2 ] , { \"b\" : [ 3 ] } ]", []string{`[ 1 , 2 ]`, `{ "b" : [ 3 ] }`}},
		{`[{"b":"]}","c":["}"]},5]`, []string{`{"b":"]}","c":["}"]}`, `5`}},
		{`[{"\"":"\\"},"]"]`, []string{`{"\"":"\\"}`, `"]"`}},
		{`[{"b":{"c":{}}},[]]`, []string{`{"b":{"c":{}}}`, `[]`}},
		{`"[1]"`, nil},
		{`{"b":[1]}`, nil},
		{`1`, nil},
	}
	for _, tt := range tests {
		v := member(t, `{"a":`+tt.value+`}`)
		var got []string
		for element := range v.Elements() {
			got = append(got, element.Raw())
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.value, got, tt.want)
		}
		for element := range v.Elements() { // leaving early
			if element.Raw() != tt.want[0] {
				t.Errorf("%s begins with %s", tt.value, element.Raw())
			}
			break
		}
	}
	for element := range (Value{}).Elements() {
		t.Errorf("an absent value has %s", element.Raw())
	}
}

type config struct {
	Name  string   `json:"name"`
	Count int      `json:"count"`
	List  []string `json:"list"`
	Sub   struct {
		Deep bool `json:"deep"`
	} `json:"sub"`
}

// TestUnmarshal covers R-JS-16: the fields of a struct are filled by exact names.
func TestUnmarshal(t *testing.T) {
	var c config
	if err := Unmarshal(`{"name":"x","NAME":"y","Count":1,"other":[{}],"sub":{"deep":true}}`, &c); err != nil {
		t.Fatal(err)
	}
	if c.Name != "x" || c.Count != 0 || !c.Sub.Deep {
		t.Errorf("%+v", c)
	}
	for _, doc := range []string{
		``, `[]`, `{"name":1}`, `{"count":"1"}`, `{"count":1.5}`, `{"name":"x","name":"y"}`, `{"name":"x","\u006eame":"y"}`,
		`{"other":{"a":1,"a":2}}`, "{\"name\":\"\xff\"}", `{"name":"\ud800"}`, `{} {}`, `{}x`, "\ufeff{}", `{"name":"x",}`,
	} {
		err := Unmarshal(doc, &config{})
		if err == nil || !strings.HasPrefix(err.Error(), "strictjson: ") {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

// TestUnmarshalKnown checks that files that people write may have no unknown
// members, and that errors name the line.
func TestUnmarshalKnown(t *testing.T) {
	var c config
	if err := UnmarshalKnown("{\n\"name\": \"x\",\n\"count\": 2,\n\"list\": [\"a\"],\n\"sub\": {\"deep\": true}\n}\n", &c); err != nil {
		t.Fatal(err)
	}
	if c.Name != "x" || c.Count != 2 || len(c.List) != 1 || !c.Sub.Deep {
		t.Errorf("%+v", c)
	}
	tests := []struct{ name, doc, line, detail string }{
		{"unknown member", "{\n  \"name\": \"x\",\n  \"nomen\": \"y\"\n}", "line 3: ", "nomen"},
		{"other case", "{\n\n\"Name\": \"x\"}", "line 3: ", "Name"},
		{"unknown below", "{\n\"sub\": {\n\"deep\": true,\n\"deeper\": 1\n}}", "line 4: ", "deeper"},
		{"wrong type", "{\n\"name\": \"x\",\n\"list\": [\n\"a\",\n5\n]}", "line 5: ", "list"},
		{"wrong type at the start", `{"count":"x"}`, "line 1: ", "count"},
		{"duplicate", "{\n\"name\": \"x\",\n\"count\": 1,\n\"name\": \"y\"}", "line 4: ", "duplicate"},
		{"syntax", "{\n\"name\": \"x\"\n\"count\": 1}", "line 3: ", ""},
		{"cut off", "{\n\"name\": \"x\",\n", "line 3: ", "EOF"},
		{"nothing", "", "line 1: ", "EOF"},
		{"invalid UTF-8", "{\n\"name\": \"\xff\"}", "line 2: ", "UTF-8"},
		{"trailing", "{}\n\n{}", "line 3: ", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := UnmarshalKnown(tt.doc, &config{})
			if err == nil || !strings.HasPrefix(err.Error(), tt.line) || !strings.Contains(err.Error(), tt.detail) {
				t.Errorf("error %v, want %q and %q", err, tt.line, tt.detail)
			}
		})
	}
}

// TestMarshalLines checks that the same value gives the same text.
func TestMarshalLines(t *testing.T) {
	want := map[string][]string{"b": {"<&>"}, "a": nil, "c": {}, "d": {"x", "y"}}
	for range 10 { // maps have no order
		doc, err := MarshalLines(want)
		const text = "{\n  \"a\": [],\n  \"b\": [\n    \"<&>\"\n  ],\n  \"c\": [],\n  \"d\": [\n    \"x\",\n    \"y\"\n  ]\n}\n"
		if err != nil || doc != text {
			t.Fatalf("%q, %v", doc, err)
		}
		if doc, err := Marshal(want); err != nil || doc != `{"a":[],"b":["<&>"],"c":[],"d":["x","y"]}` {
			t.Fatalf("%s, %v", doc, err)
		}
	}
	if doc, err := MarshalLines("\xff"); doc != "" || err == nil || !strings.HasPrefix(err.Error(), "strictjson: ") {
		t.Errorf("invalid UTF-8: %s, %v", doc, err)
	}
}

// TestMarshal checks that UnmarshalKnown reads what Marshal writes.
func TestMarshal(t *testing.T) {
	want := config{Name: "<\"\\\x00\u2028😀", Count: -1, List: []string{"", "é"}}
	doc, err := Marshal(&want)
	if err != nil || strings.Contains(doc, "\n") {
		t.Fatalf("%s, %v", doc, err)
	}
	var c config
	if err := UnmarshalKnown(doc, &c); err != nil || c.Name != want.Name || c.Count != -1 || !slices.Equal(c.List, want.List) {
		t.Errorf("%s: %+v, %v", doc, c, err)
	}
	if doc, err := Marshal(config{Name: "\xff"}); doc != "" || err == nil || !strings.HasPrefix(err.Error(), "strictjson: ") {
		t.Errorf("invalid UTF-8: %s, %v", doc, err)
	}
}
