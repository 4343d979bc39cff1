package main

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// repeated returns a list of n elements.
func repeated(element string, n int) string {
	return "[" + strings.Repeat(element+", ", n) + "]"
}

// merges returns n lines of which each merges the mapping of the line before, as
// often as aliases says. The last mapping has the anchor end.
func merges(first string, n, aliases int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "a0: &a0 %s\n", first)
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "a%d: &a%d {<<: %s}\n", i, i, repeated(fmt.Sprintf("*a%d", i-1), aliases))
	}
	return b.String() + fmt.Sprintf("end: &end {<<: *a%d}\n", n-1)
}

// TestAliasesTooOften checks that a small file whose aliases stand for many nodes is
// refused: the number of nodes that are visited has a bound. The fault is the only
// one, since others would follow from it, or be as many.
func TestAliasesTooOften(t *testing.T) {
	rules := "&m " + repeated("{name: a}", 150)
	for _, test := range []struct{ name, config, at string }{
		{"merges", merges("{url: x}", 40, 2) + "issuers:\n- <<: *end\n", `43:3: issuers[0]`},
		{"merges of nothing", merges("{}", 40, 2) + "issuers:\n- <<: *end\n", `43:3: issuers[0]`},
		{"merges of lists", strings.NewReplacer("{<<: [", "[", "]}", "]").Replace(merges("[]", 40, 2)) + "leeway: {<<: *a39}\n", `42:1: leeway`},
		{"merges of unknown keys", merges("{b: x, c: x}", 40, 2) + "limits: {<<: *end}\n", `42:1: limits`},
		{"chain of merges", merges("{url: x}", 1000, 1) + "issuers:\n- <<: *end\n", `1003:3: issuers[0]`},
		{"lists", "issuers:\n- &i {marker: " + rules + ", claims: *m}\n" + strings.Repeat("- *i\n", 150), `2:888: issuers[17].claims[79]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkFaults(t, test.config, []string{test.at + ": uses aliases too often; write out "})
		})
	}
}

// TestAliasesUnderUnknownKeys checks that what an unknown key contains is not visited.
func TestAliasesUnderUnknownKeys(t *testing.T) {
	bomb := merges("{url: x}", 40, 2)
	var want []string
	for i := range strings.Count(bomb, "\n") {
		want = append(want, fmt.Sprintf("%d:1: ", i+1))
	}
	text := checkFaults(t, bomb+minimal, want)
	if n := strings.Count(text, "is not a known key"); n != len(want) {
		t.Errorf("%d unknown keys, want %d:\n%s", n, len(want), text)
	}
}

// TestAliases checks that ordinary aliases are none too many.
func TestAliases(t *testing.T) {
	var config strings.Builder
	config.WriteString("issuers:\n  - &base\n    url: https://issuer0.example\n    audiences: &names " + repeated("https://api.example", 1) +
		"\n    keys: {file: jwks.json}\n    grants: *names\n")
	for i := range 100 {
		fmt.Fprintf(&config, "  - {<<: *base, url: 'https://issuer%d.example'}\n", i+1)
	}
	dir := folder(t, map[string]string{"sallyport.yaml": config.String(), "jwks.json": read(t, samples+"/jwks.json")})
	if _, err := load(filepath.Join(dir, "sallyport.yaml"), ""); err != nil {
		t.Error(err)
	}
}

// TestKeyLength checks that a key has at most 1024 bytes, however often it is used. It
// is part of the path of all values below it, so that a long key above many values
// would take memory that grows with the square of the file's size.
func TestKeyLength(t *testing.T) {
	const most = 1 << 10
	pattern := func(n int) string { return "GET /" + strings.Repeat("a", n-len("GET /")) }
	config := minimal + "routes:\n  ? " + pattern(most) + "\n  : {scopes: {all: [a]}}\n"
	dir := folder(t, map[string]string{"sallyport.yaml": config, "jwks.json": read(t, samples+"/jwks.json")})
	if _, err := load(filepath.Join(dir, "sallyport.yaml"), ""); err != nil {
		t.Errorf("a key of %d bytes: %v", most, err)
	}
	const shown = `GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…`
	tooLong := func(place string, n int) string {
		return fmt.Sprintf(`%s["%s"]: is a key of %d bytes; give at most %d`, place, shown, n, most)
	}
	checkFaults(t, minimal+"routes:\n  ? "+pattern(most+1)+"\n  : {scopes: {all: [a]}}\n", []string{tooLong("6:5: routes", most+1)})
	checkFaults(t, minimal+"? "+pattern(most+1)+"\n: a\n", []string{tooLong("5:3: ", most+1)})
	checkFaults(t, minimal+"    <<: {? "+pattern(most+1)+"\n          : a}\n", []string{tooLong("5:12: issuers[0][\"<<\"]", most+1)})

	huge, values := "GET /"+strings.Repeat("a", 1<<16), repeated("a", 1<<12)
	long := strings.NewReplacer("HUGE", huge, "VALUES", values).Replace("routes:\n  ? 'HUGE'\n  : {scopes: {all: VALUES}}\n")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	checkFaults(t, minimal+long, []string{tooLong("6:5: routes", len(huge))})
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<27 {
		t.Errorf("%d MiB for a file of %d KiB", allocated>>20, len(long)>>10)
	}
}
