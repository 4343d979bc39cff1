// Package strictjson is the one JSON reader of the project: one document, one
// reading. It accepts what RFC 8259 and RFC 7493 (I-JSON) agree on and refuses
// what parsers are known to read differently: duplicate member names at any
// depth, invalid UTF-8, lone surrogates, a byte order mark, trailing bytes.
// Names match byte for byte, so "EXP" is not "exp".
//
// A document is read once into a flat list of its top-level members; the
// values stay as text and are decoded when asked for. What [ParseObject]
// accepted needs no second check, which is why the accessors of [Value] do not
// return syntax errors.
//
// Two readers stand behind [ParseObject]. The scanner in scan.go takes the
// documents that issuers send (compact, plain names, few members) and knows
// two answers only: accepted, or not for me. Everything else, every refusal
// included, is judged by github.com/go-json-experiment/json. A fuzz test holds
// the two against each other.
package strictjson
