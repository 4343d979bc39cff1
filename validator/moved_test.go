package validator_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// siteMap is a transport by host: requests for a host go to its function, and other hosts
// cannot be connected to.
type siteMap struct {
	mu sync.Mutex
	to map[string]func(*http.Request) (*http.Response, error)
}

func (h *siteMap) set(host string, f func(*http.Request) (*http.Response, error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.to == nil {
		h.to = make(map[string]func(*http.Request) (*http.Response, error))
	}
	h.to[host] = f
}

func (h *siteMap) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	f := h.to[r.URL.Host]
	h.mu.Unlock()
	if f == nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	return f(r)
}

// servedBy answers as the issuer does, under whichever host it is asked.
func servedBy(is *issuertest.Issuer) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.URL.Host, r.Host = "issuer.test", "issuer.test"
		return is.Transport().RoundTrip(r)
	}
}

// redirecting answers with a redirect to another host.
func redirecting(host string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusMovedPermanently, Body: http.NoBody, Request: r, ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Location": {"https://" + host + r.URL.Path}},
		}, nil
	}
}

// namesKeys makes the metadata of the issuer name a key URL.
func namesKeys(is *issuertest.Issuer, url string) {
	for _, e := range metadataDocuments {
		is.Metadata(e, func(members map[string]any) { members["jwks_uri"] = url })
	}
}

// acceptedWithin validates a token of the signing key every five seconds, and reports how
// long it took until one was accepted.
func acceptedWithin(t *testing.T, v *validator.Validator, is *issuertest.Issuer, most time.Duration) time.Duration {
	t.Helper()
	start := time.Now()
	for {
		reason := reasonFor(t, v, is, testissuer.Token{})
		took := time.Since(start)
		if reason == "" {
			return took
		}
		if took > most {
			t.Errorf("not accepted after %v: %s, %v", took, reason, v.Status().Issuers[0].LastError)
			return took
		}
		time.Sleep(5 * time.Second)
	}
}

// TestKeysMoveToAnotherHost covers R-DI-07: the keys move to another host, the metadata say
// so, and the old host answers in one of several ways. Tokens of a key that only the new
// host has are accepted within two minutes, and those of known keys all the time.
func TestKeysMoveToAnotherHost(t *testing.T) {
	for name, old := range map[string]func(*http.Request) (*http.Response, error){
		"the old host is gone": nil, "the old host redirects": redirecting("new.test"),
		"the old host hangs": func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
		"the old host has a page": func(r *http.Request) (*http.Response, error) {
			return typedResponse(r, http.StatusOK, "text/html", "<html>We have moved</html>"), nil
		},
		"the old host answers 410": func(r *http.Request) (*http.Response, error) {
			return typedResponse(r, http.StatusGone, "application/json", "{}"), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				is, net := issuertest.New(t), new(siteMap)
				net.set("issuer.test", servedBy(is))
				net.set("old.test", servedBy(is))
				namesKeys(is, "https://old.test/jwks.json")
				config := discovering(is)
				config.HTTPClient = &http.Client{Transport: net}
				v := configured(t, nil, config)
				defer running(t, v)()
				wantReason(t, "before", reasonFor(t, v, is, testissuer.Token{}), "")
				advance(5 * time.Minute)
				first := is.SigningKey()
				net.set("old.test", old)
				net.set("new.test", servedBy(is))
				namesKeys(is, "https://new.test/jwks.json")
				is.Rotate()
				wantReason(t, "of the known key", reasonFor(t, v, is, testissuer.Token{Key: first}), "")
				t.Logf("accepted after %v", acceptedWithin(t, v, is, 2*time.Minute))
				if s := v.Status().Issuers[0]; s.Location != "https://new.test/jwks.json" {
					t.Errorf("Status names %s", s.Location)
				}
			})
		})
	}
}

