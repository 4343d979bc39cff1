package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
)

var update = flag.Bool("update", false, "write the golden files")

// explainSamples runs verify --explain with the configuration of the samples.
func explainSamples(t *testing.T, in string) result {
	t.Helper()
	return invoke(t, in, "verify", "--explain", "--config", samples+"/sallyport.yaml", "--at", sampleTime)
}

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want := read(t, path); got != want {
		t.Errorf("%s differs; if that is meant: go test -run %s -update\n%s", path, t.Name(), got)
	}
}

// TestExplainSamples compares the explanations of all samples with a golden file.
func TestExplainSamples(t *testing.T) {
	got := explainSamples(t, read(t, samples+"/tokens.ndjson"))
	if got.status != exitDone {
		t.Errorf("status %d: %s", got.status, got.err)
	}
	golden(t, "samples.golden", got.out)
}

// TestExplainMeter checks that the progress meter that curl writes into a pipe is no input,
// also if it is before the line of the request.
func TestExplainMeter(t *testing.T) {
	const meter = "\r  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0"
	in := "  % Total    % Received % Xferd  Average Speed …\n" +
		"                                 Dload  Upload   Total   Spent    Left  Speed\n" +
		meter + meter + "*   Trying 127.0.0.1:443...\n" +
		"\r  0     0    0     0    0     0      0      0 --:--:--  0:00:01 --:--:--     0> POST /orders HTTP/1.1\n" +
		"> Authorization: Bearer " + token(t, "good, RS256") + "\r\n> \r\n" +
		"\r100    59  100    59    0     0  14040      0 --:--:-- --:--:-- --:--:-- 1475k\n"
	got := explainSamples(t, in)
	if got.status != exitDone || !strings.HasPrefix(got.out, "POST /orders: refused: insufficient_scope") || !strings.Contains(got.err, "0 accepted, 1 refused\n") {
		t.Errorf("status %d\n%s\n%s", got.status, got.out, got.err)
	}
}

// TestExplainNothing checks that input without a token says what may be missing, and exits
// as without the hint.
func TestExplainNothing(t *testing.T) {
	for in, status := range map[string]int{
		"":                                    exitDone,
		`{"type":"about:blank","status":401}`: exitInput,
	} {
		if got := explainSamples(t, in); got.status != status || !strings.Contains(got.err, "no token was found; curl -v") {
			t.Errorf("%q: status %d, want %d: %s", in, got.status, status, got.err)
		}
	}
	if got := explainSamples(t, token(t, "expired")); strings.Contains(got.err, "no token was found") {
		t.Errorf("a token was found: %s", got.err)
	}
}

// TestExplainKinds has a golden file of what is not among the samples: other forms of
// input, and other faults.
func TestExplainKinds(t *testing.T) {
	good := token(t, "good, RS256")
	var b strings.Builder
	for _, in := range []struct{ what, text string }{
		{"a token", good},
		{"a token in quotes", `"` + good + `",`},
		{"Bearer and a token", "Bearer " + good},
		{"a field", "authorization: bearer " + good},
		{"another scheme", "Authorization: Basic dTpw"},
		{"no separator", "Authorization: Bearer=" + good},
		{"a token without a scheme", "Authorization: " + good},
		{"an empty field", "Authorization:"},
		{"two credentials", "Authorization: Basic dTpw, Bearer " + good},
		{"two lines", good + "\n\n" + token(t, "for another API")},
		{"a word", "opaque"},
		{"a cut token", good[:100]},
		{"a cut signature", good[:len(good)-3]},
		{"curl", curl("GET /orders/7?access_token=secret", good)},
		{"curl on a route that needs more", curl("POST /orders", good)},
		{"curl on no route", curl("GET /other", good)},
		{"curl that printed nothing", "$ curl -v -H 'Authorization: Bearer " + good + "' https://api.example/orders/7\n* Could not resolve host: api.example"},
		{"curl with two fields", "> GET /orders/7 HTTP/1.1\n> Authorization: Bearer " + token(t, "for another API") + "\n> Authorization: Bearer " + good + "\n>"},
		{"a curl command with two fields", `$ curl -H 'Authorization: Bearer ` + good + `' -H "Authorization: Bearer ` + good + `" https://api.example/orders/7`},
		{"a curl command with an option for the token", "$ curl --oauth2-bearer '" + good + "' https://api.example/orders/7"},
		{"curl without credentials, through a proxy", "> CONNECT api.example:443 HTTP/1.1\n>\n< HTTP/1.1 200\n<\n> GET /orders/7?access_token=secret HTTP/2\n> Host: api.example\n>\n< HTTP/2 401"},
		{"three requests of curl", "> GET /orders/7 HTTP/2\n>\n< HTTP/2 401\n> GET /orders/8 HTTP/2\n> authorization: Bearer " + good + "\n>\n> GET /orders/9 HTTP/2\n> authorization: Bearer " + good + "\n>"},
		{"a scope is missing", line(t, map[string]any{"token": good, "route": "POST /orders"})},
		{"an unclean path", line(t, map[string]any{"token": good, "route": "GET /a/../b"})},
		{"a name that is none", line(t, map[string]any{"name": "a\r\n\x1b[31m" + strings.Repeat("b", 80), "token": "."})},
	} {
		got := explainSamples(t, in.text)
		if got.status != exitDone {
			t.Errorf("%s: status %d: %s", in.what, got.status, got.err)
		}
		fmt.Fprintf(&b, "# %s\n%s\n", in.what, got.out)
	}
	golden(t, "kinds.golden", b.String())
	if piece := issuertest.Shows(b.String(), issuertest.SecretsOf(good)...); piece != "" || strings.Contains(b.String(), "secret") {
		t.Errorf("the explanations show %q", piece)
	}
}

