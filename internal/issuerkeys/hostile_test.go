package issuerkeys_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// largestRead is the largest number of bytes that is read of a document: one more
// than allowed, which shows that the document is too large.
const largestRead = 1<<20 + 1

// meter is a transport that counts the bytes read of response bodies.
type meter struct {
	over http.RoundTripper
	read atomic.Int64
}

func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := m.over.RoundTrip(r)
	if err == nil {
		response.Body = &metered{response.Body, m}
	}
	return response, err
}

type metered struct {
	io.ReadCloser

	meter *meter
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.meter.read.Add(int64(n))
	return n, err
}

// gigabyte returns a body of 1 GiB, which is returned as fast as it is read.
func gigabyte() io.ReadCloser {
	rest := int64(1 << 30)
	return body(func(p []byte) (int, error) {
		if rest <= 0 {
			return 0, io.EOF
		}
		for i := range p {
			p[i] = ' '
		}
		rest -= int64(len(p))
		return len(p), nil
	})
}

// zipped returns text compressed with gzip.
func zipped(text []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(text); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func typed(mediaType string) http.Header { return http.Header{"Content-Type": {mediaType}} }

// many returns a JWK Set of many keys that cannot be used.
func many(keys int) []byte {
	return []byte(`{"keys":[` + strings.Repeat(`{"kty":"x"},`, keys-1) + `{"kty":"x"}]}`)
}

// hostile is a response that is not a JWK Set.
type hostile struct {
	behaviour testissuer.Behaviour
	transport transport // replaces the issuer, unless it is nil
	want      error     // the cause in Status and hooks; nil if it has no name
}

// failures returns the responses of R-JK-04 and R-OP-04 that must fail the fetch
// and do no other harm.
func failures(set []byte) map[string]hostile {
	bomb := zipped(bytes.Repeat([]byte(" "), 64<<20))
	said := func(text string) hostile {
		return hostile{behaviour: testissuer.Behaviour{Body: []byte(text)}, want: jose.ErrNotJWKS}
	}
	return map[string]hostile{
		"status 500":          {behaviour: testissuer.Behaviour{Status: 500}, want: fetch.ErrStatus},
		"status 404":          {behaviour: testissuer.Behaviour{Status: 404}, want: fetch.ErrStatus},
		"status 204":          {behaviour: testissuer.Behaviour{Status: 204}, want: fetch.ErrStatus},
		"status 206":          {behaviour: testissuer.Behaviour{Status: 206}, want: fetch.ErrStatus},
		"304 to no condition": {behaviour: testissuer.Behaviour{Status: 304}, want: fetch.ErrStatus},

		"an HTML page":         {behaviour: testissuer.Behaviour{Body: []byte("<html>"), Header: typed("text/html")}, want: jose.ErrNotJWKS},
		"HTML said to be JSON": said("<html><body>We are sorry</body></html>"),
		"text without a type":  {behaviour: testissuer.Behaviour{Body: []byte("no keys today"), Header: http.Header{"Content-Type": nil}}, want: jose.ErrNotJWKS},

		"nothing":           said(""),
		"truncated":         said(string(set[:len(set)/2])),
		"cut short":         {behaviour: testissuer.Behaviour{Header: http.Header{"Content-Length": {"5000"}}}, want: io.ErrUnexpectedEOF},
		"no keys":           said(`{}`),
		"keys is null":      said(`{"keys":null}`),
		"keys is an object": said(`{"keys":{}}`),
		"Keys":              said(`{"Keys":[]}`),
		"an array":          said(`[]`),
		"keys twice":        said(`{"keys":[],` + string(set[1:])),
		"something behind":  said(string(set) + "{}"),
		"invalid UTF-8":     said("{\"keys\":[]\xff}"),
		"byte order marks":  said("\ufeff\ufeff" + string(set)),
		"UTF-16":            said(strings.Join(strings.Split(string(set), ""), "\x00") + "\x00"),
		"nested":            said(`{"keys":[` + strings.Repeat("[", 500_000)),
		"1001 keys":         said(string(many(1001))),
		"10 000 keys":       said(string(many(10_000))),

		"a gzip bomb":              {behaviour: testissuer.Behaviour{Body: bomb, Header: http.Header{"Content-Encoding": {"gzip"}}}, want: fetch.ErrEncoding},
		"a gzip bomb, not said":    {behaviour: testissuer.Behaviour{Body: bomb}, want: jose.ErrNotJWKS},
		"the set, compressed":      {behaviour: testissuer.Behaviour{Body: zipped(set), Header: http.Header{"Content-Encoding": {"gzip"}}}, want: fetch.ErrEncoding},
		"a gigabyte":               {transport: func(*http.Request) (*http.Response, error) { return answering(gigabyte()), nil }, want: fetch.ErrTooLarge},
		"the set and two megabyte": {behaviour: testissuer.Behaviour{Body: slices.Concat(set, bytes.Repeat([]byte(" "), 2<<20))}, want: fetch.ErrTooLarge},

		"a redirect to itself":     {behaviour: testissuer.Behaviour{Redirect: "/jwks.json"}, want: fetch.ErrRedirect},
		"a redirect to link-local": {behaviour: testissuer.Behaviour{Redirect: "http://169.254.169.254/latest/meta-data"}, want: fetch.ErrRedirect},
		"a redirect, 308":          {behaviour: testissuer.Behaviour{Redirect: "https://elsewhere.test/", Status: 308}, want: fetch.ErrRedirect},

		"endless drops": {behaviour: testissuer.Behaviour{Endless: true, Trickle: time.Millisecond}, want: context.DeadlineExceeded},
		"drop by drop":  {behaviour: testissuer.Behaviour{Trickle: time.Second}, want: context.DeadlineExceeded},
		"too slow":      {behaviour: testissuer.Behaviour{Delay: time.Minute}, want: context.DeadlineExceeded},
		"cut off":       {behaviour: testissuer.Behaviour{Abort: true}, want: io.EOF},
		"no such host": {
			transport: func(*http.Request) (*http.Response, error) { return nil, errNoHost },
			want:      errNoHost,
		},
	}
}

var errNoHost = &net.DNSError{Err: "no such host", Name: "issuer.test", IsNotFound: true}

// TestHostileAnswers covers R-JK-04, R-JK-12 and R-OP-04: a response that is not a
// JWK Set is refused in bounded time and memory, the last keys go on serving, and
// the error names the cause. Without keys the result is ErrUnavailable.
func TestHostileAnswers(t *testing.T) {
	some := inMemorySet(t)
	for name, row := range failures(some) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { row.test(t) })
		})
	}
}

