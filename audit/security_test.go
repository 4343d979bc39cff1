package audit_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/audit"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// legacy makes the issuer one whose tokens are told apart by their claims.
func legacy(config *validator.Issuer) {
	config.Profile = validator.ProfileLegacy
	config.Marker = []validator.ClaimRule{{Name: "scope", Type: validator.ClaimString}}
}

// tenants lets tokens name their tenant.
func tenants(config *validator.Issuer) {
	config.Tenant = validator.TenantRule{Claim: "tenant", Owned: []string{"acme", "globex"}}
}

// TestSecurityEvents (R-OB-08): each event is written when its threshold is reached, once in a window, with the number of occurrences; and not by requests that
// are like it.
func TestSecurityEvents(t *testing.T) {
	sign := func(token testissuer.Token) func(*scene) string {
		return func(s *scene) string { return "Bearer " + s.issuer.Sign(token) }
	}
	bound := map[string]any{"cnf": map[string]any{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}
	tenant := func(name string) func(*scene) string {
		return sign(testissuer.Token{Claims: map[string]any{"tenant": name}})
	}
	for _, row := range []struct {
		event     audit.Event
		threshold int
		line      string
		fires     func(*scene) string
		calm      func(*scene) string // a request that is no occurrence
		calmLine  string              // "": line
		change    func(*validator.Issuer)
	}{
		{event: audit.UnknownKeySpike, threshold: 100, line: "GET /orders/1", fires: sign(testissuer.Token{Header: map[string]any{"kid": "unknown"}}), calm: sign(testissuer.Token{Forgery: testissuer.Tampered})},
		{event: audit.WrongAudienceSpike, threshold: 100, line: "GET /orders/1", fires: sign(testissuer.Token{Claims: map[string]any{"aud": "other"}}), calm: sign(testissuer.Token{})},
		{event: audit.WrongTypeSpike, threshold: 100, line: "GET /orders/1", fires: sign(testissuer.Token{Header: map[string]any{"typ": "JWT"}}), calm: sign(testissuer.Token{})},
		{event: audit.OtherTokenPresented, threshold: 1, line: "GET /orders/1", fires: sign(testissuer.Token{Scope: "read", Header: map[string]any{"typ": "JWT"}, Claims: map[string]any{"nonce": "n"}}), calm: sign(testissuer.Token{Header: map[string]any{"typ": "other"}}), change: legacy},
		{event: audit.OtherTokenPresented, threshold: 1, line: "GET /orders/1", fires: sign(testissuer.Token{Scope: "read", Claims: map[string]any{"gty": "other"}}), calm: sign(testissuer.Token{Scope: "read", Claims: map[string]any{"gty": "x"}}), change: func(config *validator.Issuer) {
			config.OtherTokens = []validator.ClaimRule{{Name: "gty", Equals: "other"}}
		}},
		{event: audit.TokenInURL, threshold: 1, line: "GET /orders/1?access_token=abc", fires: sign(testissuer.Token{Scope: "read"}), calm: sign(testissuer.Token{Scope: "read"}), calmLine: "GET /orders/1?page_token=abc"},
		{event: audit.BoundTokenAsBearer, threshold: 1, line: "GET /orders/1", fires: sign(testissuer.Token{Claims: bound}), calm: func(s *scene) string {
			return "DPoP " + s.issuer.Sign(testissuer.Token{Claims: bound})
		}},
		{event: audit.CrossTenant, threshold: 1, line: "GET /t/globex", fires: tenant("acme"), calm: tenant("globex"), change: tenants},
		{event: audit.CrossTenant, threshold: 1, line: "GET /tenant/x", fires: tenant("globex"), calm: sign(testissuer.Token{}), calmLine: "GET /orders/1", change: tenants},
	} {
		synctest.Test(t, func(t *testing.T) {
			var changes []func(*validator.Issuer)
			if row.change != nil {
				changes = append(changes, row.change)
			}
			s := newScene(t, nil, changes...)
			calmLine := row.line
			if row.calmLine != "" {
				calmLine = row.calmLine
			}
			for range 2 * row.threshold {
				s.get(calmLine, row.calm(s))
			}
			for range row.threshold - 1 {
				s.get(row.line, row.fires(s))
			}
			if got := of(s.written(t), string(row.event)); len(got) != 0 {
				t.Fatalf("%s: too early: %v", row.event, got)
			}
			for range 5 {
				s.get(row.line, row.fires(s))
			}
			got := of(s.written(t), string(row.event))
			if len(got) != 1 || got[0]["count"] != float64(row.threshold) || got[0]["state"] != "reached" || got[0]["level"] != "WARN" || got[0]["request_id"] != "request-7" {
				t.Fatalf("%s: %v", row.event, got)
			}
			time.Sleep(2 * time.Minute)
			if got = of(s.lines.records(t), string(row.event)); len(got) != 2 || got[1]["count"] != float64(row.threshold+4) || got[1]["state"] != "window_ended" {
				t.Fatalf("%s: %v", row.event, got)
			}
			for range row.threshold {
				s.get(row.line, row.fires(s))
			}
			time.Sleep(2 * time.Minute)
			if got = of(s.lines.records(t), string(row.event)); len(got) != 3 || got[2]["state"] != "reached" {
				t.Errorf("%s: %v", row.event, got)
			}
		})
	}
}

// TestSlowOccurrences: what is spread over many windows is no spike.
func TestSlowOccurrences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		token := "Bearer " + s.issuer.Sign(testissuer.Token{Lifetime: 24 * time.Hour, Claims: map[string]any{"aud": "other"}})
		for range 300 {
			s.get("GET /orders/1", token)
			time.Sleep(time.Second)
		}
		if got := of(s.written(t), "security"); len(got) != 0 {
			t.Errorf("%v", got)
		}
	})
}

