package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const samples = "../../examples/verify"

// sampleTime is the time at which the samples are to be verified.
const sampleTime = "1700000000"

// result is the exit status and the output of one run.
type result struct {
	status   int
	out, err string
}

func invoke(t *testing.T, in string, args ...string) result {
	t.Helper()
	var out, err bytes.Buffer
	status := execute(args, streams{strings.NewReader(in), &out, &err})
	return result{status, out.String(), err.String()}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// folder makes a folder with these files and returns its path.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// token returns the token of the sample called name.
func token(t *testing.T, name string) string {
	t.Helper()
	for line := range strings.Lines(read(t, samples+"/tokens.ndjson")) {
		var s struct{ Name, Token string }
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		if s.Name == name {
			return s.Token
		}
	}
	t.Fatalf("no sample %q", name)
	return ""
}

func line(t *testing.T, members map[string]any) string {
	t.Helper()
	b, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(b) + "\n"
}

func verifySamples(t *testing.T, in string) result {
	t.Helper()
	return invoke(t, in, "verify", "--config", samples+"/sallyport.yaml", "--at", sampleTime)
}

// TestSamples runs the command of the README.
func TestSamples(t *testing.T) {
	got := verifySamples(t, read(t, samples+"/tokens.ndjson"))
	if got.status != exitDone || got.out != read(t, samples+"/expected.ndjson") {
		t.Errorf("status %d\n%s\n%s", got.status, got.out, got.err)
	}
	if !strings.Contains(got.err, `warning: issuer "https://issuer.example": keys[3]`) {
		t.Errorf("no warning of the unusable key: %s", got.err)
	}
}

func TestClock(t *testing.T) {
	in := line(t, map[string]any{"name": "a", "token": token(t, "good, ES256")})
	for _, test := range []struct {
		at   []string
		want string
	}{
		{[]string{"--at", "1700000629"}, `"accept":true`},
		{[]string{"--at", "1700000630"}, `"reason":"expired"`},
		{nil, `"reason":"expired"`},
	} {
		args := append([]string{"verify", "--config", samples + "/sallyport.yaml"}, test.at...)
		if got := invoke(t, in, args...); got.status != exitDone || !strings.Contains(got.out, test.want) {
			t.Errorf("%v: status %d, %s, want %s", test.at, got.status, got.out, test.want)
		}
	}
}

func TestInputMembers(t *testing.T) {
	good := token(t, "good, RS256")
	certificate := "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
	for _, test := range []struct {
		name   string
		in     map[string]any
		status int
		want   string // in the output, or in standard error for an unreadable line
	}{
		{"defaults", map[string]any{"token": good}, exitDone, `"accept":true`},
		{"others are ignored", map[string]any{"token": good, "comment": []int{1}}, exitDone, `"accept":true`},
		{"bearer in any case", map[string]any{"token": good, "scheme": "bEARER"}, exitDone, `"accept":true`},
		{"DPoP", map[string]any{"token": good, "scheme": "DPoP", "dpop": []string{"x"}}, exitDone, `"reason":"binding_mismatch","status":401`},
		{"another scheme", map[string]any{"token": good, "scheme": "Basic"}, exitDone, `"reason":"no_credentials","status":401,"challenges":["Bearer realm=\"api\""]`},
		{"request", map[string]any{"token": good, "method": "GET", "url": "https://api.example/x"}, exitDone, `"accept":true`},
		{"empty token", map[string]any{"token": ""}, exitDone, `"reason":"malformed_request","status":400`},
		{"large token", map[string]any{"token": strings.Repeat("a", 16385)}, exitDone, `"reason":"too_large","status":400`},
		{"matched route", map[string]any{"token": good, "route": "GET /orders/7"}, exitDone, `"accept":true`},
		{"pattern", map[string]any{"token": good, "route": "GET /orders/{id}"}, exitDone, `"accept":true`},
		{"route of HEAD", map[string]any{"token": good, "route": "HEAD /orders/7"}, exitDone, `"accept":true`},
		{"scope missing", map[string]any{"token": good, "route": "POST /orders"}, exitDone, `"reason":"insufficient_scope","status":403`},
		{"bad token on a route", map[string]any{"token": good + "A", "route": "POST /orders"}, exitDone, `"reason":"bad_signature","status":401`},
		{"unlisted route", map[string]any{"token": good, "route": "GET /other"}, exitDone, `"reason":"forbidden","status":404,"challenges":[]`},
		{"unlisted method", map[string]any{"token": good, "route": "DELETE /orders/7"}, exitDone, `"reason":"forbidden","status":405,"challenges":[]`},
		{"bad token on an unlisted route", map[string]any{"token": "a", "route": "DELETE /orders/7"}, exitDone, `"reason":"malformed_token","status":401`},
		{"CONNECT", map[string]any{"token": good, "route": "CONNECT /orders/7"}, exitDone, `"reason":"malformed_request","status":400`},
		{"no method", map[string]any{"token": good, "route": " /orders/7"}, exitDone, `"reason":"malformed_request","status":400`},
		{"method not a token", map[string]any{"token": good, "route": "gät /orders/7"}, exitDone, `"reason":"malformed_request","status":400`},
		{"unclean path", map[string]any{"token": good, "route": "GET /orders/../orders/7"}, exitDone, `"reason":"malformed_request","status":400,"challenges":[]`},
		{"encoded slash", map[string]any{"token": good, "route": "GET /orders%2F7"}, exitDone, `"reason":"malformed_request","status":400`},
		{"route without path", map[string]any{"token": good, "route": "orders"}, exitDone, `"reason":"malformed_request","status":400`},
		{"empty route", map[string]any{"token": good, "route": ""}, exitDone, `"reason":"malformed_request","status":400`},
		{"no token", map[string]any{"name": "x"}, exitInput, "input line 1: not a valid input line: the member token is missing"},
		{"token a number", map[string]any{"token": 1}, exitInput, "token: must be a string"},
		{"name a number", map[string]any{"token": good, "name": 1}, exitInput, "name: must be a string"},
		{"scheme a number", map[string]any{"token": good, "scheme": 1}, exitInput, "scheme: must be a string"},
		{"proofs a string", map[string]any{"token": good, "dpop": "x"}, exitInput, "dpop: must be an array of strings"},
		{"proof a number", map[string]any{"token": good, "dpop": []int{1}}, exitInput, "dpop: must be a string"},
		{"URL broken", map[string]any{"token": good, "url": ":"}, exitInput, "url: is not a URL"},
		{"URL a number", map[string]any{"token": good, "url": 1}, exitInput, "url: must be a string"},
		{"no certificate", map[string]any{"token": good, "cert": "x"}, exitInput, "cert: is not a certificate in PEM"},
		{"certificate broken", map[string]any{"token": good, "cert": certificate}, exitInput, "cert: is not an X.509 certificate"},
		{"certificate a number", map[string]any{"token": good, "cert": 1}, exitInput, "cert: must be a string"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := verifySamples(t, line(t, test.in))
			if text := got.out + got.err; got.status != test.status || !strings.Contains(text, test.want) {
				t.Errorf("status %d, %s, want %d, %s", got.status, text, test.status, test.want)
			}
			if strings.Contains(got.err, good) {
				t.Errorf("standard error holds the token: %s", got.err)
			}
		})
	}
}