// curl is what curl -v prints for a request with a token.
func curl(request, token string) string {
	return `$ curl -v -H "Authorization: Bearer ` + token + `" https://api.example/
* Connected to api.example (127.0.0.1) port 443
* [HTTP/2] [1] [authorization: Bearer ` + token + `]
> ` + request + ` HTTP/2
> Host: api.example
> User-Agent: curl/8.14.1
> authorization: Bearer ` + token + `
> Content-Length: 2
>
} [2 bytes data]
< HTTP/2 401
< www-authenticate: Bearer realm="api", error="invalid_token"
<
{"type":"about:blank","title":"Unauthorized","status":401}
100    57    0    57    0     0   3450      0 --:--:-- --:--:-- --:--:--  3562
* Connection #0 to host api.example left intact
`
}

// TestExplainUnreadable: lines that are no input are named, and the others explained.
func TestExplainUnreadable(t *testing.T) {
	got := explainSamples(t, "two words\n{\"token\":1}\n"+token(t, "good, RS256")+"\n")
	if got.status != exitInput || !strings.Contains(got.err, "input line 1: not a valid input line: it is neither JSON, nor a token") ||
		!strings.Contains(got.err, "input line 2: not a valid input line: token: must be a string") || !strings.Contains(got.err, "1 accepted, 0 refused, 2 unreadable") ||
		!strings.HasPrefix(got.out, "line 3: accepted\n") {
		t.Errorf("status %d\n%s\n%s", got.status, got.out, got.err)
	}
	if got := explainSamples(t, ""); got.status != exitDone || got.out != "" {
		t.Errorf("no input: status %d, %s", got.status, got.out)
	}
	if got := invoke(t, "", "verify", "--explain", "--config", "missing.yaml"); got.status != exitConfig {
		t.Errorf("no configuration: status %d", got.status)
	}
}

// TestExplainStyle: a terminal that cannot show the marks gets ASCII, and no output that
// is not a terminal gets colors.
func TestExplainStyle(t *testing.T) {
	in := token(t, "for another API")
	for _, row := range []struct {
		env   map[string]string
		ascii bool
	}{
		{map[string]string{"LC_ALL": "", "LC_CTYPE": "", "LANG": ""}, false},
		{map[string]string{"LC_ALL": "", "LC_CTYPE": "", "LANG": "en_US.UTF-8"}, false},
		{map[string]string{"LC_ALL": "", "LC_CTYPE": "C.utf8", "LANG": "C"}, false},
		{map[string]string{"LC_ALL": "C", "LC_CTYPE": "C.utf8", "LANG": ""}, true},
		{map[string]string{"LC_ALL": "", "LC_CTYPE": "", "LANG": "de_DE.ISO-8859-1"}, true},
	} {
		for name, value := range row.env {
			t.Setenv(name, value)
		}
		got := explainSamples(t, in).out
		isASCII := strings.IndexFunc(got, func(c rune) bool { return c > '~' }) < 0
		if isASCII != row.ascii || strings.Contains(got, "\x1b") || row.ascii != strings.Contains(got, "NO audience") || row.ascii == strings.Contains(got, "✗ audience") {
			t.Errorf("%v: %s", row.env, got)
		}
	}
	for _, s := range []style{{}, {color: true}} {
		if got := s.paint(red, "✗"); strings.Contains(got, "\x1b") != s.color {
			t.Errorf("%+v paints %q", s, got)
		}
	}
	terminal, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	if styleOf(terminal).color {
		t.Error("the null device counts as a terminal")
	}
}

