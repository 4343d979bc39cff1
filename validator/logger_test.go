package validator_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestLogger checks which logger a Validator has.
func TestLogger(t *testing.T) {
	is := issuertest.New(t)
	own := slog.New(slog.DiscardHandler)
	with := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.Config()}, Logger: own})
	without, err := validator.New(validator.Config{Issuers: []validator.Issuer{is.Config()}})
	if err != nil {
		t.Fatal(err)
	}
	var unmade *validator.Validator
	if with.Logger() != own || without.Logger() != slog.Default() || unmade.Logger() != slog.Default() {
		t.Error("another logger")
	}
}

// TestReady checks that Ready without Warm and Run says what to call, and is nil after the
// first token.
func TestReadyAfterFirstToken(t *testing.T) {
	is := issuertest.New(t)
	for name, config := range map[string]validator.Issuer{
		"keys":          is.Config(is.Fetched),
		"introspection": is.OpaqueConfig(func(c *validator.Issuer) { c.Opaque.Endpoint = "" }),
	} {
		t.Run(name, func(t *testing.T) {
			v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{config}})
			if err := v.Ready(); err == nil || !strings.Contains(err.Error(), "call Warm") || !strings.Contains(err.Error(), "first token") {
				t.Errorf("Ready = %v, want one that says what to call", err)
			}
			token := is.Bearer(nil)
			if config.Opaque != nil {
				token = is.OpaqueBearer(nil)
			}
			if _, err := v.Validate(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			if err := v.Ready(); err != nil {
				t.Errorf("Ready after the first token = %v", err)
			}
		})
	}
}

// TestTraceBesideLogger checks that the hooks of the configuration are called too, also if
// they panic.
func TestTraceBesideLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, j := issuertest.New(t), new(journal)
		called := 0
		v := issuertest.Validator(t, validator.Config{
			Issuers: []validator.Issuer{is.Config(is.Fetched)}, Logger: slog.New(j),
			Trace: &validator.Trace{Keys: &jwkscache.Trace{FetchDone: func(string, jwkscache.FetchDone) {
				called++
				panic("of a hook")
			}}, Introspection: &introspect.Trace{}},
		})
		if err := v.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		j.want(t, "Warm", "issuer configured", "the keys of the issuer were fetched")
		if called != 1 {
			t.Errorf("the hook was called %d times", called)
		}
	})
}

// slowHandler blocks until it is released.
type slowHandler struct {
	slog.Handler

	release <-chan struct{}
}

func (slowHandler) Enabled(context.Context, slog.Level) bool { return true }

func (s slowHandler) Handle(context.Context, slog.Record) error {
	<-s.release
	return errors.New("too late")
}

// TestBlockedLogger covers A12: no token waits for a logger that blocks, and Run ends.
func TestBlockedLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		is := issuertest.New(t)
		v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.Config(is.Fetched)}, Logger: slog.New(slowHandler{release: release})})
		began := time.Now()
		for range 100 {
			if _, err := v.Validate(t.Context(), is.Bearer(nil)); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 0 { // by the clock of the bubble
			t.Errorf("tokens waited %v", took)
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if err := v.Run(over); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("Run took %v to end", took)
		}
		close(release)
	})
}
