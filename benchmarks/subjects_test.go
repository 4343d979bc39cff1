package benchmarks

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/validator"
)

func material(t *testing.T, a jose.Algorithm, tokens int) *Material {
	t.Helper()
	m, err := NewMaterial(a, tokens)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// TestMaterial checks that the tokens have the size for which the figures of other runs
// hold, that they differ, and that every subject accepts them.
func TestMaterial(t *testing.T) {
	for _, a := range Algorithms {
		m := material(t, a, 3)
		want := 715
		if a == jose.RS256 || a == jose.PS256 {
			want = 971
		}
		for _, token := range m.Tokens {
			if len(token) != want {
				t.Errorf("%s: a token of %d bytes, want %d (header %d)", a, len(token), want, len(m.Header()))
			}
		}
		if m.Tokens[0] == m.Tokens[1] || m.Tokens[1] == m.Tokens[2] {
			t.Errorf("%s: two tokens are the same", a)
		}
		floor, err := m.Floor()
		if err != nil {
			t.Fatal(err)
		}
		set, err := jose.ParseSet(m.JWKS, nil)
		if err != nil || len(set.Keys()) != 3 {
			t.Errorf("%s: JWKS: %v, %v", a, err, set.Ignored())
		}
		runs := map[string]Run{"floor": floor, "digest": m.Digest()}
		for _, s := range slices.Concat(everyone(), Layers, Repeats) {
			if runs[s.Name], err = s.Prepare(m); err != nil {
				t.Fatal(err)
			}
		}
		for name, run := range runs {
			for i := range 4 { // one more than the number of tokens
				if err := run(i); err != nil {
					t.Errorf("%s: %s: %v", a, name, err)
				}
			}
		}
	}
}

// TestFloorVerifies checks that the floor refuses the signature of another token.
func TestFloorVerifies(t *testing.T) {
	for _, a := range Algorithms {
		m := material(t, a, 2)
		cut := func(token string) int { return strings.LastIndexByte(token, '.') }
		one, other := m.Tokens[0], m.Tokens[1]
		floor, err := m.With(one[:cut(one)] + other[cut(other):]).Floor()
		if err != nil {
			t.Fatal(err)
		}
		if floor(0) == nil {
			t.Errorf("%s: the floor accepts a bad signature", a)
		}
	}
}

// TestSubjectsRefuse checks that all subjects do what is compared. Every subject refuses what it
// must, with every algorithm. A subject refuses other types if, and only if, its Type
// says so.
func TestSubjectsRefuse(t *testing.T) {
	ours := slices.DeleteFunc(slices.Clone(Repeats), func(s Subject) bool { return !s.Ours })
	for _, s := range slices.Concat(everyone(), ours) {
		t.Run(s.Name, func(t *testing.T) {
			m := material(t, jose.RS256, 1)
			rejects, err := Rejects(m)
			if err != nil {
				t.Fatal(err)
			}
			for _, reject := range rejects {
				judge, err := s.Prepare(m.With(reject.Token))
				if err != nil {
					t.Fatal(err)
				}
				must := s.Ours || !reject.Strict || reject.Name == "type JWT" && s.Type
				if refused := judge(0) != nil; must && !refused {
					t.Errorf("accepts: %s", reject.Name)
				} else if reject.Name == "type JWT" && refused != s.Type {
					t.Errorf("type JWT: refused %v, but Type is %v", refused, s.Type)
				}
			}
			for _, a := range Algorithms {
				refuses(t, s, a)
			}
		})
	}
}

// refuses checks that a subject refuses tokens that differ in one point from a good
// one of a.
func refuses(t *testing.T, s Subject, a jose.Algorithm) {
	t.Helper()
	m := material(t, a, 2)
	now := time.Now()
	sign := func(header, claims string) string {
		token, err := m.Sign(header, claims)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	cut := strings.LastIndexByte(m.Tokens[0], '.')
	header, claims := m.Header(), Claims(now, 0)
	tokens := map[string]string{
		"expired":        sign(header, Claims(now.Add(-2*time.Hour), 0)),
		"wrong audience": sign(header, strings.ReplaceAll(claims, "api.example.com", "api.example.org")),
		"wrong issuer":   sign(header, strings.Replace(claims, "/realms/main", "/realms/evil", 1)),
		"bad signature":  m.Tokens[0][:cut] + m.Tokens[1][strings.LastIndexByte(m.Tokens[1], '.'):],
		"unknown kid":    sign(strings.Replace(header, "2026-11-a", "2026-11-b", 1), claims),
		"alg HS256":      m.forge(claims),
	}
	if other, ok := map[jose.Algorithm]jose.Algorithm{jose.RS256: jose.PS256, jose.PS256: jose.RS256}[a]; ok {
		same := m.With()
		same.Algorithm = other
		token, err := same.Sign(same.Header(), claims)
		if err != nil {
			t.Fatal(err)
		}
		tokens["another algorithm of the same key"] = token
	}
	for name, token := range tokens {
		judge, err := s.Prepare(m.With(token))
		if err != nil {
			t.Fatal(err)
		}
		if judge(0) == nil {
			t.Errorf("%s: accepts: %s", a, name)
		}
	}
	judge, err := s.Prepare(m.With(sign(header, claims)))
	if err != nil {
		t.Fatal(err)
	}
	if err := judge(0); err != nil {
		t.Errorf("%s: refuses a good token: %v", a, err)
	}
}

// TestRejects checks that Sallyport refuses each token for the reason of its row.
func TestRejects(t *testing.T) {
	m := material(t, jose.RS256, 1)
	v, err := newValidator(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	rejects, err := Rejects(m)
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, reject := range rejects {
		if err := reject.Run(v)(0); err != nil {
			t.Error(err)
		}
		if names[reject.Name] {
			t.Errorf("two rows are called %s", reject.Name)
		}
		names[reject.Name] = true
	}
	if good := (Reject{Name: "good", Token: m.Tokens[0], Want: validator.Expired}); good.Run(v)(0) == nil {
		t.Error("an accepted token passes for refused")
	}
}

func TestRunByFailsIfAccepted(t *testing.T) {
	m := material(t, jose.RS256, 1)
	run, err := Reject{Name: "good", Token: m.Tokens[0]}.RunBy(Subjects[0], m)
	if err != nil {
		t.Fatal(err)
	}
	if run(0) == nil {
		t.Error("an accepted token passes for refused")
	}
}

// TestNamesAreUnique checks that names of rows are unique, because the tables find rows by name.
func TestNamesAreUnique(t *testing.T) {
	for _, list := range [][]Subject{everyone(), Layers, Repeats} {
		slugs := make(map[string]bool)
		for _, s := range list {
			if slugs[slug(s.Name)] {
				t.Errorf("two subjects are called %s", slug(s.Name))
			}
			slugs[slug(s.Name)] = true
		}
	}
	if !Subjects[0].Ours {
		t.Error("the first subject is not Sallyport")
	}
}