// TestUnreadableLines checks that every bad line is named and every other is verified.
func TestUnreadableLines(t *testing.T) {
	good := token(t, "good, EdDSA")
	var in strings.Builder
	in.WriteString(line(t, map[string]any{"name": "1", "token": good}))
	in.WriteString("\n \n")
	in.WriteString("{broken\n")
	in.WriteString(`{"name":"5","token":"a","token":"b"}` + "\n")
	in.WriteString(`["6"]` + "\n")
	in.WriteString(`{"token":"` + strings.Repeat("a", maxLine) + "\"}\n")
	in.WriteString(strings.TrimSuffix(line(t, map[string]any{"name": "8", "token": good}), "\n"))
	got := verifySamples(t, in.String())
	if got.status != exitInput {
		t.Errorf("status %d, want %d", got.status, exitInput)
	}
	for _, number := range []int{4, 5, 6, 7} {
		if !strings.Contains(got.err, fmt.Sprintf("input line %d: not a valid input line", number)) {
			t.Errorf("line %d is not named: %s", number, got.err)
		}
	}
	if names := verdictNames(got.out); !slices.Equal(names, []string{"1", "8"}) {
		t.Errorf("verified %v, want 1 and 8", names)
	}
	if !strings.Contains(got.err, "2 accepted, 0 refused, 4 unreadable") {
		t.Errorf("no summary: %s", got.err)
	}
}

// TestLongestLine checks that a line of exactly maxLine bytes is verified.
func TestLongestLine(t *testing.T) {
	frame := len(`{"token":""}`)
	got := verifySamples(t, `{"token":"`+strings.Repeat("a", maxLine-frame)+"\"}\n")
	if got.status != exitDone || !strings.Contains(got.out, `"reason":"too_large"`) {
		t.Errorf("status %d, %.200s %.200s", got.status, got.out, got.err)
	}
}

func TestOrder(t *testing.T) {
	tokens := []string{token(t, "good, RS256"), token(t, "expired"), "x"}
	var in strings.Builder
	var want []string
	for i := range 500 {
		want = append(want, fmt.Sprint(i))
		in.WriteString(line(t, map[string]any{"name": want[i], "token": tokens[i%len(tokens)]}))
	}
	got := verifySamples(t, in.String())
	if names := verdictNames(got.out); got.status != exitDone || !slices.Equal(names, want) {
		t.Errorf("status %d, order %v", got.status, names)
	}
}

// verdictNames returns the names of the verdicts in their order.
func verdictNames(out string) []string {
	var names []string
	for line := range strings.Lines(out) {
		var v struct{ Name string }
		if json.Unmarshal([]byte(line), &v) == nil {
			names = append(names, v.Name)
		}
	}
	return names
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"--help"}, exitDone, "verify --config=FILE"},
		{[]string{"verify", "--help"}, exitDone, "--at=UNIX_SECONDS"},
		{[]string{"version"}, exitDone, "sallyport "},
		{nil, exitConfig, "see sallyport --help"},
		{[]string{"verify"}, exitConfig, "--config"},
		{[]string{"verify", "--config", "x", "--at", "noon"}, exitConfig, "--at"},
		{[]string{"verfy"}, exitConfig, "verfy"},
		{[]string{"verify", "--config", samples + "/sallyport.yaml", "--at=-1"}, exitConfig, "--at must be from 0 to 2^53"},
		{[]string{"verify", "--config", samples + "/sallyport.yaml", "--at=9007199254740993"}, exitConfig, "--at must be from 0 to 2^53"},
		{[]string{"verify", "--config", samples + "/sallyport.yaml", "--at=9007199254740992"}, exitDone, "0 accepted, 0 refused"},
	} {
		got := invoke(t, "", test.args...)
		if text := got.out + got.err; got.status != test.status || !strings.Contains(text, test.want) {
			t.Errorf("%v: status %d, %s, want %d, %s", test.args, got.status, text, test.status, test.want)
		}
	}
}
