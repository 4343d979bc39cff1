//go:build unix

package snapshot

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

const (
	storeIssuer = "https://issuer.example/marker"
	fetchedAt   = 1700000000
)

// testStore returns a store in a directory that does not exist yet.
func testStore(tb testing.TB) *Store {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil { // whatever the umask
		tb.Fatal(err)
	}
	return New(filepath.Join(dir, "a", "b"), storeIssuer)
}

// testSaved has bytes that JSON text cannot hold.
func testSaved() *Saved {
	return &Saved{
		Issuer:   storeIssuer,
		Source:   "discovery",
		Location: "https://issuer.example/jwks?marker=é\"\\\u2028",
		ETag:     "W/\"marker\xff\"",
		Document: "{\"keys\":[{\"kid\":\"marker\xff\\ud800\"}]}\n\x00",
		Fetched:  time.Unix(fetchedAt, 0),
		Fresh:    time.Unix(fetchedAt+600, 0),
		Usable:   time.Unix(fetchedAt+4200, 0),
	}
}

var testNames = []jwkscache.KeyName{{KeyID: "marker"}, {Thumbprint: "marker"}, {KeyID: "\x00\"é\n../"}}

// fill saves both files.
func fill(tb testing.TB, s *Store) {
	tb.Helper()
	if err := errors.Join(s.Save(testSaved()), s.SaveForbidden(testNames)); err != nil {
		tb.Fatal(err)
	}
}

