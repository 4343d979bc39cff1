// Package strictjson is the only JSON reader of the project. It accepts what RFC
// 8259 and RFC 7493 (I-JSON) both allow, and refuses what parsers are known to read
// in different ways: duplicate member names at any depth, invalid UTF-8, lone
// surrogates, a byte order mark, trailing bytes. Names match byte for byte, so
// "EXP" is not "exp".
//
// A document is read once into a list of its top-level members. The values stay
// text and are decoded on use. The accessors of [Value] return no syntax errors,
// because [ParseObject] has checked the whole document.
//
// [ParseObject] has two readers. The scanner in scan.go reads the documents that
// issuers usually send (compact, names without escapes, few members). It accepts a
// document or leaves it to the second reader, and never refuses one. The second
// reader is github.com/go-json-experiment/json. A fuzz test compares the two.
package strictjson