// inMemorySet returns a JWK Set.
func inMemorySet(t *testing.T) []byte {
	t.Helper()
	issuer := inMemory(t, "")
	return issuer.JWKS()
}

func (h *hostile) test(t *testing.T) {
	issuer := inMemory(t, "")
	var good atomic.Bool
	m := meter{over: transport(func(r *http.Request) (*http.Response, error) {
		if h.transport != nil && !good.Load() {
			return h.transport(r)
		}
		return issuer.Transport().RoundTrip(r)
	})}
	behave := func(well bool) {
		good.Store(well)
		issuer.Behave(testissuer.JWKS, h.behaviour)
		if well {
			issuer.Behave(testissuer.JWKS, testissuer.Behaviour{})
		}
	}
	var told journal
	keys := openKeys(t, issuer, told.keep, over(m.RoundTrip))
	token := issuer.Sign(testissuer.Token{})

	behave(false)
	start := time.Now()
	wants(t, "no keys yet", verify(t.Context(), keys, token), issuerkeys.ErrUnavailable)
	if took := time.Since(start); took > fetch.Timeout {
		t.Errorf("took %v", took)
	}
	h.visible(t, "no keys yet", keys, &told, 1)
	wantState(t, "no keys yet", keys, "unavailable")

	behave(true)
	advance(time.Second)
	wants(t, "recovered", verify(t.Context(), keys, token), nil)
	if err := keys.Status().LastError; err != nil {
		t.Errorf("recovered: %v", err)
	}

	behave(false)
	advance(15 * time.Minute)
	m.read.Store(0)
	for failed := range 3 {
		atOnce(t, "with the last keys", func() { wants(t, "with the last keys", verify(t.Context(), keys, token), nil) })
		advance(2 * fetch.Timeout)
		h.visible(t, "with the last keys", keys, &told, failed+1)
		wantState(t, "with the last keys", keys, "stale")
	}
	if n := m.read.Load(); n > 3*largestRead {
		t.Errorf("%d bytes were read", n)
	}
	wants(t, "with the last keys", verify(t.Context(), keys, unknown(issuer, "x")), issuerkeys.ErrUnavailable)
	behave(true)
	advance(time.Minute)
	wants(t, "once more", verify(t.Context(), keys, token), nil)
	synctest.Wait()
	wantState(t, "once more", keys, "fresh")
}