// typedResponse returns a response to r.
func typedResponse(r *http.Request, status int, mediaType, body string) *http.Response {
	w := &http.Response{StatusCode: status, Request: r, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {mediaType}}}
	w.Body = readCloser{strings.NewReader(body)}
	return w
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// TestMetadataMove: the metadata move to another host. What is known is used as it was, a
// redirect is not followed and its error names the field that mends it, and with that field
// the metadata are found at the start.
func TestMetadataMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, net, lines := issuertest.New(t), new(siteMap), new(bytes.Buffer)
		net.set("issuer.test", servedBy(is))
		net.set("keys.test", servedBy(is))
		namesKeys(is, "https://keys.test/jwks.json")
		config := discovering(is)
		config.HTTPClient = &http.Client{Transport: net}
		v := configured(t, nil, config)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { _ = v.Run(ctx); close(ended) }()
		advance(time.Minute)
		net.set("issuer.test", redirecting("new.test"))
		net.set("new.test", servedBy(is))
		for range 20 { // the last known key URL is used for a day
			advance(time.Hour)
			wantReason(t, "while the metadata are gone", reasonFor(t, v, is, testissuer.Token{}), "")
			is.Rotate()
			wantReason(t, "of a new key", reasonFor(t, v, is, testissuer.Token{}), "")
		}
		cancel()
		<-ended

		again := configured(t, func(c *validator.Config) { c.Logger = slog.New(slog.NewTextHandler(lines, nil)) }, config)
		wantReason(t, "at a start", reasonFor(t, again, is, testissuer.Token{}), validator.Unavailable)
		again.Logger()
		synctest.Wait()
		for _, text := range []string{"redirects are not followed", "new.test/.well-known/", "of the metadata in Issuer.MetadataURL"} {
			if !strings.Contains(lines.String(), text) {
				t.Errorf("the log does not have %q: %s", text, lines)
			}
		}
		config.MetadataURL = "https://new.test/.well-known/openid-configuration"
		wantReason(t, "with MetadataURL", reasonFor(t, configured(t, nil, config), is, testissuer.Token{}), "")
	})
}

// TestKeysRedirect: a key URL of the configuration that redirects is not followed, and the
// error names the field.
func TestKeysRedirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, net, lines := issuertest.New(t), new(siteMap), new(bytes.Buffer)
		net.set("issuer.test", servedBy(is))
		net.set("keys.test", redirecting("issuer.test"))
		namesKeys(is, "https://keys.test/jwks.json")
		config := discovering(is)
		config.HTTPClient = &http.Client{Transport: net}
		v := configured(t, func(c *validator.Config) { c.Logger = slog.New(slog.NewTextHandler(lines, nil)) }, config)
		wantReason(t, "redirected", reasonFor(t, v, is, testissuer.Token{}), validator.Unavailable)
		synctest.Wait()
		for _, text := range []string{"redirects are not followed", "issuer.test/jwks.json", "of the keys in Issuer.Keys (jwkscache.URL)"} {
			if !strings.Contains(lines.String(), text) {
				t.Errorf("the log does not have %q: %s", text, lines)
			}
		}
	})
}

// TestKeysOfAnotherHost: keys may be at another host than the issuer, as in Kubernetes, where
// jwks_uri has the address of the API server.
func TestKeysOfAnotherHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, net := issuertest.New(t), new(siteMap)
		net.set("issuer.test", servedBy(is))
		net.set("10.0.0.1:6443", servedBy(is))
		namesKeys(is, "https://10.0.0.1:6443/jwks.json")
		config := discovering(is)
		config.HTTPClient = &http.Client{Transport: net}
		wantReason(t, "elsewhere", reasonFor(t, configured(t, nil, config), is, testissuer.Token{}), "")
	})
}

// TestGoneAndBack: keys, metadata or both answer 404 for a while. Tokens of known keys are
// accepted meanwhile, and those of a key that was published meanwhile within a minute and a
// half after the answers are back.
func TestGoneAndBack(t *testing.T) {
	for name, gone := range map[string][]testissuer.Endpoint{
		"keys": {testissuer.JWKS}, "metadata": metadataDocuments, "both": append([]testissuer.Endpoint{testissuer.JWKS}, metadataDocuments...),
	} {
		for _, status := range []int{http.StatusNotFound, http.StatusBadGateway} {
			synctest.Test(t, func(t *testing.T) {
				is := issuertest.New(t)
				v := configured(t, nil, discovering(is))
				defer running(t, v)()
				wantReason(t, "before", reasonFor(t, v, is, testissuer.Token{}), "")
				advance(5 * time.Minute)
				first := is.SigningKey()
				for _, e := range gone {
					is.Behave(e, testissuer.Behaviour{Status: status, Body: []byte("gone")})
				}
				is.Rotate()
				for range 50 {
					advance(time.Minute)
					wantReason(t, name+": of the known key", reasonFor(t, v, is, testissuer.Token{Key: first}), "")
				}
				for _, e := range gone {
					is.Behave(e, testissuer.Behaviour{})
				}
				if took := acceptedWithin(t, v, is, 90*time.Second); took > 0 {
					t.Logf("%s, %d: accepted after %v", name, status, took)
				}
			})
		}
	}
}
