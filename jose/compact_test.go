package jose_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/jose"
)

// Each of these parts leaves unused bits in its last character, so that every
// segment can be misspelled there.
const (
	goodHeader    = `{"alg":"ES256" }`
	goodPayload   = `{"a":1}`
	goodSignature = "signature!"
)

func segments() []string {
	return []string{b64([]byte(goodHeader)), b64([]byte(goodPayload)), b64([]byte(goodSignature))}
}

// TestParseCompactSegments covers R-JS-01 and R-JS-19: only a compact JWS is
// accepted.
func TestParseCompactSegments(t *testing.T) {
	s := segments()
	h, p, sig := s[0], s[1], s[2]
	const three, jwe, empty, coded = "three segments", "JWE", "empty segment", "base64url"
	tests := []struct {
		name, token, detail string
	}{
		{"empty", "", three},
		{"one segment", h, three},
		{"two segments", h + "." + p, three},
		{"four segments", h + "." + p + "." + sig + "." + sig, three},
		{"five segments", h + "." + p + "." + sig + "." + sig + "." + sig, jwe},
		{"five segments, direct key", h + "..." + sig + "." + sig, jwe},
		{"six segments", h + "." + p + "." + sig + "." + sig + "." + sig + "." + sig, three},
		{"one dot", ".", three},
		{"two dots", "..", empty},
		{"three dots", "...", three},
		{"four dots", "....", jwe},
		{"no header", "." + p + "." + sig, empty},
		{"no payload", h + ".." + sig, empty},
		{"no signature", h + "." + p + ".", empty},
		{"dot before", "." + h + "." + p + "." + sig, three},
		{"dot behind", h + "." + p + "." + sig + ".", three},
		{"general JSON serialisation", `{"payload":"` + p + `","signatures":[{"protected":"` + h + `","signature":"` + sig + `"}]}`, three},
		{"flattened JSON serialisation with dots", `{"payload":"a.b","protected":"` + h + `","signature":"c.d"}`, coded},
		{"quoted", `"` + h + "." + p + "." + sig + `"`, coded},
		{"space before", " " + h + "." + p + "." + sig, coded},
		{"Bearer before", "Bearer " + h + "." + p + "." + sig, coded},
		{"NUL behind", h + "." + p + "." + sig + "\x00", coded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := jose.ParseCompact(tt.token)
			expect(t, err, jose.ErrMalformed, tt.detail)
		})
	}
}

func TestParseCompact(t *testing.T) {
	s := segments()
	u := parse(t, strings.Join(s, "."))
	if got := u.UnverifiedPayload(); got != goodPayload {
		t.Errorf("payload %q", got)
	}
	if got := u.UnverifiedHeader().Algorithm(); got != jose.ES256 {
		t.Errorf("algorithm %v", got)
	}
	// A header and payload beyond any buffer on the stack.
	long := strings.Repeat("x", 5000)
	u = parse(t, b64([]byte(`{"alg":"ES256","kid":"`+long+`"}`))+"."+b64([]byte(long))+"."+s[2])
	if id, _ := u.UnverifiedHeader().KeyID(); id != long || u.UnverifiedPayload() != long {
		t.Error("a long header or payload was changed")
	}
}

// TestParseCompactBase64 covers R-JS-02: a token has one encoding. Each other
// encoding is tried in each segment.
func TestParseCompactBase64(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	tests := []struct {
		name    string
		rewrite func(segment string) string
	}{
		{"padding", func(s string) string { return s + "==" }},
		{"one padding character", func(s string) string { return s + "=" }},
		{"plus", func(s string) string { return "+" + s[1:] }},
		{"slash", func(s string) string { return "/" + s[1:] }},
		{"space", func(s string) string { return s[:1] + " " + s[2:] }},
		{"tab", func(s string) string { return s[:1] + "\t" + s[2:] }},
		{"percent", func(s string) string { return "%" + s[1:] }},
		{"not ASCII", func(s string) string { return "é" + s[2:] }},
		{"LF in front", func(s string) string { return "\n" + s }},
		{"LF within", func(s string) string { return s[:2] + "\n" + s[2:] }},
		{"LF behind", func(s string) string { return s + "\n" }},
		{"CR in front", func(s string) string { return "\r" + s }},
		{"CR within", func(s string) string { return s[:2] + "\r" + s[2:] }},
		{"CR behind", func(s string) string { return s + "\r" }},
		{"CR LF behind", func(s string) string { return s + "\r\n" }},
		{"LF alone", func(string) string { return "\n" }},
		{"one character", func(string) string { return "A" }},
		{"length that no bytes have", func(s string) string { return s[:len(s)-len(s)%4] + "A" }},
		{"trailing bits", func(s string) string {
			last := strings.IndexByte(alphabet, s[len(s)-1])
			return s[:len(s)-1] + alphabet[last|1:last|1+1]
		}},
	}
	for _, tt := range tests {
		for i, segment := range []string{"header", "payload", "signature"} {
			t.Run(tt.name+" in the "+segment, func(t *testing.T) {
				s := segments()
				rewritten := tt.rewrite(s[i])
				if rewritten == s[i] {
					t.Fatal("not rewritten")
				}
				s[i] = rewritten
				_, err := jose.ParseCompact(strings.Join(s, "."))
				expect(t, err, jose.ErrMalformed, "base64url")
			})
		}
	}
	// What a lenient decoder would have read is the same token.
	s := segments()[0]
	lenient := s[:len(s)-1] + string(s[len(s)-1]+1)
	if b, err := base64.RawURLEncoding.DecodeString(lenient); err != nil || string(b) != goodHeader {
		t.Errorf("the trailing bits change the header to %q (%v): the rows above prove nothing", b, err)
	}
}

