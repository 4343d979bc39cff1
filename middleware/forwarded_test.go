package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
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

// FuzzForwarded covers R-BT-11 for any text in a field: the scheme and host that are
// read can be part of a URL, and the address that was appended last counts.
func FuzzForwarded(f *testing.F) {
	for _, text := range []string{
		"", "for=192.0.2.1", `for="[2001:db8::1]:80";proto=https;host=a.test`, "for=unknown, for=_x", `for="a\"b"`, "for=a;for=b", "host=a/b", ";", ",",
		`host="`, `host="\`, `for=_x;host="a" ; proto=a:b`, `x="`,
	} {
		f.Add(text)
	}
	g := &Guard{challenger: new(challenger), proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	f.Fuzz(func(t *testing.T, text string) {
		hops, err := parseForwarded([]string{text}, false)
		for _, h := range hops {
			if h.scheme != "" && h.scheme != "http" && h.scheme != "https" || h.host != "" && (!isHost(h.host) || strings.ContainsAny(h.host, "/?#@ \\\"")) {
				t.Errorf("%q was read as %+v", text, h)
			}
		}
		appended, again := parseForwarded([]string{text, "for=192.0.2.1"}, false)
		if (err == nil) != (again == nil) {
			t.Errorf("%q: %v, and with another line %v", text, err, again)
		}
		if said := g.outermost(appended); again == nil && said.client.String() != "192.0.2.1" {
			t.Errorf("%q: %+v", text, said)
		}
		for _, clientOnly := range []bool{false, true} {
			hops, err := parseForwarded([]string{text + `, for="192.0.2.1";host="api.test"`}, clientOnly)
			if said := g.outermost(hops); err == nil && said.client.String() != "192.0.2.1" {
				t.Errorf("%q, clientOnly %v: %+v", text, clientOnly, said)
			}
			if clientOnly && slices.ContainsFunc(hops, func(h hop) bool { return h.scheme != "" || h.host != "" }) {
				t.Errorf("%q: a scheme or host was read: %+v", text, hops)
			}
		}
	})
}

// TestForwardedParameters shows that the number of parameters in an element is
// bounded.
func TestForwardedParameters(t *testing.T) {
	for count, want := range map[int]bool{1: true, maxParameters: true, maxParameters + 1: false} {
		var element strings.Builder
		for i := range count - 1 {
			fmt.Fprintf(&element, "p%d=1;", i)
		}
		hops, err := parseForwarded([]string{element.String() + "for=192.0.2.1, " + element.String() + "for=192.0.2.2"}, false)
		if (err == nil) != want || want && len(hops) != 2 {
			t.Errorf("%d parameters: %v, %v", count, hops, err)
		}
	}
}

// TestForwardedExtensions shows that parameters which are not read follow the grammar
// too (RFC 7239 §4).
func TestForwardedExtensions(t *testing.T) {
	for field, want := range map[string]bool{
		`ext=a`: true, `ext="a b"`: true, `by=_x;ext=a, by="[::1]"`: true,
		`ext`: false, `ext=`: false, `ext="a`: false, `ext="a\`: false, `by=;for=192.0.2.1`: false, `=a`: false, `ext=a;ext=b`: false,
	} {
		if _, err := parseForwarded([]string{field}, false); (err == nil) != want {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// forwardingBounds are fields in which a client repeats something.
var forwardingBounds = []struct{ name, before, repeated, after string }{
	{"Forwarded", "", "for=_a,", "for=192.0.2.1"},
	{"Forwarded", "", "for=192.0.2.7,", "for=192.0.2.1"},
	{"Forwarded", "", "host=a;proto=http,", "for=192.0.2.1"},
	{"Forwarded", "", `x="\a", `, "for=192.0.2.1"},
	{"Forwarded", "", ",", "for=192.0.2.1"},
	{"X-Forwarded-For", "", "10.0.0.7, ", "192.0.2.1"},
	{"X-Forwarded-For", "", ",", "192.0.2.1"},
	{"X-Forwarded-For", "", "x, ", "192.0.2.1"},
	{"X-Forwarded-Proto", "", "https,", "https"},
	{"X-Forwarded-Proto", "", ",", ""},
	{"X-Forwarded-Host", "", "api.test,", "api.test"},
	{"Forwarded", `x="`, `\a`, `";for=192.0.2.1`},
	{"Forwarded", `host="`, `\a`, `";for=192.0.2.1`},
	{"Forwarded", `host="`, `a`, `";for=192.0.2.1`},
	{"Forwarded", "proto=", "A", ";for=192.0.2.1"},
	{"Forwarded", `for="_`, "a", `"`},
	{"Forwarded", `for="192.0.2.1:`, "1", `"`},
	{"Forwarded", "", "X", "=1;for=192.0.2.1"},
	{"X-Forwarded-For", "192.0.2.1:", "1", ""},
	{"X-Forwarded-For", "", "1", ".1.1.1"},
	{"X-Forwarded-Proto", "", "A", ""},
	{"X-Forwarded-Host", "", "a", ":1"},
	{"X-Forwarded-Host", "a:", "1", ""},
}

// TestForwardingAllocates covers R-BT-11: reading a field of 64 kB, in one line or in
// many, takes less memory than the field itself.
func TestForwardingAllocates(t *testing.T) {
	const size = 64 << 10
	trusting := &Guard{challenger: new(challenger), proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	public := &Guard{challenger: new(challenger), proxies: trusting.proxies, public: &url.URL{Scheme: "https", Host: "api.test"}}
	for _, row := range forwardingBounds {
		one := row.before + strings.Repeat(row.repeated, size/len(row.repeated)) + row.after
		var lines []string
		for range size / len(row.repeated) {
			lines = append(lines, strings.Trim(row.before+row.repeated, ", ")+row.after)
		}
		for name, values := range map[string][]string{"one line": {one}, "many lines": lines} {
			for _, g := range []*Guard{trusting, public} {
				r := &http.Request{RemoteAddr: "10.0.0.1:1", Host: "api.test", Header: http.Header{row.name: values}}
				if bytes := allocated(func() { _, _ = g.Arrival(r) }); bytes > size {
					t.Errorf("%s: %s%s…%s in %s: %d bytes", row.name, row.before, row.repeated, row.after, name, bytes)
				}
			}
		}
	}
}

// allocated returns how many bytes one run of f allocates.
func allocated(f func()) uint64 {
	const runs = 4
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / runs
}

// TestForwardingHops shows that a field may have maxHops hops in all its lines
// together, and no more.
func TestForwardingHops(t *testing.T) {
	trusting := &Guard{challenger: new(challenger), proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for _, row := range []struct{ name, hop string }{
		{"Forwarded", "for=192.0.2.1"}, {"X-Forwarded-For", "192.0.2.1"}, {"X-Forwarded-Proto", "https"}, {"X-Forwarded-Host", "api.test"},
	} {
		for hops, want := range map[int]error{1: nil, maxHops: nil, maxHops + 1: errHops, 2000: errHops} {
			one := strings.TrimSuffix(strings.Repeat(row.hop+", ", hops), ", ")
			many := slices.Repeat([]string{row.hop}, hops)
			for _, values := range [][]string{{one}, many, append(many[:hops-1:hops-1], row.hop)} {
				header := http.Header{row.name: values}
				if row.name == "X-Forwarded-Proto" || row.name == "X-Forwarded-Host" { // once for each hop
					header["X-Forwarded-For"] = slices.Repeat([]string{"192.0.2.1"}, min(hops, maxHops))
				}
				r := &http.Request{RemoteAddr: "10.0.0.1:1", Host: "api.test", Header: header}
				if _, err := trusting.Arrival(r); !errors.Is(err, want) {
					t.Errorf("%s, %d hops in %d lines: %v, want %v", row.name, hops, len(values), err, want)
				}
			}
		}
	}
}
