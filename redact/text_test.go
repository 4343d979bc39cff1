package redact_test

import (
	"net/url"
	"testing"

	"github.com/sallyport-auth/sallyport/redact"
)

// TestText (R-OB-01): where the credentials of texts begin and end, to the byte.
func TestText(t *testing.T) {
	for text, want := range map[string]string{
		// quotes
		`token='a b' stays`:      `token='[redacted]' stays`,
		"token=`a b` stays":      "token=`[redacted]` stays",
		`token="a\"b" stays`:     `token="[redacted]" stays`,
		`token="a b`:             `token="[redacted]`,
		`{\"token\":\"a\",\"b\"`: `{\"token\":\"[redacted]\",\"b\"`,
		`token=\"a b`:            `token=\"[redacted]`,
		// separators
		"token=abc":    "token=[redacted]",
		"token => abc": "token => [redacted]",
		"token > abc":  "token > abc",
		"token=":       "token=",
		"token: ":      "token: ",
		"token%":       "token%",
		"token%2":      "token%2",
		"token:\tAbc1": "token:\t[redacted]",
		// lists
		"token=[a [b] c] stays":   "token=[[redacted]] stays",
		"token={a {b} c} stays":   "token={[redacted]} stays",
		"token=[a":                "token=[[redacted]",
		"token=[]string{a} stays": "token=[]string{[redacted]} stays",
		"token=[]string stays":    "token=[[redacted]]string stays",
		"token=[]string":          "token=[[redacted]]string",
		"token=abc{x} stays":      "token=[redacted]} stays",
		// schemes
		"Basic dXNlcjpwYXNz":     "Basic [redacted]",
		"Bearer Abcdefgh":        "Bearer [redacted]",
		"Bearer Abcdefg":         "Bearer Abcdefg",
		"Bearer requests failed": "Bearer requests failed",
		"Bearer requests.failed": "Bearer requests.failed",
		"Bearer abcdefgh~":       "Bearer [redacted]",
		"/basic/Reference1":      "/basic/Reference1",
		"/basic/20Reference1":    "/basic/20Reference1",
		// names
		"api_key=abc stays":              "api_key=[redacted] stays",
		"Cookie: a=b; c=d\nstays":        "Cookie: [redacted]\nstays",
		"Set-Cookie: a=b\r\nstays":       "Set-Cookie: [redacted]\r\nstays",
		"Authorization: Custom a b\nc":   "Authorization: [redacted]\nc",
		"client_secret: abc stays":       "client_secret: [redacted] stays",
		"password: abc stays":            "password: [redacted] stays",
		"passwd: abc stays":              "passwd: [redacted] stays",
		"token: expired. try":            "token: expired. try",
		"token: abc~ stays":              "token: [redacted] stays",
		"the PRIVATE KEY----- is a line": "the PRIVATE KEY----- is a line",
		// JWTs
		"eyJabcdefgh stays":         "[redacted] stays",
		`eyJabcdefgh\" stays`:       `[redacted]\" stays`,
		"eyJabcdefg":                "eyJabcdefg",
		"x_eyJabcdefgh.abc, stays":  "x_[redacted], stays",
		"x_eyJabcdefgh-----BEGIN a": "x_[redacted] a",
	} {
		if got := redact.Text(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// TestEnds (R-OB-01): each character that ends a value, and each that is part of a token.
func TestEnds(t *testing.T) {
	for _, c := range "&,;\"')]}`# \t\n" {
		end := string(c) + "stays"
		if got, want := redact.Text("token=A1"+end), "token=[redacted]"+end; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, c := range ".~+/=%-_" {
		if got, want := redact.Text("Bearer A1"+string(c)+"bcdef stays"), "Bearer [redacted] stays"; got != want {
			t.Errorf("%c: %q, want %q", c, got, want)
		}
	}
	for _, c := range "/?#\"'`<>\\ \n" {
		text := "https://api.example" + string(c) + "a@b"
		if got := redact.Text(text); got != text {
			t.Errorf("%q became %q: there is no user information", text, got)
		}
	}
}

// TestParameters (A1): each parameter of a query is on its own, with both separators.
func TestParameters(t *testing.T) {
	for query, want := range map[string]string{
		"a=1&code=x&b=2": "a=1&code=[redacted]&b=2",
		"a=1;code=x;b=2": "a=1&code=[redacted]&b=2",
		"code=&b=2":      "code=&b=2",
		"code":           "code",
	} {
		if got := redact.URL(&url.URL{Path: "/", RawQuery: query}); got != "/?"+want {
			t.Errorf("%q became %q, want /?%s", query, got, want)
		}
	}
}