// TestUsedAfterRevocation (R-OB-08): a token that its issuer does not call active any more is told, and one that never was is not.
func TestUsedAfterRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, sink := issuertest.New(t), &lines{}
		log, err := audit.New(audit.Config{Logger: slog.New(slog.NewJSONHandler(sink, nil))})
		if err != nil {
			t.Fatal(err)
		}
		v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{issuer.OpaqueConfig()}, Trace: log.ValidatorTrace()})
		route, err := issuertest.Guard(t, middleware.Config{Validator: v, Trace: log.Trace()}).Route("x", scopes.Authenticated())
		if err != nil {
			t.Fatal(err)
		}
		never := issuertest.Bearer("never-was-active-000000")
		route.Check(t.Context(), never, scopes.Operation{})
		time.Sleep(time.Hour)
		route.Check(t.Context(), never, scopes.Operation{})
		token := issuer.Opaque(testissuer.Token{Lifetime: 10 * time.Hour})
		check := func() *middleware.Denial {
			return route.Check(t.Context(), issuertest.Bearer(token), scopes.Operation{}).Denial()
		}
		if denial := check(); denial != nil {
			t.Fatal(denial.Cause())
		}
		if got := of(sink.records(t), "security"); len(got) != 0 {
			t.Errorf("%v", got)
		}
		issuer.Revoke(token)
		time.Sleep(time.Minute)
		if denial := check(); denial == nil || denial.Reason != validator.Inactive {
			t.Fatalf("%v", denial)
		}
		if err := log.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := of(sink.records(t), string(audit.UsedAfterRevocation)); len(got) != 1 || got[0]["issuer_label"] != issuer.URL() {
			t.Errorf("%v", sink.records(t))
		}
		// a deny list says it by the reason
		log.Trace().Decided(t.Context(), middleware.Decision{Issuer: "https://other", Denial: &middleware.Denial{Reason: validator.Revoked}})
		if err := log.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := of(sink.records(t), string(audit.UsedAfterRevocation)); len(got) != 2 {
			t.Errorf("%v", got)
		}
	})
}