// visible fails the test unless the hook, Status and the error report the failure.
func (h *hostile) visible(t *testing.T, when string, keys *issuerkeys.Keys, told *journal, failures int) {
	t.Helper()
	done, s := told.last(), keys.Status()
	for what, err := range map[string]error{"hook": done.Err, "Status": s.LastError} {
		if !errors.Is(err, issuerkeys.ErrUnavailable) || !errors.Is(err, h.want) {
			t.Errorf("%s, %s: %v, want %v", when, what, err, h.want)
		}
	}
	if s.Failures != failures || s.LastFailure.IsZero() || time.Since(s.LastFailure) > 2*fetch.Timeout {
		t.Errorf("%s: %d failures, the last %v", when, s.Failures, s.LastFailure)
	}
	if done.Location == "" || done.Keys != len(s.Keys) || len(done.Added)+len(done.Removed) != 0 {
		t.Errorf("%s: %+v", when, done)
	}
}

// TestHostileKeys covers R-JK-05 and R-JK-07: a key that cannot be used, or must
// not have been published, is ignored and reported, and does not affect the other
// keys.
func TestHostileKeys(t *testing.T) {
	key := newKey("private")
	private := key.Private.(ed25519.PrivateKey)
	published := strings.TrimSuffix(key.JWK(), "}") + fmt.Sprintf(`,"d":%q}`, encode(private.Seed()))
	for name, row := range map[string]struct {
		text    string
		kid     string
		private bool
	}{
		"a private key":        {published, "private", true},
		"a symmetric key":      {`{"kty":"oct","kid":"s","k":"c2VjcmV0"}`, "s", true},
		"a private RSA member": {`{"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB","p":"AQ"}`, "r", true},
		"an unknown type":      {`{"kty":"AKP","kid":"pq"}`, "pq", false},
		"an unknown curve":     {`{"kty":"EC","crv":"P-192","x":"AA","y":"AA","kid":"c"}`, "c", false},
		"a point off curve":    {`{"kty":"EC","crv":"P-256","x":"` + encode(make([]byte, 32)) + `","y":"` + encode(make([]byte, 32)) + `","kid":"off"}`, "off", false},
		"a member missing":     {`{"kty":"EC","crv":"P-256","kid":"m"}`, "m", false},
		"for encryption":       {strings.Replace(key.JWK(), `"kid":"private"`, `"kid":"enc","use":"enc"`, 1), "enc", false},
		"no object":            {`null`, "", false},
		"a number":             {`1e400`, "", false},
		"members twice":        {`{"kty":"EC","kty":"RSA","kid":"t"}`, "", false},
		"a kid that is none":   {`{"kty":"EC","kid":7}`, "", false},
		"invalid UTF-8":        {strings.Replace(key.JWK(), "private", "\xff", 1), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, issuer *issuertest.Issuer, _ *issuerkeys.Keys) {
				var told journal
				keys := openKeys(t, issuer, told.keep)
				issuer.ExtraJWKs(row.text)
				for range 2 {
					wants(t, "the other key", verify(t.Context(), keys, issuer.Sign(testissuer.Token{})), nil)
					issuer.Rotate()
					advance(time.Second)
				}
				if row.kid != "" {
					wants(t, "its tokens", ask(t.Context(), keys, row.kid), jose.ErrUnknownKey)
				}
				done, s := told.last(), keys.Status()
				for _, ignored := range [][]jose.IgnoredKey{done.Ignored, s.Ignored} {
					if len(ignored) != 1 || ignored[0].Private != row.private || !errors.Is(ignored[0].Reason, jose.ErrUnusableKey) {
						t.Fatalf("%+v", ignored)
					}
					if text := fmt.Sprintf("%+v", ignored); strings.Contains(text, encode(private.Seed())) || strings.Contains(text, "c2VjcmV0") {
						t.Error("the report has key material")
					}
				}
				if done.Err != nil || s.LastError != nil || s.State != "fresh" {
					t.Errorf("%v, %v, %s", done.Err, s.LastError, s.State)
				}
			})
		})
	}
}