// put changes the content of a file, and keeps its mode.
func put(tb testing.TB, path, content string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func contentOf(tb testing.TB, path string) string {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// sealed returns body below a header with its checksum.
func sealed(holds, body string) string {
	return fmt.Sprintf("{\"holds\":\"%s\",\"format\":1,\"sha256\":\"%x\"}\n%s", holds, sha256.Sum256([]byte(body)), body)
}

// wantRefusal checks that err has the cause, the path and the mend, and nothing of
// the content of the file.
func wantRefusal(t *testing.T, what string, err error, path string, cause error, mend string) {
	t.Helper()
	if !errors.Is(err, errUnusable) || !errors.Is(err, cause) || errors.Is(err, ErrNone) {
		t.Errorf("%s: error %v, want %v", what, err, cause)
		return
	}
	if text := err.Error(); !strings.HasPrefix(text, "snapshot: disk snapshot "+path+": ") || !strings.HasSuffix(text, "; "+mend) ||
		strings.Contains(strings.TrimPrefix(text, "snapshot: disk snapshot "+path), "marker") {
		t.Errorf("%s: the error reads %q", what, text)
	}
}

func TestStore(t *testing.T) {
	s := testStore(t)
	if k, err := s.Load(); k != nil || !errors.Is(err, ErrNone) || errors.Is(err, errUnusable) {
		t.Errorf("without a directory: %v, %v", k, err)
	}
	if names, err := s.LoadForbidden(); len(names) != 0 || err != nil {
		t.Errorf("without a directory: %v, %v", names, err)
	}
	if _, err := os.Lstat(filepath.Dir(s.dir)); err == nil {
		t.Error("a look made the directory")
	}
	if err := s.SaveForbidden(testNames); err != nil {
		t.Fatal(err)
	}
	if k, err := s.Load(); k != nil || !errors.Is(err, ErrNone) {
		t.Errorf("without a file: %v, %v", k, err)
	}
	want := testSaved()
	want.Fetched = want.Fetched.Add(time.Second - 1)
	if err := s.Save(want); err != nil {
		t.Fatal(err)
	}
	if k, err := s.Load(); err != nil || !reflect.DeepEqual(k, testSaved()) {
		t.Errorf("%+v, %v", k, err)
	}
	if names, err := s.LoadForbidden(); err != nil || !slices.Equal(names, testNames) {
		t.Errorf("%q, %v", names, err)
	}

	// Again, and another issuer in the same directory.
	other := New(s.dir, "https://other.example")
	if names, err := other.LoadForbidden(); len(names) != 0 || err != nil {
		t.Errorf("without a file: %v, %v", names, err)
	}
	later := *want
	later.Issuer, later.Document, later.Fetched = other.issuer, "", want.Fresh
	if err := errors.Join(other.Save(want), other.Save(&later)); !errors.Is(err, errOtherIssuer) {
		t.Error(err)
	}
	if k, err := other.Load(); err != nil || k.Document != "" || !k.Fetched.Equal(want.Fresh) {
		t.Errorf("%+v, %v", k, err)
	}
	if err := s.SaveForbidden(nil); err != nil {
		t.Fatal(err)
	}
	if names, err := s.LoadForbidden(); len(names) != 0 || err != nil {
		t.Errorf("%q, %v", names, err)
	}
	if k, err := s.Load(); err != nil || !reflect.DeepEqual(k, testSaved()) {
		t.Errorf("%+v, %v", k, err)
	}
}

// TestStoreFormat shows the bytes of the format, which other versions must be able
// to read.
func TestStoreFormat(t *testing.T) {
	s := testStore(t)
	k := testSaved()
	k.Location, k.ETag, k.Document = "https://issuer.example/jwks", `"1"`, `{"keys":[]}`
	if err := errors.Join(s.Save(k), s.SaveForbidden(testNames[:2])); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("%x", sha256.Sum256([]byte(storeIssuer)))[:32]
	for file, want := range map[string]string{
		name + ".keys.json": sealed("keys", `{"issuer":"`+storeIssuer+`","source":"discovery","location":"https://issuer.example/jwks",`+
			`"etag":"IjEi","document":"eyJrZXlzIjpbXX0=","fetched":1700000000,"fresh":1700000600,"usable":1700004200}`),
		name + ".forbidden.json": sealed("forbidden", `{"issuer":"`+storeIssuer+`","names":[{"kid":"marker"},{"thumbprint":"marker"}]}`),
	} {
		if got := contentOf(t, filepath.Join(s.dir, file)); got != want {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
	}
}

// TestStoreRefusesContent shows that a file which was changed since it was written
// is not used.
func TestStoreRefusesContent(t *testing.T) {
	body := func(valid string) string { return valid[strings.IndexByte(valid, '\n')+1:] }
	tests := []struct {
		name   string
		change func(holds, valid string) string
		want   error
	}{
		{"nothing", func(_, _ string) string { return "" }, errFormat},
		{"no header", func(_, valid string) string { return body(valid) }, errFormat},
		{"byte order mark", func(_, valid string) string { return "\ufeff" + valid }, errFormat},
		{"other format", func(_, valid string) string { return strings.Replace(valid, `"format":1,`, `"format":2,`, 1) }, errFormat},
		{"format 10", func(_, valid string) string { return strings.Replace(valid, `"format":1,`, `"format":10,`, 1) }, errFormat},
		{"another kind of file", func(_, valid string) string { return sealed("tokens", body(valid)) }, errFormat},
		{"first byte lost", func(_, valid string) string { return valid[1:] }, errFormat},
		{"last byte lost", func(_, valid string) string { return valid[:len(valid)-1] }, errChecksum},
		{"half lost", func(_, valid string) string { return valid[:len(valid)/2] }, errChecksum},
		{"header alone", func(_, valid string) string { return strings.TrimSuffix(valid, body(valid)) }, errChecksum},
		{"half a header", func(_, valid string) string { return valid[:60] }, errChecksum},
		{"changed", func(_, valid string) string { return strings.Replace(valid, "https", "httpz", 1) }, errChecksum},
		{"other checksum", func(holds, valid string) string {
			line, _, _ := strings.Cut(sealed(holds, ""), "\n")
			return line + "\n" + body(valid)
		}, errChecksum},
		{"more in the header", func(_, valid string) string { return strings.Replace(valid, "}\n", ",\"marker\":1}\n", 1) }, errChecksum},
		{"trailing newline", func(_, valid string) string { return valid + "\n" }, errChecksum},
		{"twice", func(_, valid string) string { return valid + valid }, errChecksum},
		{"sealed nothing", func(holds, _ string) string { return sealed(holds, "") }, errMembers},
		{"sealed text", func(holds, _ string) string { return sealed(holds, "marker") }, errMembers},
		{"sealed array", func(holds, _ string) string { return sealed(holds, "[]") }, errMembers},
		{"unknown member", func(holds, valid string) string {
			return sealed(holds, strings.Replace(body(valid), "{", `{"marker":1,`, 1))
		}, errMembers},
		{"other case", func(holds, valid string) string {
			return sealed(holds, strings.Replace(body(valid), "issuer", "Issuer", 1))
		}, errMembers},
		{"member twice", func(holds, valid string) string {
			return sealed(holds, strings.Replace(body(valid), "{", `{"issuer":"`+storeIssuer+`",`, 1))
		}, errMembers},
		{"member of another type", func(holds, valid string) string {
			return sealed(holds, strings.Replace(body(valid), `"`+storeIssuer+`"`, `1`, 1))
		}, errMembers},
		{"trailing object", func(holds, valid string) string { return sealed(holds, body(valid)+"{}") }, errMembers},
		{"invalid UTF-8", func(holds, valid string) string {
			return sealed(holds, strings.Replace(body(valid), "https", "http\xff", 1))
		}, errMembers},
		{"other issuer", func(holds, valid string) string {
			return sealed(holds, strings.Replace(body(valid), storeIssuer, storeIssuer+"/", 1))
		}, errOtherIssuer},
		{"no issuer", func(holds, _ string) string { return sealed(holds, `{}`) }, errOtherIssuer},
		{"null", func(holds, _ string) string { return sealed(holds, `null`) }, errOtherIssuer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := testStore(t)
			fill(t, s)
			for _, f := range []storeFile{keysFile, forbiddenFile} {
				put(t, s.path(f), tt.change(f.holds, contentOf(t, s.path(f))))
			}
			_, err := s.Load()
			wantRefusal(t, "keys", err, s.path(keysFile), tt.want, keysFile.mend)
			_, err = s.LoadForbidden()
			wantRefusal(t, "forbidden", err, s.path(forbiddenFile), tt.want, forbiddenFile.mend)
			if err := errors.Join(s.Save(testSaved()), s.SaveForbidden(testNames)); err != nil {
				t.Errorf("saving anew: %v", err)
			}
			if k, err := s.Load(); err != nil || !reflect.DeepEqual(k, testSaved()) {
				t.Errorf("saved anew: %+v, %v", k, err)
			}
		})
	}
}

// TestStoreBounds shows that Save does not write what Load would refuse, and that
// Load refuses it.
func TestStoreBounds(t *testing.T) {
	tests := []struct {
		name   string
		change func(*keysRecord)
		want   error
	}{
		{"all at one time", func(r *keysRecord) { r.Fresh, r.Usable = r.Fetched, r.Fetched }, nil},
		{"24 hours", func(r *keysRecord) { r.Usable = r.Fetched + 86400 }, nil},
		{"24 hours and a second", func(r *keysRecord) { r.Usable = r.Fetched + 86401 }, errTimes},
		{"fresh before it was fetched", func(r *keysRecord) { r.Fresh = r.Fetched - 1 }, errTimes},
		{"fresh for longer than usable", func(r *keysRecord) { r.Fresh = r.Usable + 1 }, errTimes},
		{"usable for ever", func(r *keysRecord) { r.Usable = math.MaxInt64 }, errTimes},
		{"usable for 300 years", func(r *keysRecord) { r.Usable = r.Fetched + 300*365*86400 }, errTimes},
		{"fetched at the beginning", func(r *keysRecord) { r.Fetched = math.MinInt64 }, errTimes},
		{"4 MiB", func(r *keysRecord) { r.Document = make([]byte, 4<<20) }, nil},
		{"more than 4 MiB", func(r *keysRecord) { r.Document = make([]byte, 4<<20+1) }, errDocument},
		{"other issuer", func(r *keysRecord) { r.Issuer += "/" }, errOtherIssuer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := testStore(t)
			r := keysRecord{Issuer: storeIssuer, Fetched: fetchedAt, Fresh: fetchedAt + 600, Usable: fetchedAt + 4200}
			tt.change(&r)
			k := &Saved{
				Issuer: r.Issuer, Document: string(r.Document),
				Fetched: time.Unix(r.Fetched, 0), Fresh: time.Unix(r.Fresh, 0), Usable: time.Unix(r.Usable, 0),
			}
			err := s.Save(k)
			if tt.want == nil {
				if got, loadErr := s.Load(); err != nil || loadErr != nil || !reflect.DeepEqual(got, k) {
					t.Errorf("%v, %v", err, loadErr)
				}
				return
			}
			wantRefusal(t, "save", err, s.path(keysFile), tt.want, checkMend)
			if _, err := os.Lstat(s.dir); err == nil {
				t.Error("save made the directory")
			}
			if err := s.write(keysFile, &r); err != nil {
				t.Fatal(err)
			}
			_, err = s.Load()
			wantRefusal(t, "load", err, s.path(keysFile), tt.want, keysFile.mend)
		})
	}
}

func TestStoreBoundsNames(t *testing.T) {
	many := slices.Repeat([]jwkscache.KeyName{{KeyID: strings.Repeat("marker", 40)}}, 1001)
	tests := []struct {
		name  string
		names []jwkscache.KeyName
		want  error
	}{
		{"1000", many[:1000], nil},
		{"1001", many, errNames},
		{"neither", []jwkscache.KeyName{{KeyID: "a"}, {}}, errNames},
		{"both", []jwkscache.KeyName{{KeyID: "a"}, {KeyID: "marker", Thumbprint: "b"}}, errNames},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := testStore(t)
			err := s.SaveForbidden(tt.names)
			if tt.want == nil {
				if got, loadErr := s.LoadForbidden(); err != nil || loadErr != nil || !slices.Equal(got, tt.names) {
					t.Errorf("%v, %v", err, loadErr)
				}
				return
			}
			wantRefusal(t, "save", err, s.path(forbiddenFile), tt.want, checkMend)
			r := forbiddenRecord{Issuer: storeIssuer}
			for _, name := range tt.names {
				r.Names = append(r.Names, forbiddenName(name))
			}
			if err := s.write(forbiddenFile, &r); err != nil {
				t.Fatal(err)
			}
			_, err = s.LoadForbidden()
			wantRefusal(t, "load", err, s.path(forbiddenFile), tt.want, forbiddenFile.mend)
		})
	}

	// A missing list is not an empty one.
	s := testStore(t)
	fill(t, s)
	for _, body := range []string{`{"issuer":"` + storeIssuer + `"}`, `{"issuer":"` + storeIssuer + `","names":null}`} {
		put(t, s.path(forbiddenFile), sealed("forbidden", body))
		_, err := s.LoadForbidden()
		wantRefusal(t, body, err, s.path(forbiddenFile), errMembers, forbiddenFile.mend)
	}
}

