package validator_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// wantReady checks whether v is ready, that its error has each text otherwise, and which
// issuers the warnings say cannot be judged.
func wantReady(t *testing.T, what string, v *validator.Validator, texts, warned []string) {
	t.Helper()
	err := v.Ready()
	if (err == nil) != (texts == nil) {
		t.Errorf("%s: %v", what, err)
	}
	for _, text := range texts {
		if err != nil && !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want %q", what, err, text)
		}
	}
	var found []string
	for _, warning := range v.Warnings() {
		if strings.Contains(warning, "cannot be judged now") {
			found = append(found, warning)
		}
	}
	if len(found) != len(warned) {
		t.Errorf("%s: warnings %q, want %q", what, found, warned)
		return
	}
	for i, text := range warned {
		if !strings.Contains(found[i], text) {
			t.Errorf("%s: warning %q, want %q", what, found[i], text)
		}
	}
}

// TestReadyWhileOneCanBeJudged covers R-JK-12: the instance stays in service as long as one
// issuer can be judged, and says which cannot and why.
func TestReadyWhileOneCanBeJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := issuertest.At(t, "https://one.test"), issuertest.At(t, "https://two.test")
		v := configured(t, nil, discovering(one), discovering(two))
		wantReady(t, "before Warm", v, []string{`"https://one.test"`, `"https://two.test"`, "call Warm"}, nil)
		one.Down(true)
		two.Behave(testissuer.JWKS, testissuer.Behaviour{Status: http.StatusBadGateway})
		if err := v.Warm(t.Context()); err == nil {
			t.Error("Warm reports nothing")
		}
		wantReady(t, "both are down", v, []string{`issuer "https://one.test": `, `issuer "https://two.test": `, "answered 502"}, []string{"https://one.test", "answered 502"})
		two.Behave(testissuer.JWKS, testissuer.Behaviour{})
		advance(10 * time.Second)
		if err := v.Warm(t.Context()); err == nil || strings.Contains(err.Error(), "two.test") {
			t.Errorf("Warm: %v", err)
		}
		wantReady(t, "one is down", v, nil, []string{"https://one.test"})
		wantReason(t, "of the one that is down", reasonFor(t, v, one, testissuer.Token{}), validator.Unavailable)
		wantReason(t, "of the other", reasonFor(t, v, two, testissuer.Token{}), "")
		one.Down(false)
		advance(10 * time.Second)
		noError(t, v.Warm(t.Context()))
		wantReady(t, "both are up", v, nil, nil)
		one.Down(true)
		two.Down(true)
		advance(80 * time.Minute) // until the keys may not be used any more
		wantReason(t, "after the bound", reasonFor(t, v, one, testissuer.Token{}), validator.Unavailable)
		wantReason(t, "after the bound", reasonFor(t, v, two, testissuer.Token{}), validator.Unavailable)
		wantReady(t, "both were down for too long", v, []string{"one.test", "two.test"}, []string{"one.test", "two.test"})
	})
}

// TestReadyWithResolvedIssuers: while the configured issuers cannot be judged, a resolved
// issuer that can be keeps the instance in service.
func TestReadyWithResolvedIssuers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down, resolved, d := issuertest.At(t, "https://down.test"), issuertest.At(t, "https://resolved.test"), newDirectory()
		down.Down(true)
		d.set(resolved.URL(), answering(pinned(resolved)))
		config := discovering(down)
		config.Grants = allScopes
		v := resolving(t, d, 0, nil, config)
		if err := v.Warm(t.Context()); err == nil {
			t.Error("Warm reports nothing")
		}
		wantReady(t, "none is resolved yet", v, []string{"down.test"}, []string{"down.test"})
		wantReason(t, "resolved", reasonFor(t, v, resolved, testissuer.Token{}), "")
		wantReady(t, "one is resolved", v, nil, []string{"down.test"})
	})
}

// TestReadyWithResolvedIssuersDown: a resolved issuer whose tokens cannot be judged either
// does not make the instance ready.
func TestReadyWithResolvedIssuersDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down, resolved, d := issuertest.At(t, "https://down.test"), issuertest.At(t, "https://resolved.test"), newDirectory()
		down.Down(true)
		resolved.Down(true)
		d.set(resolved.URL(), answering(discovering(resolved)))
		v := resolving(t, d, 0, nil, discovering(down))
		if err := v.Warm(t.Context()); err == nil {
			t.Error("Warm reports nothing")
		}
		wantReason(t, "resolved", reasonFor(t, v, resolved, testissuer.Token{}), validator.Unavailable)
		wantReady(t, "both are down", v, []string{"down.test"}, []string{"down.test"})
	})
}