// TestOtherTokenOfAnswer: an answer about a refresh token is an event too.
func TestOtherTokenOfAnswer(t *testing.T) {
	issuer, sink := issuertest.New(t), &lines{}
	log, err := audit.New(audit.Config{Logger: slog.New(slog.NewJSONHandler(sink, nil))})
	if err != nil {
		t.Fatal(err)
	}
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{issuer.OpaqueConfig(func(c *validator.Issuer) {
		c.Opaque.Authentication = introspect.ClientSecretBasic{Secret: introspect.SecretText(testissuer.ClientSecret)}
	})}})
	route, err := issuertest.Guard(t, middleware.Config{Validator: v, Trace: log.Trace()}).Route("x", scopes.Authenticated())
	if err != nil {
		t.Fatal(err)
	}
	for i, claims := range []issuertest.Claims{{"token_type": "refresh_token"}, {"token_use": "refresh_token"}, {"token_type": "mac"}} {
		denial := route.Check(context.Background(), issuer.OpaqueBearer(claims), scopes.Operation{}).Denial()
		if denial == nil || denial.Reason != validator.WrongType {
			t.Errorf("%d: %v", i, denial)
		}
	}
	if err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := of(sink.records(t), string(audit.OtherTokenPresented))
	if len(got) != 1 {
		t.Errorf("%v", got)
	}
}

// TestThresholds: thresholds and the window can be set, and events switched off.
func TestThresholds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, func(c *audit.Config) {
			c.Thresholds = map[audit.Event]int{audit.WrongAudienceSpike: 3, audit.WrongTypeSpike: -1, audit.UnknownKeySpike: 0}
			c.Window = time.Hour
		})
		deny := func(reason validator.Reason, issuer string, n int) {
			for range n {
				s.log.Trace().Decided(t.Context(), middleware.Decision{Issuer: issuer, Denial: &middleware.Denial{Reason: reason}})
			}
		}
		deny(validator.WrongAudience, "a", 2)
		deny(validator.WrongAudience, "b", 2)
		deny(validator.WrongType, "a", 1000)
		deny(validator.UnknownKey, "a", 99)
		time.Sleep(59 * time.Minute)
		if got := of(s.written(t), "security"); len(got) != 0 {
			t.Errorf("%v", got)
		}
		deny(validator.WrongAudience, "a", 1)
		deny(validator.UnknownKey, "a", 1)
		if got := of(s.written(t), "security"); len(got) != 2 || got[0]["issuer_label"] != "a" || got[0]["count"] != 3.0 {
			t.Errorf("%v", got)
		}
	})
}

// TestOverlappingWindows: the timer of a window that was followed by another one leaves the
// latter alone.
func TestOverlappingWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, func(c *audit.Config) {
			c.Thresholds = map[audit.Event]int{audit.WrongAudienceSpike: 2}
			c.Window = time.Minute
		})
		start := time.Now()
		for _, second := range []int{0, 50, 65, 70, 75} { // windows begin at 0 and 65
			time.Sleep(time.Until(start.Add(time.Duration(second) * time.Second)))
			s.log.Trace().Decided(t.Context(), middleware.Decision{Issuer: "a", Denial: &middleware.Denial{Reason: validator.WrongAudience}})
		}
		for _, row := range []struct {
			second, records int
		}{{75, 2}, {129, 2}, {131, 3}} {
			time.Sleep(time.Until(start.Add(time.Duration(row.second) * time.Second)))
			if got := of(s.written(t), string(audit.WrongAudienceSpike)); len(got) != row.records {
				t.Errorf("after %d s: %d records, want %d: %v", row.second, len(got), row.records, got)
			}
		}
	})
}

// TestBoundedEvents: memory is bounded, whatever the number of issuers.
func TestBoundedEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		for i := range 5000 {
			s.log.Trace().Decided(t.Context(), middleware.Decision{Issuer: fmt.Sprint("https://", i), Denial: &middleware.Denial{Reason: validator.WrongAudience}})
		}
		if got := of(s.written(t), "security"); len(got) != 1 || got[0]["issuer_label"] != "other" {
			t.Errorf("%v", got)
		}
	})
}
