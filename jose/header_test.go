package jose_test

import (
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/sallyport-auth/sallyport/jose"
)

func utf16Bytes(text string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(text)) {
		b.WriteByte(byte(unit >> 8))
		b.WriteByte(byte(unit))
	}
	return b.String()
}

// TestHeaderRefused covers R-JS-13, R-JS-15, R-JS-16, R-JS-17 and R-OP-07: malformed
// headers are refused.
func TestHeaderRefused(t *testing.T) {
	const object, crit, b64Detail, kid = "one JSON object", "crit", "b64", "kid"
	tests := []struct{ name, header, detail string }{
		{"duplicate alg", `{"alg":"ES256","alg":"none"}`, object},
		{"duplicate alg, same value", `{"alg":"ES256","alg":"ES256"}`, object},
		{"duplicate alg, escaped", `{"alg":"ES256","\u0061lg":"none"}`, object},
		{"duplicate of a member nobody reads", `{"alg":"ES256","x":1,"x":1}`, object},
		{"duplicate below", `{"alg":"ES256","x":[{"y":{"z":1,"z":2}}]}`, object},
		{"array", `[{"alg":"ES256"}]`, object},
		{"string", `"ES256"`, object},
		{"number", `256`, object},
		{"null", `null`, object},
		{"white space", ` `, object},
		{"cut off", `{"alg":"ES256"`, object},
		{"no JSON", `alg=ES256`, object},
		{"trailing comma", `{"alg":"ES256",}`, object},
		{"single quotes", `{'alg':'ES256'}`, object},
		{"comment", `{"alg":"ES256"/**/}`, object},
		{"NaN", `{"alg":"ES256","x":NaN}`, object},
		{"trailing letter", `{"alg":"ES256"}x`, object},
		{"trailing object", `{"alg":"ES256"}{"alg":"none"}`, object},
		{"trailing NUL", "{\"alg\":\"ES256\"}\x00", object},
		{"BOM", "\ufeff" + `{"alg":"ES256"}`, object},
		{"UTF-16", utf16Bytes(`{"alg":"ES256"}`), object},
		{"invalid UTF-8 in a value", "{\"alg\":\"ES256\",\"x\":\"\xff\"}", object},
		{"invalid UTF-8 in a name", "{\"alg\":\"ES256\",\"\xc3\":1}", object},
		{"overlong UTF-8", "{\"alg\":\"ES256\",\"x\":\"\xc0\xaf\"}", object},
		{"surrogate in UTF-8", "{\"alg\":\"ES256\",\"x\":\"\xed\xa0\x80\"}", object},
		{"lone surrogate", `{"alg":"ES256","x":"\ud800"}`, object},
		{"control character", "{\"alg\":\"ES256\",\"x\":\"\x01\"}", object},
		{"17 deep", `{"x":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, object},
		{"257 members", `{"x":{` + members(256) + `}}`, object},
		{"crit of an unknown extension", `{"alg":"ES256","crit":["exp"],"exp":1}`, crit},
		{"crit of a registered member", `{"alg":"ES256","crit":["alg"]}`, crit},
		{"crit of b64", `{"alg":"ES256","crit":["b64"],"b64":true}`, crit},
		{"crit of a member that is absent", `{"alg":"ES256","crit":["x"]}`, crit},
		{"crit empty", `{"alg":"ES256","crit":[]}`, crit},
		{"crit null", `{"alg":"ES256","crit":null}`, crit},
		{"crit a string", `{"alg":"ES256","crit":"exp"}`, crit},
		{"crit an object", `{"alg":"ES256","crit":{}}`, crit},
		{"crit repeated within", `{"alg":"ES256","crit":["exp","exp"],"exp":1}`, crit},
		{"crit escaped", `{"alg":"ES256","cr\u0069t":["exp"],"exp":1}`, crit},
		{"crit without alg", `{"crit":["exp"]}`, crit},
		{"b64 false", `{"alg":"ES256","b64":false}`, b64Detail},
		{"b64 true", `{"alg":"ES256","b64":true}`, b64Detail},
		{"b64 null", `{"alg":"ES256","b64":null}`, b64Detail},
		{"b64 a string", `{"alg":"ES256","b64":"true"}`, b64Detail},
		{"kid a number", `{"alg":"ES256","kid":1}`, kid},
		{"kid null", `{"alg":"ES256","kid":null}`, kid},
		{"kid an array", `{"alg":"ES256","kid":["1"]}`, kid},
		{"kid an object", `{"alg":"ES256","kid":{}}`, kid},
		{"kid a boolean", `{"alg":"ES256","kid":true}`, kid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u, err := jose.ParseCompact(unsigned(tt.header))
			expect(t, err, jose.ErrMalformed, tt.detail)
			if u.UnverifiedPayload() != "" || u.UnverifiedHeader() != (jose.Header{}) {
				t.Error("something was returned beside the error")
			}
		})
	}
}

// members returns n members of an object.
func members(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"m` + strings.Repeat("x", i) + `":1`)
	}
	return b.String()
}

