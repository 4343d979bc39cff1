package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/validator"
)

// The snippets of docs/keys.md.

func logStatus(guard *middleware.Guard) {
	for _, s := range guard.Validator().Status().Issuers {
		slog.Info("keys", "issuer", s.Issuer, "state", s.State, "keys", len(s.Keys), "ignored", len(s.Ignored),
			"usable_until", s.UsableUntil, "failures", s.Failures, "last_error", s.LastError)
	}
}

func forbid(ctx context.Context, guard *middleware.Guard) error {
	err := guard.Validator().ForbidKey(ctx, "https://login.example.com", jwkscache.KeyName{KeyID: "2026-11"})
	return err
}

func TestOperations(t *testing.T) {
	_, guard, err := newAPI(validator.Issuer{URL: "https://login.example.com", Audiences: []string{"https://api.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := forbid(t.Context(), guard); err != nil {
		t.Error(err)
	}
	logStatus(guard)
	if s := guard.Validator().Status().Issuers; len(s) != 1 || s[0].State != "unavailable" || len(s[0].Forbidden) != 1 {
		t.Errorf("status %+v", s)
	}
	v, err := validator.New(validator.Config{ResolveIssuer: func(context.Context, string) (validator.Issuer, error) {
		return validator.Issuer{}, validator.ErrUnknownIssuer
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.ForbidKey(t.Context(), "https://b.example.com", jwkscache.KeyName{KeyID: "x"}); !errors.Is(err, validator.ErrUnknownIssuer) {
		t.Errorf("a key of an unknown issuer: %v", err)
	}
}
