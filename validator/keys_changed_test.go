package validator_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// mover serves an issuer whose keys stand at a path that changes: at any other
// path there are none.
type mover struct {
	issuer *issuertest.Issuer

	mu      sync.Mutex
	current string
}

func (m *mover) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if strings.HasPrefix(r.URL.Path, "/keys/") {
		path := "/gone"
		if r.URL.Path == m.current {
			path = "/jwks.json"
		}
		r = r.Clone(r.Context())
		r.URL.Path = path
	}
	return m.issuer.Transport().RoundTrip(r)
}

// move has the keys stand at path, and the metadata say so.
func (m *mover) move(path string) {
	m.mu.Lock()
	m.current = path
	m.mu.Unlock()
	for _, e := range metadataDocuments {
		m.issuer.Metadata(e, func(members map[string]any) { members["jwks_uri"] = m.issuer.URL() + path })
	}
}

// TestMovedKeyURL covers R-DI-07: when the key URL changes and the old one is gone,
// the new one is found with the first token of a new key, or by Run.
func TestMovedKeyURL(t *testing.T) {
	for _, run := range []bool{false, true} {
		t.Run(fmt.Sprint("Run ", run), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := mover{issuer: issuertest.New(t)}
				m.move("/keys/1")
				v := m.issuer.Validator(t, m.issuer.Fetched, func(c *validator.Issuer) { c.HTTPClient = &http.Client{Transport: &m} })
				wantReason(t, "before", reasonFor(t, v, m.issuer, testissuer.Token{}), "")
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if run {
					go func() { _ = v.Run(ctx) }()
				}
				for n := range 5 {
					advance(61 * time.Second)
					m.move(fmt.Sprint("/keys/", n+2))
					m.issuer.Rotate()
					wantReason(t, "a new key", reasonFor(t, v, m.issuer, testissuer.Token{}), "")
				}
				m.move("/keys/last")
				if run { // no token comes
					advance(20 * time.Minute)
					if s := v.Status().Issuers[0]; s.State != "fresh" || s.Location != m.issuer.URL()+"/keys/last" {
						t.Errorf("%s, %s, %v", s.State, s.Location, s.LastError)
					}
				}
			})
		})
	}
}

// TestGoneKeysAskMetadataSeldom shows that a flood against an issuer whose keys are
// gone costs one question for metadata a minute.
func TestGoneKeysAskMetadataSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mover{issuer: issuertest.New(t)}
		m.move("/keys/1")
		v := trusting(t, nil, m.issuer)
		wantReason(t, "before", reasonFor(t, v, m.issuer, testissuer.Token{}), validator.Unavailable)
		before := m.issuer.Requests(testissuer.OAuthMetadata)
		for n := range 600 {
			unknown := testissuer.Token{Header: map[string]any{"kid": fmt.Sprint(n)}}
			wantReason(t, "gone", reasonFor(t, v, m.issuer, unknown), validator.Unavailable)
			advance(time.Second)
		}
		if asked := m.issuer.Requests(testissuer.OAuthMetadata) - before; asked < 8 || asked > 11 {
			t.Errorf("asked %d times in ten minutes", asked)
		}
	})
}