// TestHeaderAlgorithm covers R-JS-04, R-JS-05, R-JS-12 and R-JS-16: alg must be the
// exact name of an algorithm. The set has a key of each type with the kid, so only
// the name can be the reason of a refusal.
func TestHeaderAlgorithm(t *testing.T) {
	set := parseSet(
		t, all,
		public(rsaKey()).with("kid", "k").String(), public(p256Key()).with("kid", "k").String(),
		public(p384Key()).with("kid", "k").String(), public(p521Key()).with("kid", "k").String(),
		public(edKey()).with("kid", "k").String(),
	)
	tests := []struct {
		member string
		want   jose.Algorithm
	}{
		{`"alg":"RS256"`, jose.RS256},
		{`"alg":"RS384"`, jose.RS384},
		{`"alg":"RS512"`, jose.RS512},
		{`"alg":"PS256"`, jose.PS256},
		{`"alg":"PS384"`, jose.PS384},
		{`"alg":"PS512"`, jose.PS512},
		{`"alg":"ES256"`, jose.ES256},
		{`"alg":"ES384"`, jose.ES384},
		{`"alg":"ES512"`, jose.ES512},
		{`"alg":"EdDSA"`, jose.EdDSA},
		{`"alg":"Ed25519"`, jose.EdDSA},
		{`"alg":"ES256","ALG":"none"`, jose.ES256},
		{`"alg":"E\u0053256"`, jose.ES256}, // the same string
		{`"x":1`, 0},
		{`"ALG":"ES256"`, 0},
		{`"Alg":"ES256"`, 0},
		{`"al\u0067 ":"ES256"`, 0},
		{`"alg":"none"`, 0},
		{`"alg":"None"`, 0},
		{`"alg":"nOnE"`, 0},
		{`"alg":"NONE"`, 0},
		{`"alg":""`, 0},
		{`"alg":" "`, 0},
		{`"alg":"invalid"`, 0},
		{`"alg":"es256"`, 0},
		{`"alg":"Es256"`, 0},
		{`"alg":"eddsa"`, 0},
		{`"alg":"ed25519"`, 0},
		{`"alg":"RS256 "`, 0},
		{`"alg":" RS256"`, 0},
		{`"alg":"RS256\u0000"`, 0},
		{`"alg":"RS2560"`, 0},
		{`"alg":"RS25"`, 0},
		{`"alg":"RS1"`, 0},
		{`"alg":"HS256"`, 0},
		{`"alg":"HS384"`, 0},
		{`"alg":"HS512"`, 0},
		{`"alg":"ES256K"`, 0},
		{`"alg":"ES521"`, 0},
		{`"alg":"Ed448"`, 0},
		{`"alg":"ML-DSA-44"`, 0},
		{`"alg":"RSA-OAEP"`, 0},
		{`"alg":"dir"`, 0},
		{`"alg":256`, 0},
		{`"alg":7`, 0},
		{`"alg":null`, 0},
		{`"alg":true`, 0},
		{`"alg":["ES256"]`, 0},
		{`"alg":{"ES256":1}`, 0},
	}
	for _, tt := range tests {
		t.Run(tt.member, func(t *testing.T) {
			h := parse(t, unsigned(`{`+tt.member+`,"kid":"k"}`)).UnverifiedHeader()
			if got := h.Algorithm(); got != tt.want {
				t.Errorf("algorithm %v, want %v", got, tt.want)
			}
			if tt.want == 0 {
				_, err := set.Find(h)
				expect(t, err, jose.ErrAlgorithm, "")
				noKid := parse(t, unsigned(`{`+tt.member+`}`)).UnverifiedHeader()
				_, err = set.Find(noKid)
				expect(t, err, jose.ErrAlgorithm, "")
			}
		})
	}
}

// TestHeaderMembers covers R-JS-16: members are read by their exact names.
func TestHeaderMembers(t *testing.T) {
	tests := []struct {
		header   string
		keyID    string
		hasKeyID bool
		typ      string
		hasType  bool
		isText   bool
		iss      string
		sub      string
		aud      string
	}{
		{header: `{}`},
		{header: `{"KID":"a","Typ":"b","ISS":"c","Sub":"d","AUD":"e","CRIT":[],"B64":false}`},
		{header: `{"kid":"a"}`, keyID: "a", hasKeyID: true},
		{header: `{"kid":""}`, hasKeyID: true},
		{header: `{"kid":"../../etc/passwd' OR 1=1"}`, keyID: "../../etc/passwd' OR 1=1", hasKeyID: true},
		{header: `{"kid":"\u00e9\n\"\\"}`, keyID: "é\n\"\\", hasKeyID: true},
		{header: `{"typ":"at+jwt"}`, typ: "at+jwt", hasType: true, isText: true},
		{header: `{"typ":""}`, hasType: true, isText: true},
		{header: `{"typ":null}`, hasType: true},
		{header: `{"typ":1}`, hasType: true},
		{header: `{"typ":["at+jwt"]}`, hasType: true},
		{header: `{"iss":"https://a","sub": 1 ,"aud":["a", "b"]}`, iss: `"https://a"`, sub: `1`, aud: `["a", "b"]`},
		{header: `{"iss":null}`, iss: `null`},
		{header: `{"x":1,"kid":"a","typ":"t","sub":"s"}`, keyID: "a", hasKeyID: true, typ: "t", hasType: true, isText: true, sub: `"s"`},
	}
	for _, tt := range tests {
		t.Run(tt.header, func(t *testing.T) {
			h := parse(t, unsigned(tt.header)).UnverifiedHeader()
			if id, ok := h.KeyID(); id != tt.keyID || ok != tt.hasKeyID {
				t.Errorf("kid %q, %v", id, ok)
			}
			if typ, ok := h.Type(); typ != tt.typ || ok != tt.isText || h.HasType() != tt.hasType {
				t.Errorf("typ %q, %v, %v", typ, ok, h.HasType())
			}
			if iss, sub, aud := h.ReplicatedClaims(); iss != tt.iss || sub != tt.sub || aud != tt.aud {
				t.Errorf("claims %q, %q, %q", iss, sub, aud)
			}
		})
	}
}

// TestHeaderLimits covers R-OP-07: a header may have 16 levels and 256 members.
func TestHeaderLimits(t *testing.T) {
	for _, header := range []string{
		`{"x":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `}`,
		`{"x":{` + members(255) + `}}`,
		`{` + members(256) + `}`,
	} {
		parse(t, unsigned(header))
	}
}
