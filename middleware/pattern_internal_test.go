package middleware

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/scopes"
)

// randomPattern makes a path pattern of few segments, so that two of them often
// have something in common.
func randomPattern(random *rand.Rand) string {
	var text strings.Builder
	for i := range random.IntN(4) {
		text.WriteByte('/')
		text.WriteString([]string{"a", "b", "%61", "{x" + string(rune('0'+i)) + "}"}[random.IntN(4)])
	}
	switch end := []string{"", "/", "/{$}", "/{rest...}"}[random.IntN(4)]; {
	case end == "" && text.Len() == 0:
		return "/"
	default:
		return text.String() + end
	}
}

// shortPaths are all clean paths of up to four segments of the alphabet of
// randomPattern and one more letter.
func shortPaths() []string {
	all, last := []string{"/"}, []string{""}
	for range 4 {
		var next []string
		for _, path := range last {
			for _, segment := range []string{"a", "b", "c"} {
				next = append(next, path+"/"+segment)
				all = append(all, path+"/"+segment, path+"/"+segment+"/")
			}
		}
		last = next
	}
	return all
}

// TestPatternAgreesWithServeMux shows that a pattern matches the paths and hosts
// for which ServeMux finds its handler.
func TestPatternAgreesWithServeMux(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	paths := append(shortPaths(), "/%61", "/%C3%A4/a", "/a%20b")
	for range 300 {
		text := []string{"", "api.test"}[random.IntN(2)] + randomPattern(random)
		p, mux := parsePattern("GET \t"+text), http.NewServeMux()
		mux.Handle("GET \t"+text, http.NotFoundHandler())
		for _, path := range paths {
			for _, host := range []string{"api.test", "api.test:443", "www.test"} {
				r := httptest.NewRequest(http.MethodGet, path, nil)
				r.Host = host
				handler, found := mux.Handler(r)
				matched, want := p.matches(hostname(host), path), found != "" && !isRedirect(handler, r)
				if matched != want {
					t.Fatalf("%s on %s%s: %v, ServeMux %v", text, host, path, matched, want)
				}
			}
		}
	}
}

// matches reports whether p matches path, as the tree finds it.
func (p *pattern) matches(host, path string) bool {
	named := *p
	named.method = "NAMED"
	return newPatternTree([]*pattern{&named}).hasOther("OTHER", host, path)
}

// isRedirect reports whether handler sends the client elsewhere.
func isRedirect(handler http.Handler, r *http.Request) bool {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code/100 == 3
}

// TestPatternTree shows that a tree of many patterns finds the same patterns as one
// tree for each.
func TestPatternTree(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		patterns := make([]*pattern, 6)
		for i := range patterns {
			patterns[i] = parsePattern([]string{"GET ", "HEAD ", "PUT "}[random.IntN(3)] + []string{"", "api.test"}[random.IntN(2)] + randomPattern(random))
		}
		tree := newPatternTree(patterns)
		for _, path := range shortPaths() {
			for _, method := range []string{"GET", "HEAD", "PUT", "POST"} {
				want := false
				for _, p := range patterns {
					want = want || p.matches("api.test", path) && !p.serves(method)
				}
				if got := tree.hasOther(method, "api.test", path); got != want {
					t.Fatalf("%s %s: %v, want %v", method, path, got, want)
				}
			}
		}
	}
}

// TestPatternRelations shows that covers and meets agree with the paths that the
// patterns match.
func TestPatternRelations(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	paths := shortPaths()
	seen := map[[2]bool]int{}
	for range 3000 {
		p, q := parsePattern(randomPattern(random)), parsePattern(randomPattern(random))
		covers, meets := true, false
		for _, path := range paths {
			if q.matches("", path) {
				covers = covers && p.matches("", path)
				meets = meets || p.matches("", path)
			}
		}
		if p.covers(q) != covers || p.meets(q) != meets || q.meets(p) != meets {
			t.Errorf("%s and %s: covers %v, meets %v, the paths say %v, %v", p.text, q.text, p.covers(q), p.meets(q), covers, meets)
		}
		seen[[2]bool{covers, meets}]++
	}
	if len(seen) != 3 { // what covers another also meets it
		t.Errorf("some relation did not occur: %v", seen)
	}
}

// TestPatternHosts shows covers and meets for patterns with hosts.
func TestPatternHosts(t *testing.T) {
	for _, test := range []struct {
		p, q          string
		covers, meets bool
	}{
		{"/", "a.test/x", true, true},
		{"a.test/", "/x", false, true},
		{"a.test/", "a.test/x", true, true},
		{"a.test/", "b.test/x", false, false},
		{"PUT a.test/", "GET \t a.test/x", true, true},
	} {
		p, q := parsePattern(test.p), parsePattern(test.q)
		if p.covers(q) != test.covers || p.meets(q) != test.meets {
			t.Errorf("%s and %s: covers %v, meets %v", test.p, test.q, p.covers(q), p.meets(q))
		}
	}
}

// TestPatternSlashes shows the other spellings of a pattern's path.
func TestPatternSlashes(t *testing.T) {
	for text, want := range map[string][2]bool{ // with and without a slash
		"/":            {false, false},
		"/{$}":         {false, false},
		"/{rest...}":   {false, false},
		"/a":           {true, false},
		"/a/{id}":      {true, false},
		"/a/":          {false, true},
		"/a/{$}":       {false, true},
		"/a/{rest...}": {false, true},
	} {
		p := parsePattern(text)
		with, without := p.withSlash(), p.withoutSlash()
		if (with != nil) != want[0] || (without != nil) != want[1] ||
			with != nil && !with.matches("", strings.ReplaceAll(text, "{id}", "7")+"/") || without != nil && !without.matches("", "/a") {
			t.Errorf("%s: %v, %v", text, with, without)
		}
	}
}