// TestChangedKey shows that the tokens of a key that the issuer changed are
// accepted, the first one included: after a reinstallation under the same kid,
// and after a rotation without kids. Whoever sends forged tokens delays that by
// 30 seconds at most.
func TestChangedKey(t *testing.T) {
	for name, id := range map[string]any{"the same kid": "1", "no kid": nil} {
		for _, forged := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, forged tokens %t", name, forged), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					issuer := issuertest.Start(t, testissuer.Config{CacheControl: "max-age=86400"})
					replace := func() {
						old := issuer.SigningKey()
						issuer.Use(issuer.AddKey(testissuer.Key{Members: map[string]any{"kid": id}}))
						issuer.Retire(old)
					}
					sign := func() testissuer.Token { return testissuer.Token{Header: map[string]any{"kid": id}} }
					replace()
					v := trusting(t, nil, issuer)
					wantReason(t, "before", reasonFor(t, v, issuer, sign()), "")
					advance(time.Minute)
					forge := func() {
						token := sign()
						token.Forgery = testissuer.Tampered
						wantReason(t, "forged", reasonFor(t, v, issuer, token), validator.BadSignature)
					}
					if forged {
						forge()
					}
					replace()
					start := time.Now()
					for reasonFor(t, v, issuer, sign()) != "" {
						if !forged || time.Since(start) > 30*time.Second {
							t.Fatalf("refused %v after the change", time.Since(start))
						}
						forge()
						advance(time.Second)
					}
					before := issuer.Requests(testissuer.JWKS)
					for range 300 {
						forge()
						advance(time.Second)
					}
					if asked := issuer.Requests(testissuer.JWKS) - before; asked > 11 {
						t.Errorf("asked %d times in five minutes", asked)
					}
				})
			})
		}
	}
}

// TestRotatedKeyIsNeverUnknown covers R-JK-11 for resolved issuers and issuers that
// are configured, in a flood of made-up kids.
func TestRotatedKeyIsNeverUnknown(t *testing.T) {
	for _, resolved := range []bool{false, true} {
		t.Run(fmt.Sprint("resolved ", resolved), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := issuertest.New(t)
				is := discovering(issuer)
				config := validator.Config{Issuers: []validator.Issuer{is}}
				if resolved {
					config = validator.Config{ResolveIssuer: func(context.Context, string) (validator.Issuer, error) { return is, nil }}
				}
				v := issuertest.Validator(t, config)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				wantReason(t, "before", reasonFor(t, v, issuer, testissuer.Token{}), "")
				var all sync.WaitGroup
				for n := range 1000 {
					made := issuer.Sign(testissuer.Token{Header: map[string]any{"kid": fmt.Sprint(n)}})
					all.Go(func() { _, _ = v.Validate(ctx, bearer(made)) })
					if n%50 == 0 {
						issuer.Rotate()
						token := issuer.Sign(testissuer.Token{})
						all.Go(func() {
							_, err := v.Validate(ctx, bearer(token))
							if got := validator.ReasonOf(err); got != "" && got != validator.Unavailable {
								t.Errorf("a new key: %s", got)
							}
						})
					}
					advance(20 * time.Millisecond)
				}
				all.Wait()
			})
		})
	}
}

// TestEmptyKeySet shows that tokens are told nothing of their key once an issuer
// has published an empty set for longer than MinFresh.
func TestEmptyKeySet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		var last atomic.Pointer[jwkscache.FetchDone]
		v := trusting(t, &validator.Trace{Keys: &jwkscache.Trace{
			FetchDone: func(_ string, done jwkscache.FetchDone) { last.Store(&done) },
		}}, issuer)
		p := bearer(issuer.Sign(testissuer.Token{Lifetime: time.Hour}))
		_, err := v.Validate(t.Context(), p)
		wantReason(t, "before", validator.ReasonOf(err), "")
		issuer.Retire(issuer.SigningKey())
		advance(11 * time.Minute)
		want := validator.Reason("")
		for start := time.Now(); time.Since(start) < 3*time.Minute; advance(time.Second) {
			_, err := v.Validate(t.Context(), p)
			if got := validator.ReasonOf(err); got != want {
				if want == validator.Unavailable || got == "" || got == validator.Unavailable && time.Since(start) < time.Minute {
					t.Fatalf("%v after the first: %s", time.Since(start), got)
				}
				want = got
			}
		}
		wantReason(t, "in the end", want, validator.Unavailable)
		synctest.Wait()
		if done := last.Load(); done == nil || done.Err == nil {
			t.Errorf("the last fetch is told as %+v", done)
		}
	})
}