var failing = regexp.MustCompile(`(?m)^  ✗ (.{20})`)

// TestExplainAgrees (A2, R-OB-01): for every token of the corpus and for damaged ones,
// --explain says what verify says, marks a check with ✗ exactly if the token is refused,
// and shows no piece of the token.
func TestExplainAgrees(t *testing.T) {
	var corpus struct {
		Configs map[string]struct {
			Algs     []string
			Audience string
			Issuers  []struct{ Issuer, JWKS string }
			Now      int64
		}
		Cases []struct{ Config, JWKS, Token string }
		JWKS  map[string]struct{ Document string }
	}
	if err := json.Unmarshal([]byte(read(t, "../../testdata/cases-public.json")), &corpus); err != nil {
		t.Fatal(err)
	}
	base := corpus.Configs["base"]
	dir := folder(t, map[string]string{
		"jwks.json":   corpus.JWKS["main"].Document,
		"config.yaml": fmt.Sprintf("issuers:\n  - {url: %q, audiences: [%q], algorithms: [%s], keys: {file: jwks.json}}\n", base.Issuers[0].Issuer, base.Audience, strings.Join(base.Algs, ", ")),
	})
	var tokens []string
	for _, c := range corpus.Cases {
		if c.Config == "base" && c.JWKS == "main" && c.Token != "" {
			tokens = append(tokens, c.Token)
		}
	}
	good := tokens[0]
	for at := 0; at < len(good); at += 50 {
		for _, damage := range []string{"*", "", ".", "=", "\xff"} {
			tokens = append(tokens, strings.ToValidUTF8(good[:at]+damage+good[at+1:], "\ufffd"))
		}
	}
	var in strings.Builder
	for i, token := range tokens {
		in.WriteString(line(t, map[string]any{"name": fmt.Sprintf("case %d", i), "token": token}))
	}
	args := []string{"verify", "--config", filepath.Join(dir, "config.yaml"), "--at", fmt.Sprint(base.Now)}
	verdicts := strings.Split(strings.TrimSpace(invoke(t, in.String(), args...).out), "\n")
	explained := strings.Split(strings.TrimSpace(invoke(t, in.String(), append(args, "--explain")...).out), "\ncase ")
	if len(verdicts) != len(tokens) || len(explained) != len(tokens) {
		t.Fatalf("%d tokens, %d verdicts, %d explanations: %s", len(tokens), len(verdicts), len(explained), invoke(t, in.String(), args...).err)
	}
	for i, text := range explained {
		var v struct {
			Accept bool
			Reason string
		}
		if err := json.Unmarshal([]byte(verdicts[i]), &v); err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(text, "\n")
		if v.Accept != strings.HasSuffix(first, ": accepted") || !v.Accept && !strings.Contains(first, ": refused: "+v.Reason+", status ") {
			t.Errorf("%s, and explained: %s", verdicts[i], first)
		}
		if failed := failing.FindString(text); v.Accept != (failed == "") || v.Accept && strings.Contains(text, "not reached") {
			t.Errorf("%s, and explained:\n%s", verdicts[i], text)
		}
		if piece := issuertest.Shows(text, issuertest.SecretsOf(tokens[i])...); piece != "" {
			t.Errorf("%q is shown:\n%s", piece, text)
		}
		checkExplainedNames(t, text)
	}
}

// checkExplainedNames checks that an explanation names keys of the file and no fields of Go.
func checkExplainedNames(t *testing.T, text string) {
	t.Helper()
	if name := regexp.MustCompile(`\b(Issuer|Config|Client)\.[A-Z]\w+|ProfileLegacy`).FindString(text); name != "" && name != "Issuer.Mappings" {
		t.Errorf("%s is a name of Go:\n%s", name, text)
	}
}

// TestPasteEnds: what is pasted may end anywhere.
func TestPasteEnds(t *testing.T) {
	good := token(t, "good, RS256")
	whole := strings.Split(curl("GET /orders/7", good), "\n")
	for n := range whole {
		var p paste
		var found []input
		for number, text := range whole[:n+1] {
			inputs, err := p.line(text, number)
			if err != nil && !errors.Is(err, errLine) {
				t.Error(err)
			}
			found = append(found, inputs...)
		}
		found = append(found, p.end()...)
		if len(found) != 1 || found[0].presentation.Token != good || n >= 6 && found[0].route != "GET /orders/7" {
			t.Errorf("%d lines: %+v", n+1, found)
		}
	}
}
