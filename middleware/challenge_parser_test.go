package middleware

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
)

var errGrammar = errors.New("not the challenges of RFC 9110 §11.6.1")

// parsedChallenge is one challenge as a client reads it.
type parsedChallenge struct {
	scheme  string
	token68 string
	params  map[string]string // by name in lower case
}

// parseChallenges is a strict reader of one WWW-Authenticate field value, written
// from the grammar and not from the writer:
//
//	1#( auth-scheme [ 1*SP ( token68 / auth-param *( OWS "," OWS auth-param ) ) ] )
//
// where a name may occur once in a challenge (§11.2). The grammar of a list is
// the sender's (§5.6.1.1): no empty members.
func parseChallenges(field string) ([]parsedChallenge, error) {
	var all []parsedChallenge
	for rest := field; ; {
		name := leading(rest, isTokenByte)
		if name == "" {
			return nil, errGrammar
		}
		after := rest[len(name):]
		var ok bool
		if strings.HasPrefix(after, "=") { // a parameter of the challenge before
			if len(all) == 0 || all[len(all)-1].token68 != "" || len(all[len(all)-1].params) == 0 {
				return nil, errGrammar
			}
			if rest, ok = all[len(all)-1].read(name, after[1:]); !ok {
				return nil, errGrammar
			}
		} else {
			c := parsedChallenge{scheme: name, params: make(map[string]string)}
			if rest, ok = c.readFirst(after); !ok {
				return nil, errGrammar
			}
			all = append(all, c)
		}
		rest = strings.TrimLeft(rest, " \t")
		if rest == "" {
			return all, nil
		}
		if rest, ok = strings.CutPrefix(rest, ","); !ok {
			return nil, errGrammar
		}
		rest = strings.TrimLeft(rest, " \t")
	}
}

// readFirst reads the text from the scheme to the first comma.
func (c *parsedChallenge) readFirst(text string) (rest string, ok bool) {
	body := strings.TrimLeft(text, " ")
	if body == text || body == "" || body[0] == ',' {
		return text, body == text
	}
	name := leading(body, isTokenByte)
	if after, found := strings.CutPrefix(body[len(name):], "="); found && name != "" && after != "" && after[0] != '=' && after[0] != ',' {
		return c.read(name, after)
	}
	c.token68 = leading(body, func(b byte) bool { return isAlphaDigit(b) || strings.IndexByte("-._~+/", b) >= 0 })
	rest = body[len(c.token68):]
	for strings.HasPrefix(rest, "=") {
		rest = rest[1:]
	}
	return rest, c.token68 != ""
}

// read reads one parameter, whose name was read already.
func (c *parsedChallenge) read(name, text string) (rest string, ok bool) {
	name = strings.ToLower(name)
	if _, twice := c.params[name]; twice {
		return "", false
	}
	if value := leading(text, isTokenByte); value != "" {
		c.params[name] = value
		return text[len(value):], true
	}
	value, rest, err := quotedString(text)
	c.params[name] = value
	return rest, err == nil
}

func leading(text string, in func(byte) bool) string {
	for i := range len(text) {
		if !in(text[i]) {
			return text[:i]
		}
	}
	return text
}

func isAlphaDigit(b byte) bool {
	return '0' <= b && b <= '9' || 'A' <= b && b <= 'Z' || 'a' <= b && b <= 'z'
}

// isTokenByte reports whether c is a tchar of RFC 9110 §5.6.2: a visible character
// that is not a delimiter.
func isTokenByte(b byte) bool {
	return b > ' ' && b < 0x7f && !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, rune(b))
}

// quotedString reads the quoted-string of RFC 9110 §5.6.4 that text starts with.
func quotedString(text string) (value, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(text) && text[0] == '"'; i++ {
		c := text[i]
		switch {
		case c == '"':
			return b.String(), text[i+1:], nil
		case c == '\\':
			if i++; i == len(text) || text[i] < ' ' && text[i] != '\t' || text[i] == 0x7f {
				return "", "", errGrammar
			}
			b.WriteByte(text[i])
		case c < ' ' && c != '\t', c == 0x7f:
			return "", "", errGrammar
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errGrammar
}

// checkChallenge fails the test unless the field value is one challenge that follows
// R-CH-02, R-CH-05 and R-CH-10. It returns the parameters.
func checkChallenge(t *testing.T, field string) map[string]string {
	t.Helper()
	all, err := parseChallenges(field)
	if err != nil || len(all) != 1 {
		t.Errorf("%q: %d challenges, %v", field, len(all), err)
		return nil
	}
	c := all[0]
	if len(c.params) == 0 || c.token68 != "" || c.scheme != "Bearer" && c.scheme != "DPoP" {
		t.Errorf("%q: %+v", field, c)
	}
	for name, value := range c.params {
		if !slices.Contains([]string{"realm", "error", "error_description", "scope", "acr_values", "max_age", "resource_metadata"}, name) {
			t.Errorf("%q: parameter %s", field, name)
		}
		if name == "realm" || name == "acr_values" {
			continue
		}
		for i := range len(value) {
			if c := value[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
				t.Errorf("%q: %s has %q (RFC 6750 §3)", field, name, c)
			}
		}
	}
	return c.params
}

// checkFields fails the test if a field value of a response could split it.
func checkFields(t *testing.T, header http.Header) {
	t.Helper()
	for name, values := range header {
		for _, value := range values {
			if strings.ContainsFunc(name+value, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("field %q: %q", name, value)
			}
		}
	}
}

// TestParseChallenges shows that parseChallenges, which the fuzz tests use, is strict
// and finds a second challenge after a comma.
func TestParseChallenges(t *testing.T) {
	for field, want := range map[string]int{
		`Bearer`: 1, `Bearer realm="a"`: 1, `Bearer realm=a`: 1, `Bearer realm="a, b", error="c"`: 1, `DPoP realm="a \"b\\"`: 1,
		`Bearer realm="a", Basic realm="b"`: 2, `Bearer realm="a" , Basic`: 2, `Negotiate, Bearer a="b",c=d`: 2, `Negotiate YQ==, Bearer a=b`: 2,
		`Negotiate YQ==`: 1,
	} {
		if all, err := parseChallenges(field); err != nil || len(all) != want {
			t.Errorf("%q: %v, %v", field, all, err)
		}
	}
	for _, field := range []string{
		"", "Bearer ", `Bearer realm="a`, `Bearer realm="a\`, `Bearer realm="a" error="b"`, `Bearer realm="a",`, `Bearer realm="a",,b="c"`,
		`Bearer realm="a", realm="b"`, `Bearer realm="a", Realm="b"`, "Bearer realm=\"a\nb\"", "Bearer realm=\"a\rb\"", `Bearer realm="a"b"`,
		`Be@rer realm="a"`, `Bearer ="a"`, `realm="a"`, "Bearer\trealm=\"a\"", `Bearer realm ="a"`, "Bearer realm=\"\x7f\"", `Negotiate YQ==, a="b"`,
		`Bearer, a="b"`,
	} {
		if all, err := parseChallenges(field); err == nil {
			t.Errorf("%q is taken as %v", field, all)
		}
	}
}