// TestSameKidManyKeys covers R-JK-15: of the keys that share one kid, four are
// tried, and the other keys of the set are not affected.
func TestSameKidManyKeys(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		for i := range 6 {
			issuer.AddKey(testissuer.Key{ID: fmt.Sprint("same-", i), Members: map[string]any{"kid": "same"}})
		}
		for i := range 6 {
			want := error(nil)
			if i >= 4 {
				want = jose.ErrSignature
			}
			wants(t, fmt.Sprint("key ", i), verify(t.Context(), keys, issuer.Sign(testissuer.Token{Key: fmt.Sprint("same-", i)})), want)
		}
		wants(t, "another key", verify(t.Context(), keys, issuer.Sign(testissuer.Token{})), nil)
		wantRequests(t, "all of it", issuer, 1)
	})
}

// TestHostileAnswersOverSockets covers R-JK-04 with the default transport and a
// response without end.
func TestHostileAnswersOverSockets(t *testing.T) {
	const drained = 2 << 10 // what net/http reads of the body of a redirect
	for name, row := range map[string]struct {
		behaviour testissuer.Behaviour
		want      error
		body      int64 // bytes that may be read
	}{
		"endless":                  {testissuer.Behaviour{Endless: true}, fetch.ErrTooLarge, largestRead},
		"endless, compressed":      {testissuer.Behaviour{Endless: true, Header: http.Header{"Content-Encoding": {"gzip"}}}, fetch.ErrEncoding, 0},
		"endless error page":       {testissuer.Behaviour{Endless: true, Status: 502}, fetch.ErrStatus, 0},
		"a flood of header fields": {testissuer.Behaviour{Header: http.Header{"X": {strings.Repeat("x", 100_000)}}}, nil, 0},
		"many header fields":       {testissuer.Behaviour{Header: http.Header{"X": strings.Split(strings.Repeat("x,", 50_000), ",")}}, nil, 0},
		"a redirect to itself":     {testissuer.Behaviour{Redirect: "/jwks.json", Endless: true}, fetch.ErrRedirect, drained},
		"a redirect to link-local": {testissuer.Behaviour{Redirect: "http://169.254.169.254/", Endless: true}, fetch.ErrRedirect, drained},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := issuertest.Loopback(t)
			own := fetch.NewTransport()
			defer own.CloseIdleConnections()
			m := meter{over: own}
			keys := openKeys(t, issuer, over(m.RoundTrip))
			issuer.Behave(testissuer.JWKS, row.behaviour)
			err := verify(t.Context(), keys, issuer.Sign(testissuer.Token{}))
			wants(t, "a token", err, issuerkeys.ErrUnavailable)
			if row.want != nil {
				wants(t, "the cause", err, row.want)
			}
			if n := m.read.Load(); n > row.body {
				t.Errorf("%d bytes were read, want %d", n, row.body)
			}
			wantRequests(t, "nothing was followed", issuer, 1)
		})
	}
}
