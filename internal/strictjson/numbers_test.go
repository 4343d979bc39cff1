package strictjson_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// TestNumbersInAny checks that no number loses a digit in an any, at any depth.
func TestNumbersInAny(t *testing.T) {
	for literal, want := range map[string]any{
		"0": 0.0, "-0": math.Copysign(0, -1), "1": 1.0, "-1": -1.0, "1700000000": 1.7e9, "1.5": 1.5, "0.1": 0.1, "1e3": 1000.0, "1E+3": 1000.0, "0.000": 0.0,
		"123456789012345": 123456789012345.0, "0.00000123456789012345": 0.00000123456789012345, "100000000000000": 1e14, "1e300": 1e300,
		"1234567890123456": json.Number("1234567890123456"), "9007199254740993": json.Number("9007199254740993"),
		"-9223372036854775808": json.Number("-9223372036854775808"), "18446744073709551615": json.Number("18446744073709551615"),
		"340282366920938463463374607431768211456": json.Number("340282366920938463463374607431768211456"),
		"1.00000000000000000001":                  json.Number("1.00000000000000000001"), "1e400": json.Number("1e400"), "-1e400": json.Number("-1e400"), "1e-400": json.Number("1e-400"),
		"1e1000000000":       json.Number("1e1000000000"),
		"123456789012345e10": 123456789012345e10, "123456789012345E10": 123456789012345e10, // the exponent has no significant digits
	} {
		var dst struct {
			N    any
			List []any
			Map  map[string]any
		}
		doc := fmt.Sprintf(`{"N":%s,"List":[[%s]],"Map":{"a":{"b":%s}}}`, literal, literal, literal)
		if err := strictjson.Unmarshal(doc, &dst); err != nil {
			t.Errorf("%s: %v", literal, err)
			continue
		}
		for _, got := range []any{dst.N, dst.List[0].([]any)[0], dst.Map["a"].(map[string]any)["b"]} {
			if got != want {
				t.Errorf("%s is %T %v, want %T %v", literal, got, got, want, want)
			}
		}
	}
	var all any
	if err := strictjson.Unmarshal(`{"a":[true,null,"x",{"b":1}]}`, &all); err != nil || fmt.Sprint(all) != "map[a:[true <nil> x map[b:1]]]" {
		t.Errorf("%v, %v", all, err)
	}
}

// TestExactNumbers checks the types that hold whole numbers.
func TestExactNumbers(t *testing.T) {
	const large, beyond = "18446744073709551615", "340282366920938463463374607431768211457"
	var dst struct {
		Signed   int64
		Unsigned uint64
		Big      *big.Int
		Number   json.Number
		Pointer  *json.Number
		List     []json.Number
		Absent   json.Number
		Null     json.Number
	}
	dst.Null = "1"
	doc := `{"Signed":-9223372036854775808,"Unsigned":` + large + `,"Big":` + beyond + `,"Number":1.10,"Pointer":` + beyond + `,"List":[1e3,` + large + `],"Null":null}`
	if err := strictjson.Unmarshal(doc, &dst); err != nil {
		t.Fatal(err)
	}
	if dst.Signed != math.MinInt64 || dst.Unsigned != math.MaxUint64 || dst.Big.String() != beyond || dst.Number != "1.10" || *dst.Pointer != beyond ||
		fmt.Sprint(dst.List) != "[1e3 "+large+"]" || dst.Absent != "" || dst.Null != "" {
		t.Errorf("%+v", dst)
	}
	for _, doc := range []string{`{"Number":"1"}`, `{"Number":true}`, `{"Number":[1]}`, `{"Number":{}}`, `{"Signed":9223372036854775808}`, `{"Signed":1.5}`, `{"Unsigned":-1}`, `{"Signed":"1"}`} {
		if err := strictjson.Unmarshal(doc, &dst); err == nil {
			t.Errorf("%s: accepted", doc)
		}
	}
	kept := struct{ N any }{new(int64)}
	if err := strictjson.Unmarshal(`{"N":`+"9007199254740993"+`}`, &kept); err != nil || *kept.N.(*int64) != 9007199254740993 {
		t.Errorf("%v, %v", kept.N, err)
	}
}
