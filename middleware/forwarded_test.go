package middleware

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// TestParseAddress has the corners of RFC 7239 §6 and of X-Forwarded-For.
func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "192.0.2.1:1": "192.0.2.1", "192.0.2.1:65535": "192.0.2.1", "::1": "::1", "[::1]": "::1", "[::1]:80": "::1",
		"::ffff:192.0.2.1": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1",
	} {
		if got, ok := parseAddress(text); !ok || got.String() != want {
			t.Errorf("%q: %v, %v, want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", "192.0.2", "192.0.2.256", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:+1", "192.0.2.1:1_0", "192.0.2.1:x", "x:80",
		"[::1", "[]", "[::1]80", "[::1]:", "[::1]:x", "[::1]x80", "[192.0.2.1]", "[192.0.2.1]:80", "[::1%eth0]", "::1%eth0", "fe80::1%1", "[x]", ":80",
	} {
		if got, ok := parseAddress(text); ok {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
	for text, want := range map[string]bool{
		"unknown": true, "Unknown:80": true, "unknown:_port": true, "_a": true, "_a.b-c_D9:_x": true, "_a:1": true, "192.0.2.1": true, "[::1]:1": true,
		"unknown:": false, "unknown:x": false, "_": false, "_a b": false, "_a:_": false, "_é": false, "_\x10": false, "a": false, "": false, "::1": false,
	} {
		if got, ok := parseNode(text); ok != want || ok && strings.ContainsAny(text, "_uU") && got.IsValid() {
			t.Errorf("%q: %v, %v", text, got, ok)
		}
	}
}

// TestQuotedValues has the quoted-strings of RFC 9110 §5.6.4.
func TestQuotedValues(t *testing.T) {
	for text, want := range map[string]string{
		`="a"`: "a", `="a\"b\\"`: `a"b\`, "=\"\ta\"": "\ta", "=\"\\\t\"": "\t", `=""`: "", `="é"`: "é", `=a`: "a",
	} {
		if got, rest, ok := parseValue(text); !ok || got != want || rest != "" {
			t.Errorf("%q: %q, %q, %v", text, got, rest, ok)
		}
	}
	for _, text := range []string{"", "a", "=", `="`, `="a`, `="a\`, "=\"\x00\"", "=\"\n\"", "=\"\x7f\"", "=\"\\\x00\"", "=\"\\\x7f\"", "=\"\\\n\""} {
		if got, _, ok := parseValue(text); ok {
			t.Errorf("%q is taken as %q", text, got)
		}
	}
}

// FuzzForwarded covers R-BT-11: whatever a field says, what is read of it can
// stand in a URL, and an address that was appended last is the one that counts.
func FuzzForwarded(f *testing.F) {
	for _, text := range []string{
		"", "for=192.0.2.1", `for="[2001:db8::1]:80";proto=https;host=a.test`, "for=unknown, for=_x", `for="a\"b"`, "for=a;for=b", "host=a/b", ";", ",",
	} {
		f.Add(text)
	}
	g := &Guard{proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	f.Fuzz(func(t *testing.T, text string) {
		hops, err := parseForwarded([]string{text})
		for _, h := range hops {
			if h.scheme != "" && !isScheme(h.scheme) || h.host != "" && (!isHost(h.host) || strings.ContainsAny(h.host, "/?#@ \\\"")) {
				t.Errorf("%q was read as %+v", text, h)
			}
		}
		appended, again := parseForwarded([]string{text, "for=192.0.2.1"})
		if (err == nil) != (again == nil) {
			t.Errorf("%q: %v, and with another line %v", text, err, again)
		}
		if said := g.outermost(appended); again == nil && said.client.String() != "192.0.2.1" {
			t.Errorf("%q: %+v", text, said)
		}
	})
}

// TestForwardedParameters: what a client may put into an element is bounded.
func TestForwardedParameters(t *testing.T) {
	for count, want := range map[int]bool{1: true, maxParameters: true, maxParameters + 1: false} {
		var element strings.Builder
		for i := range count - 1 {
			fmt.Fprintf(&element, "p%d=1;", i)
		}
		hops, err := parseForwarded([]string{element.String() + "for=192.0.2.1, " + element.String() + "for=192.0.2.2"})
		if (err == nil) != want || want && len(hops) != 2 {
			t.Errorf("%d parameters: %v, %v", count, hops, err)
		}
	}
}

// TestForwardedExtensions: parameters that nobody here reads follow the grammar
// too (RFC 7239 §4).
func TestForwardedExtensions(t *testing.T) {
	for field, want := range map[string]bool{
		`ext=a`: true, `ext="a b"`: true, `by=_x;ext=a, by="[::1]"`: true,
		`ext`: false, `ext=`: false, `ext="a`: false, `ext="a\`: false, `by=;for=192.0.2.1`: false, `=a`: false, `ext=a;ext=b`: false,
	} {
		if _, err := parseForwarded([]string{field}); (err == nil) != want {
			t.Errorf("%s: %v", field, err)
		}
	}
}