// TestWarningsOfWhatFailed: before anything was fetched, no issuer is warned about. After a
// failure, that of the answer keys is named as well.
func TestWarningsOfWhatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newSigner(t)
		for name, config := range map[string]validator.Issuer{
			"keys":        is.HybridConfig(func(c *validator.Issuer) { c.Keys = fetchedKeys(is) }),
			"answer keys": is.OpaqueConfig(answersOf(fetchedKeys(is))),
		} {
			is.Behave(testissuer.JWKS, testissuer.Behaviour{Status: http.StatusBadGateway})
			v := configured(t, nil, config)
			wantReady(t, name+", before Warm", v, []string{"https://"}, nil)
			if err := v.Warm(t.Context()); err == nil {
				t.Errorf("%s: Warm reports nothing", name)
			}
			wantReady(t, name+", after Warm", v, []string{"answered 502"}, []string{"answered 502"})
		}
	})
}

// TestReadyNamesTheEndpoint: the error for an issuer whose introspection endpoint is not
// known has the last error of its metadata.
func TestReadyNamesTheEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := issuertest.New(t)
		for _, e := range metadataDocuments {
			is.Behave(e, testissuer.Behaviour{Status: http.StatusTeapot})
		}
		log := new(bytes.Buffer)
		v := configured(t, func(c *validator.Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) }, is.OpaqueConfig(discovered))
		wantReady(t, "before Warm", v, []string{"call Warm"}, nil)
		if err := v.Warm(t.Context()); err == nil {
			t.Error("Warm reports nothing")
		}
		wantReady(t, "after Warm", v, []string{`issuer "https://issuer.test": `, "answered 418"}, []string{"answered 418"})
		synctest.Wait() // until the lines are written
		if err := v.Ready(); !errors.Is(err, introspect.NoEndpoint) {
			t.Errorf("%v", err)
		}
		lines := log.String()
		if !strings.Contains(lines, "requests about tokens are held back") || !strings.Contains(lines, "state=undiscovered") || !strings.Contains(lines, "answered 418") {
			t.Errorf("the log is %s", lines)
		}
		if s := v.Status().Introspection; len(s) != 1 || s[0].State != introspect.Undiscovered {
			t.Errorf("%+v", s)
		}
	})
}

// TestRunFindsEndpoints: a program that gets no tokens before it is ready becomes ready by
// Run alone, also if the issuer is down at the start. The attempts are spaced.
func TestRunFindsEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := issuertest.New(t)
		v := configured(t, nil, is.OpaqueConfig(discovered))
		for _, e := range metadataDocuments {
			is.Behave(e, testissuer.Behaviour{Status: http.StatusBadGateway})
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { _ = v.Run(ctx); close(ended) }()
		time.Sleep(10 * time.Minute)
		if n := is.Requests(testissuer.OAuthMetadata); n < 10 || n > 25 {
			t.Errorf("%d attempts in ten minutes", n)
		}
		wantReady(t, "while the metadata fail", v, []string{"answered 502"}, []string{"answered 502"})
		for _, e := range metadataDocuments {
			is.Behave(e, testissuer.Behaviour{})
		}
		time.Sleep(time.Minute)
		wantReady(t, "after a minute", v, nil, nil)
		n := is.Requests(testissuer.OAuthMetadata)
		time.Sleep(30 * time.Minute)
		if again := is.Requests(testissuer.OAuthMetadata); again != n {
			t.Errorf("%d attempts after the endpoint was found", again-n)
		}
		cancel()
		<-ended
	})
	synctest.Test(t, func(t *testing.T) { // Run ends while an attempt waits
		is := issuertest.New(t)
		v := configured(t, nil, is.OpaqueConfig(discovered))
		is.Down(true)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		start := time.Now()
		if err := v.Run(ctx); err != nil || time.Since(start) != 10*time.Minute {
			t.Errorf("Run: %v after %v", err, time.Since(start))
		}
	})
}
