package strictjson

import (
	stdjson "encoding/json" // for the type of exact numbers that users know
	"errors"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// exactNumbers decode numbers into json.Number of the standard library, and into any
// without losing a digit.
var exactNumbers = json.WithUnmarshalers(json.JoinUnmarshalers(
	json.UnmarshalFromFunc(func(dec *jsontext.Decoder, number *stdjson.Number) error {
		switch dec.PeekKind() {
		case '0':
			literal, err := dec.ReadValue()
			*number = stdjson.Number(literal)
			return err
		case 'n':
			*number = ""
			return dec.SkipValue()
		default:
			return errNoNumber
		}
	}),
	json.UnmarshalFromFunc(func(dec *jsontext.Decoder, value *any) error {
		if *value != nil || dec.PeekKind() != '0' {
			return errors.ErrUnsupported // decode it as always
		}
		literal, err := dec.ReadValue()
		*value = numberOf(string(literal))
		return err
	}),
))

var errNoNumber = errors.New("the value is not a JSON number")

// exactDigits is how many significant digits a float64 always keeps.
const exactDigits = 15

// numberOf returns a number as a float64 if that keeps its digits, and otherwise as a
// json.Number.
func numberOf(literal string) any {
	digits := significantDigits(literal)
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil || digits > exactDigits || f == 0 && digits > 0 { // too large, too long or too small
		return stdjson.Number(literal)
	}
	return f
}

// significantDigits returns how many digits of a number follow its leading zeros, without
// its exponent. 0 has none.
func significantDigits(literal string) int {
	count := 0
	for i := range len(literal) {
		switch c := literal[i]; {
		case c == 'e' || c == 'E':
			return count
		case c >= '1' && c <= '9', c == '0' && count > 0:
			count++
		}
	}
	return count
}