// TestStoreSaveRefuses shows that the old file stays if a value cannot be written.
func TestStoreSaveRefuses(t *testing.T) {
	s := testStore(t)
	fill(t, s)
	k := testSaved()
	k.Location = "marker\xff"
	wantRefusal(t, "location", s.Save(k), s.path(keysFile), errText, checkMend)
	k.Location = strings.Repeat("marker", 2<<20)
	wantRefusal(t, "long location", s.Save(k), s.path(keysFile), errTooLarge, checkMend)
	wantRefusal(t, "kid", s.SaveForbidden([]jwkscache.KeyName{{KeyID: "marker\xff"}}), s.path(forbiddenFile), errText, checkMend)
	wantRefusal(t, "long kid", s.SaveForbidden([]jwkscache.KeyName{{KeyID: k.Location}}), s.path(forbiddenFile), errTooLarge, checkMend)
	if k, err := s.Load(); err != nil || !reflect.DeepEqual(k, testSaved()) {
		t.Errorf("%+v, %v", k, err)
	}
	if names, err := s.LoadForbidden(); err != nil || !slices.Equal(names, testNames) {
		t.Errorf("%q, %v", names, err)
	}
}

// FuzzLoadSnapshot checks that no content of a file makes Load panic, and that a
// set which is used has its checksum, is of this issuer and within the bounds, and
// can be saved and loaded again. If seal is true, the checksum is corrected first.
func FuzzLoadSnapshot(f *testing.F) {
	s, again := testStore(f), testStore(f)
	fill(f, s)
	_, body, _ := strings.Cut(contentOf(f, s.path(keysFile)), "\n")
	for _, seed := range []string{
		body, sealed("keys", body), body[:len(body)-1], body + "\n", `{}`, `null`, ``, "\n", sealed("keys", ""), sealed("forbidden", body),
		`{"issuer":"` + storeIssuer + `"}`, `{"issuer":"` + storeIssuer + `","fetched":-1}`, `{"issuer":"` + storeIssuer + `","etag":"AA="}`,
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, text string, seal bool) {
		if seal {
			text = sealed("keys", text)
		}
		put(t, s.path(keysFile), text)
		k, err := s.Load()
		if err != nil {
			if k != nil || !errors.Is(err, errUnusable) {
				t.Errorf("%+v, %v", k, err)
			}
			return
		}
		if _, body, _ := strings.Cut(text, "\n"); text != sealed("keys", body) {
			t.Error("the checksum is wrong")
		}
		if k.Issuer != storeIssuer || len(k.Document) > 4<<20 || k.Fresh.Before(k.Fetched) || k.Usable.Before(k.Fresh) || k.Usable.Sub(k.Fetched) > 24*time.Hour {
			t.Errorf("%+v", k)
		}
		if err := again.Save(k); err != nil {
			t.Fatal(err)
		}
		if twice, err := again.Load(); err != nil || !reflect.DeepEqual(twice, k) {
			t.Errorf("%+v, %v, want %+v", twice, err, k)
		}
	})
}