// TestParseCompactAllocations covers R-OP-07: refusing a malformed token allocates
// next to nothing, whatever its form.
func TestParseCompactAllocations(t *testing.T) {
	deep := func(levels int) string {
		return b64([]byte(strings.Repeat(`{"a":`, levels)+"1"+strings.Repeat("}", levels))) + ".e30.e30"
	}
	wide := `{"a":[` + strings.Repeat("1,", 100_000) + "1]}"
	s := segments()
	signature := s[2]
	// A level within the limit has its price, in the library; one beyond has none.
	atLimit := testing.AllocsPerRun(20, func() { _, _ = jose.ParseCompact(deep(17)) })
	if atLimit > 70 {
		t.Errorf("%v allocations for a header one level too deep", atLimit)
	}
	tests := []struct {
		name, token string
		at          float64 // most
		want        error
	}{
		{"10 000 dots", strings.Repeat(".", 10_000), causeAllocations, jose.ErrMalformed},
		{"10 000 dots between letters", strings.Repeat("A.", 10_000), causeAllocations, jose.ErrMalformed},
		{"1 MB without dots", strings.Repeat("A", 1<<20), causeAllocations, jose.ErrMalformed},
		{"1 MB that is not base64url", strings.Repeat("=", 1<<20) + ".e30.e30", 1 + causeAllocations, jose.ErrMalformed},
		{"CR LF", strings.Repeat("\r\n", 10_000) + ".e30.e30", 1 + causeAllocations, jose.ErrMalformed},
		{"empty signature", s[0] + "." + s[1] + ".", causeAllocations, jose.ErrMalformed},
		{"header 100 deep", deep(100), atLimit, jose.ErrMalformed},
		{"header 1000 deep", deep(1000), atLimit, jose.ErrMalformed},
		{"header of a long array", b64([]byte(wide)) + ".e30." + signature, 16, nil},
		{"unknown algorithm", b64([]byte(`{"alg":"none"}`)) + ".e30." + signature, 2, nil},
		{"good", strings.Join(s, "."), 2, nil}, // the text and the signature
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var err error
			n := testing.AllocsPerRun(20, func() { _, err = jose.ParseCompact(tt.token) })
			expect(t, err, tt.want, "")
			if n > tt.at {
				t.Errorf("%v allocations, want at most %v", n, tt.at)
			}
		})
	}
}

func BenchmarkParseCompact(b *testing.B) {
	header := `{"alg":"RS256","typ":"at+jwt","kid":"rsa-key-2026-11-a"}`
	token := b64([]byte(header)) + "." + b64([]byte(strings.Repeat("claims", 69))) + "." + b64(make([]byte, 256))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = jose.ParseCompact(token)
	}
}

// TestSigningInput covers R-JS-18: the signature is over the received bytes, so the
// same header or payload in another form does not verify.
func TestSigningInput(t *testing.T) {
	const header, payload = `{ "typ":"at+jwt",  "alg":"E\u005350256", "alg2":1}`, ` {"b":1, "a":2} `
	spaced := strings.Replace(header, `E\u005350256`, `\u0045S256`, 1)
	signed := token(t, jose.ES256, p256Key(), spaced, payload)
	set := parseSet(t, all, public(p256Key()).String())
	if _, err := verifyToken(set, signed); err != nil {
		t.Fatalf("a header with white space and escapes: %v", err)
	}
	parts := strings.Split(signed, ".")
	minified := b64([]byte(`{"typ":"at+jwt","alg":"ES256","alg2":1}`))
	for _, changed := range []string{
		minified + "." + parts[1] + "." + parts[2],
		parts[0] + "." + b64([]byte(`{"b":1,"a":2}`)) + "." + parts[2],
		parts[0] + "." + b64([]byte(payload+" ")) + "." + parts[2],
	} {
		_, err := verifyToken(set, changed)
		expect(t, err, jose.ErrSignature, "")
	}
}

// TestErrorsHoldNoToken checks that errors hold no part of the token.
func TestErrorsHoldNoToken(t *testing.T) {
	const secret = "c2VjcmV0"
	for _, token := range []string{
		secret, secret + "." + secret + "." + secret, secret + "==.." + secret,
		b64([]byte(`{"alg":"`+secret+`","alg":1}`)) + "." + secret + "." + secret,
		b64([]byte(`{"alg":"ES256","crit":["`+secret+`"]}`)) + "." + secret + "." + secret,
	} {
		_, err := jose.ParseCompact(token)
		if err == nil || strings.Contains(fmt.Sprintf("%+v", err), secret) || strings.Contains(err.Error(), "secret") {
			t.Errorf("ParseCompact(%q): %v", token, err)
		}
		if !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("ParseCompact(%q): %v, want ErrMalformed", token, err)
		}
	}
}
