package benchmarks

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/jose"
)

// run benchmarks f, which must not fail.
func run(b *testing.B, f func() error) {
	b.Helper()
	if err := f(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = f()
	}
}

func BenchmarkFirstSeen(b *testing.B) {
	for _, a := range Algorithms {
		m, err := NewMaterial(a)
		if err != nil {
			b.Fatal(err)
		}
		floor, err := m.Floor()
		if err != nil {
			b.Fatal(err)
		}
		b.Run(a.String()+"/floor", func(b *testing.B) { run(b, floor) })
		for _, subject := range Subjects {
			f, err := subject.Prepare(m)
			if err != nil {
				b.Fatal(err)
			}
			b.Run(a.String()+"/"+strings.ReplaceAll(subject.Name, " ", "_"), func(b *testing.B) { run(b, f) })
		}
	}
}

func BenchmarkReject(b *testing.B) {
	m, err := RejectMaterial()
	if err != nil {
		b.Fatal(err)
	}
	v, err := NewValidator(m.JWKS)
	if err != nil {
		b.Fatal(err)
	}
	rejects, err := Rejects(m)
	if err != nil {
		b.Fatal(err)
	}
	for _, reject := range rejects {
		b.Run(strings.ReplaceAll(reject.Name, " ", "_"), func(b *testing.B) { run(b, reject.Run(v)) })
	}
}

// The token has the size that the figures of other runs are for, and every
// subject accepts it.
func TestMaterial(t *testing.T) {
	for _, a := range Algorithms {
		m, err := NewMaterial(a)
		if err != nil {
			t.Fatal(err)
		}
		want := 715
		if a == jose.RS256 || a == jose.PS256 {
			want = 971
		}
		if len(m.Token) != want {
			t.Errorf("%s: a token of %d bytes, want %d (header %d)", a, len(m.Token), want, len(m.Header()))
		}
		floor, err := m.Floor()
		if err != nil {
			t.Fatal(err)
		}
		if err := floor(); err != nil {
			t.Errorf("%s: floor: %v", a, err)
		}
		set, err := jose.ParseSet(m.JWKS, nil)
		if err != nil || len(set.Keys()) != 3 {
			t.Errorf("%s: JWKS: %v, %v", a, err, set.Ignored())
		}
		for _, subject := range Subjects {
			f, err := subject.Prepare(m)
			if err != nil {
				t.Fatal(err)
			}
			if err := f(); err != nil {
				t.Errorf("%s: %s: %v", a, subject.Name, err)
			}
		}
	}
}

func TestRejects(t *testing.T) {
	m, err := RejectMaterial()
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewValidator(m.JWKS)
	if err != nil {
		t.Fatal(err)
	}
	rejects, err := Rejects(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, reject := range rejects {
		if err := reject.Run(v)(); err != nil {
			t.Error(err)
		}
	}
	names := make([]string, 0, len(rejects))
	for _, reject := range rejects {
		names = append(names, reject.Name)
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != len(rejects) {
		t.Error("two rows have one name")
	}
}