// TestWarningsAgreeWithMux shows that Warnings names the guarded paths of which the
// Mux serves another spelling by a broader open pattern, and no others.
func TestWarningsAgreeWithMux(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	paths := shortPaths()
	seen := map[bool]int{}
	for range 1500 {
		host := func() string { return []string{"", "", "api.test"}[random.IntN(3)] }
		method := func() string { return []string{"", "GET ", "HEAD ", "PUT "}[random.IntN(4)] }
		open := method() + host() + randomPattern(random)
		guarded := []string{method() + host() + randomPattern(random), method() + host() + randomPattern(random)}
		policy := []scopes.Policy{scopes.Public(), anonymous}[random.IntN(2)]
		m := muxOfPatterns(open, policy, guarded)
		if m == nil {
			continue // the patterns conflict
		}
		p, g := m.entries[0], m.entries[1]
		for i, spelling := range []*pattern{g.pattern.withSlash(), g.pattern.withoutSlash()} {
			if spelling == nil || spelling.covers(p.pattern) {
				continue
			}
			want := false
			for _, path := range paths {
				for _, host := range []string{"api.test", "www.test"} {
					want = want || spelling.matches(host, path) && reaches(m, p, g.pattern.method, host, path)
				}
			}
			if got := openings[i].serves(p, g, m.entries); got != want {
				t.Errorf("%q %v, %q guarded: %v, the paths say %v: %q", open, policy, guarded, got, want, openings[i].advice)
			}
			seen[want]++
		}
	}
	if len(seen) != 2 {
		t.Errorf("not both answers occurred: %v", seen)
	}
}

// TestOptionalAgreesWithPublic shows that a Mux looks up requests in the same way
// whether its open patterns are public or optional.
func TestOptionalAgreesWithPublic(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	paths := shortPaths()
	kept := 0 // requests that an open pattern does not serve because of a guarded one
	for range 200 {
		line := func() string {
			return []string{"", "GET ", "PUT ", "OPTIONS "}[random.IntN(4)] + []string{"", "", "api.test"}[random.IntN(3)] + randomPattern(random)
		}
		open, guarded := line(), []string{line(), line()}
		public, optional := muxOfPatterns(open, scopes.Public(), guarded), muxOfPatterns(open, anonymous, guarded)
		if public == nil {
			continue // the patterns conflict
		}
		for _, path := range paths {
			for _, method := range []string{"GET", "PUT", "OPTIONS", "POST"} {
				r := httptest.NewRequest(method, path, nil)
				r.Host = "api.test"
				if got, want := optional.find(r), public.find(r); got.name() != want.name() {
					t.Fatalf("%q open, %q guarded: %s %s: optional %q, public %q", open, guarded, method, path, got.name(), want.name())
				}
				if got, want := optional.AllowedMethods(r), public.AllowedMethods(r); !slices.Equal(got, want) {
					t.Fatalf("%q open, %q guarded: %s: allowed %q, public %q", open, guarded, path, got, want)
				}
				if optional.lookUp(r) == optional.entries[0] && optional.find(r) == nil {
					kept++
				}
			}
		}
		got, want := optional.openingTexts(), public.openingTexts()
		if !slices.Equal(got, want) {
			t.Errorf("%q open, %q guarded: openings %q, public %q", open, guarded, got, want)
		}
	}
	if kept == 0 {
		t.Error("no guarded pattern kept an open one from serving a request")
	}
}

// anonymous is a policy that admits callers with and without a token.
var anonymous = scopes.Optional(scopes.Authenticated())

func (e *entry) name() string {
	if e == nil {
		return ""
	}
	return e.pattern.text
}

// openingTexts returns what the first pattern of m serves more than was intended.
func (m *Mux) openingTexts() (texts []string) {
	for _, guarded := range m.entries[1:] {
		for _, o := range openings {
			if o.serves(m.entries[0], guarded, m.entries) {
				texts = append(texts, guarded.pattern.text+" "+o.advice)
			}
		}
	}
	return texts
}

// muxOfPatterns makes a Mux with one pattern of the policy open, which comes first,
// and guarded ones, or returns nil if they conflict.
func muxOfPatterns(text string, open scopes.Policy, others []string) (m *Mux) {
	m = &Mux{guard: new(Guard), mux: http.NewServeMux(), unlisted: new(Route)}
	register := func(text string, policy scopes.Policy) bool {
		problem, _ := m.register(&entry{pattern: parsePattern(text), handler: &guarded{route: &Route{policy: policy}}})
		return problem == ""
	}
	if !register(text, open) {
		return nil
	}
	for _, text := range others {
		if !register(text, scopes.Authenticated()) {
			return nil
		}
	}
	return m
}

// reaches reports whether m serves path on host by e under method, or under some
// method if method is "".
func reaches(m *Mux, e *entry, method, host, path string) bool {
	served := []string{method}
	switch method {
	case "":
		served = []string{"GET", "HEAD", "PUT", "POST"}
	case http.MethodGet:
		served = append(served, http.MethodHead)
	}
	for _, name := range served {
		r := httptest.NewRequest(name, path, nil)
		r.Host = host
		if m.find(r) == e {
			return true
		}
	}
	return false
}
