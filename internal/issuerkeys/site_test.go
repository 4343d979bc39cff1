package issuerkeys_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

const siteURL = "https://issuer.test/jwks"

// site is an http.RoundTripper that answers with one function. It records every
// request.
type site struct {
	mu     sync.Mutex
	answer func(*http.Request) *http.Response // nil is a connection that fails
	visits []visit
}

func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.visits = append(s.visits, visit{time.Now(), r.URL.String(), r.Header.Get("If-None-Match")})
	if s.answer == nil {
		return nil, errRefused
	}
	return s.answer(r), nil
}

// answers makes the site answer with reply(status, body, fields...).
func (s *site) answers(status int, body string, fields ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = func(*http.Request) *http.Response { return reply(status, body, fields...) }
}

// answersBy makes the site answer with the function.
func (s *site) answersBy(answer func(*http.Request) *http.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *site) down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = nil
}

func (s *site) visited() []visit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]visit(nil), s.visits...)
}

func (s *site) last(t *testing.T) visit {
	t.Helper()
	visits := s.visited()
	if len(visits) == 0 {
		t.Fatal("nothing was asked for")
	}
	return visits[len(visits)-1]
}

// wantVisits fails the test unless the site was visited that many times.
func (s *site) wantVisits(t *testing.T, what string, want int) {
	t.Helper()
	if got := len(s.visited()); got != want {
		t.Errorf("%s: %d fetches, want %d", what, got, want)
	}
}

type visit struct {
	at   time.Time
	url  string
	have string // the If-None-Match field
}

// reply returns a response. Each of fields is "Name: value".
func reply(status int, body string, fields ...string) *http.Response {
	header := http.Header{"Content-Type": {"application/json"}}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		header.Add(name, value)
	}
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: header,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// openSite opens keys whose document s serves, with changes to the binding.
func openSite(t *testing.T, s *site, changes ...func(*issuerkeys.Binding)) *issuerkeys.Keys {
	t.Helper()
	return bindTo(t, jwkscache.URL(siteURL), append([]func(*issuerkeys.Binding){
		func(b *issuerkeys.Binding) { b.HTTPClient = &http.Client{Transport: s} },
	}, changes...)...)
}

// bindTo opens source with changes to the binding.
func bindTo(tb testing.TB, source jwkscache.Source, changes ...func(*issuerkeys.Binding)) *issuerkeys.Keys {
	tb.Helper()
	binding := issuerkeys.Binding{Issuer: issuer, Algorithms: []jose.Algorithm{jose.EdDSA}}
	for _, change := range changes {
		change(&binding)
	}
	keys, err := issuerkeys.Open(source, binding)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { runtime.KeepAlive(keys) }) // for handles
	return keys
}

// traced returns a change of a Binding that sets Trace.
func traced(trace *jwkscache.Trace) func(*issuerkeys.Binding) {
	return func(b *issuerkeys.Binding) { b.Trace = trace }
}

// snapshots returns a new directory. The test waits until nothing is written there
// before the directory is removed.
func snapshots(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700)) // whatever the umask
	t.Cleanup(synctest.Wait)
	return dir
}

// must fails the test on an error.
func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// fallbackOf opens a URL source with a fallback, whose document s serves.
func fallbackOf(t *testing.T, s *site, document string, changes ...func(*issuerkeys.Binding)) *issuerkeys.Keys {
	t.Helper()
	return bindTo(t, jwkscache.WithFallback(jwkscache.URL(siteURL), []byte(document)), append([]func(*issuerkeys.Binding){
		func(b *issuerkeys.Binding) { b.HTTPClient = &http.Client{Transport: s} },
	}, changes...)...)
}

// jwk returns the JWK of a new Ed25519 key with that kid.
func jwk(t *testing.T, kid string) string {
	t.Helper()
	return newKey(kid).JWK()
}

// setOf returns a JWK Set.
func setOf(jwks ...string) string { return `{"keys":[` + strings.Join(jwks, ",") + `]}` }

// headerOf returns the header of a token with that kid.
func headerOf(tb testing.TB, kid string) jose.Header {
	tb.Helper()
	input := encode([]byte(fmt.Sprintf(`{"alg":"EdDSA","kid":%q}`, kid))) + "." + encode([]byte("{}"))
	u, err := jose.ParseCompact(input + "." + encode(make([]byte, 64)))
	if err != nil {
		tb.Fatal(err)
	}
	return u.UnverifiedHeader()
}

// find looks up a kid.
func find(t *testing.T, keys *issuerkeys.Keys, kid string) error {
	t.Helper()
	found, err := keys.Find(t.Context(), time.Now(), headerOf(t, kid))
	if (err == nil) != (len(found.Keys) > 0) {
		t.Errorf("%s: %d keys, and the error is %v", kid, len(found.Keys), err)
	}
	return err
}

// wantSpan fails the test unless got is want.
func wantSpan(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// day returns the date that is fromNow away, in the format of HTTP.
func day(fromNow time.Duration) string { return time.Now().Add(fromNow).UTC().Format(http.TimeFormat) }

// delayed is a transport that answers after a delay.
type delayed struct {
	site  *site
	delay time.Duration
}

func (d delayed) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(d.delay):
		return d.site.RoundTrip(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}
