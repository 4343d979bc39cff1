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
	for _, s := range guard.Validator().Status() {
		slog.Info("keys", "issuer", s.Issuer, "state", s.State, "keys", len(s.Keys), "ignored", len(s.Ignored),
			"usable_until", s.UsableUntil, "failures", s.Failures, "last_error", s.LastError)
	}
}

func forbid(ctx context.Context, guard *middleware.Guard) error {
	err := guard.Validator().ForbidKey(ctx, "https://login.example.com", jwkscache.KeyName{KeyID: "2026-11"})
	return err
}

type registered struct{ audiences []string }

func withTenants(directory map[string]registered) (*validator.Validator, error) {
	v, err := validator.New(validator.Config{
		Tenants: func(_ context.Context, unverifiedIssuer string) (validator.Issuer, error) {
			tenant, ok := directory[unverifiedIssuer] // look it up; never fetch from it
			if !ok {
				return validator.Issuer{}, validator.ErrUnknownIssuer
			}
			return validator.Issuer{URL: unverifiedIssuer, Audiences: tenant.audiences}, nil
		},
	})
	return v, err
}

func TestOperations(t *testing.T) {
	guard, err := observed([]validator.Issuer{{URL: "https://login.example.com", Audiences: []string{"https://api.example.com"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := forbid(t.Context(), guard); err != nil {
		t.Error(err)
	}
	logStatus(guard)
	if s := guard.Validator().Status(); len(s) != 1 || s[0].State != "unavailable" || len(s[0].Forbidden) != 1 {
		t.Errorf("status %+v", s)
	}
	v, err := withTenants(map[string]registered{"https://a.example.com": {audiences: []string{"https://api.example.com"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.ForbidKey(t.Context(), "https://b.example.com", jwkscache.KeyName{KeyID: "x"}); !errors.Is(err, validator.ErrUnknownIssuer) {
		t.Errorf("a key of nobody: %v", err)
	}
}
