package strictjson_test

import (
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// TestDescribe (A2, R-OB-07): why a document is refused, with the place, and nothing of
// the document but known names.
func TestDescribe(t *testing.T) {
	limits := strictjson.Limits{Depth: 3, Members: 4}
	for doc, want := range map[string]string{
		"":                                 "an empty document",
		" \n":                              "an empty document",
		"\ufeff{}":                         "a byte order mark",
		`{"a":1}`:                          "an object",
		`[1]`:                              "an array, not an object",
		` "secret"`:                        "a string, not an object",
		`1`:                                "a number, not an object",
		`null`:                             "null, not an object",
		`true`:                             "a boolean, not an object",
		`{"secret":1,"b":2`:                "an end in the middle, after 17 bytes",
		`{"secret`:                         "an end in the middle, after 8 bytes",
		`{"a":secret}`:                     "no JSON, from byte 5 on",
		`{"a":1}secret`:                    "text after the end of the value, at byte 7",
		`{"a":1} {}`:                       "text after the end of the value, at byte 9",
		"{\"a\":\"secret\xff\"}":           "text that is not UTF-8, or a character outside of a string, at byte 12",
		`{"a":"secret\ud800"}`:             "no JSON, from byte 12 on",
		"{\"a\":\"secret\n\"}":             "no JSON, from byte 12 on",
		`{"secret":1,"x":2,"secret":3}`:    "a member name that occurs twice, at byte 18",
		`{"exp":1,"x":2,"exp":3}`:          `the member "exp" twice, at byte 15`,
		`{"x":{"exp":1,"\u0065xp":3}}`:     `the member "exp" twice, at byte 14`,
		`{"a":1,"b":1,"c":1,"d":1,"e":1}`:  "an object with more than 4 members",
		`{"a":[[["secret"]]]}`:             "an object that is nested deeper than 3 levels",
		`{"a":1e}`:                         "no JSON, from byte 7 on",
		`{"a":01}`:                         "no JSON, from byte 6 on",
		`{"a":1,}`:                         "no JSON, from byte 7 on",
		`{"exp":` + strings.Repeat("9", 9): "an end in the middle, after 16 bytes",
	} {
		if got := strictjson.Describe(doc, limits, "exp"); got != want {
			t.Errorf("%q: %s, want %s", doc, got, want)
		}
		if got := strictjson.Describe(doc, limits); strings.Contains(got, "secret") {
			t.Errorf("%q: %s", doc, got)
		}
	}
	for kind, want := range map[strictjson.Kind]string{strictjson.Absent: "nothing", strictjson.Null: "null", strictjson.Object: "an object"} {
		if kind.String() != want {
			t.Errorf("%s, want %s", kind, want)
		}
	}
}

// TestDescribeShallow (A2): why a document of which only the members are read is refused.
func TestDescribeShallow(t *testing.T) {
	for doc, want := range map[string]string{
		`{"a":{"b":1}}`:         "an object",
		`[]`:                    "an array, not an object",
		`{"a":1,"a":2}`:         "a member name that occurs twice",
		"<html></html>":         "HTML or XML",
		" \n<?xml?>":            "HTML or XML",
		"\ufeff<!DOCTYPE html>": "HTML or XML",
		``:                      "an empty document",
		`{"a":`:                 "an end in the middle, after 5 bytes",
		`{"a":x}`:               "no JSON, from byte 5 on",
	} {
		if got := strictjson.DescribeShallow(doc); got != want {
			t.Errorf("%q: %q, want %q", doc, got, want)
		}
	}
}
