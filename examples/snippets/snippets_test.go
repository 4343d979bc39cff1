package snippets

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-auth/sallyport/audit"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/metrics"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/providers"
	"github.com/sallyport-auth/sallyport/resourcemeta"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

const (
	audience    = "https://api.example.com"
	placeholder = "https://login.example.com" // the issuer that the documentation names
)

// snippet is a piece of code of the documentation, and the API that it makes.
type snippet struct {
	name string
	// url is the issuer that the snippet names. Empty means that api passes the
	// issuer to the snippet.
	url string
	// audience is the audience of the tokens. Empty means that of most snippets.
	audience string
	// claims are the claims that access tokens have and ID tokens do not, besides
	// those of RFC 9068.
	claims map[string]any
	// opaque means that the tokens are opaque, and that the snippet asks the issuer about
	// them as the client orders-api, with the secret in $CREDENTIALS_DIRECTORY/secret.
	opaque bool
	// api runs the snippet for an issuer that grants orders:read. The
	// documentation has the code between the marks.
	api func(t *testing.T, issuer *testissuer.Issuer) http.Handler
}

var all = []snippet{
	{name: "README.md, quick start", url: placeholder, api: func(t *testing.T, issuer *testissuer.Issuer) http.Handler {
		var served server
		http, log, middleware, context := &served, fatal{t}, guards{issuer}, contexts{t} // stand-ins, which the snippet calls
		// snippet
		guard, err := middleware.For(validator.Issuer{
			URL:       "https://login.example.com",
			Audiences: []string{"https://api.example.com"},
		})
		if err != nil {
			log.Fatal(err)
		}
		go guard.Run(context.Background()) // fetches the issuer's keys and keeps them fresh
		mux := guard.NewMux()
		mux.HandleFunc("GET /orders/{id}", scopes.All("orders:read"), showOrder)
		log.Fatal(http.ListenAndServe(":8080", mux))
		// end of snippet
		return served.handler
	}},
	{name: "README.md, hooks", api: func(_ *testing.T, issuer *testissuer.Issuer) http.Handler {
		issuers := issuersOf(issuer)
		// snippet
		v, err := validator.New(validator.Config{
			Issuers: issuers,
			Trace: &validator.Trace{Keys: &jwkscache.Trace{FetchDone: func(issuer string, done jwkscache.FetchDone) {
				slog.Info("keys", "issuer", issuer, "cause", done.Cause, "usable", done.Keys, "err", done.Err)
			}}},
		})
		if err != nil {
			log.Fatal(err)
		}
		guard, err := middleware.New(middleware.Config{
			Validator: v,
			Trace: &middleware.Trace{Decided: func(ctx context.Context, d middleware.Decision) {
				if d.Denial != nil {
					slog.InfoContext(ctx, "denied", "route", d.Route, "reason", string(d.Denial.Reason), "cause", d.Denial.Cause())
				}
			}},
		})
		// end of snippet
		return ordersBehind(guard, err)
	}},
	{name: "docs/logging.md, another logger", api: func(_ *testing.T, issuer *testissuer.Issuer) http.Handler {
		issuers := issuersOf(issuer)
		// snippet
		v, err := validator.New(validator.Config{
			Issuers: issuers,
			Logger:  slog.New(slog.NewJSONHandler(os.Stderr, nil)),
		})
		if err != nil {
			log.Fatal(err)
		}
		guard, err := middleware.New(middleware.Config{Validator: v})
		// end of snippet
		return ordersBehind(guard, err)
	}},
	{name: "docs/keys.md, many issuers", api: func(t *testing.T, issuer *testissuer.Issuer) http.Handler {
		type registered struct{ audiences, scopes []string }
		directory := map[string]registered{issuer.URL(): {audiences: []string{audience}, scopes: []string{"orders:read"}}}
		// snippet
		v, err := validator.New(validator.Config{
			ResolveIssuer: func(_ context.Context, unverifiedIssuer string) (validator.Issuer, error) {
				found, ok := directory[unverifiedIssuer] // look it up; never fetch from it
				if !ok {
					return validator.Issuer{}, validator.ErrUnknownIssuer
				}
				return validator.Issuer{URL: unverifiedIssuer, Audiences: found.audiences, Grants: found.scopes}, nil
			},
		})
		// end of snippet
		if err != nil {
			t.Fatal(err)
		}
		return ordersBehind(middleware.New(middleware.Config{Validator: v}))
	}},
	{name: "docs/transport.md, a transport", url: placeholder, api: func(_ *testing.T, is *testissuer.Issuer) http.Handler {
		middleware, roots, own := guards{is}, x509.NewCertPool(), tls.Certificate{}
		// snippet
		transport := validator.NewTransport()
		transport.TLSClientConfig.RootCAs = roots                       // a private authority
		transport.TLSClientConfig.Certificates = []tls.Certificate{own} // a client certificate
		transport.Proxy = http.ProxyFromEnvironment                     // or http.ProxyURL(proxy)
		guard, err := middleware.For(validator.Issuer{
			URL:        "https://login.example.com",
			Audiences:  []string{"https://api.example.com"},
			HTTPClient: &http.Client{Transport: transport},
		})
		// end of snippet
		return ordersBehind(guard, err)
	}},
	{
		name: "docs/transport.md, metadata elsewhere", url: "https://sts.example.com/adfs", claims: map[string]any{"iss": "http://sts.example.com/adfs/services/trust"},
		api: func(_ *testing.T, is *testissuer.Issuer) http.Handler {
			is.Metadata(testissuer.OpenIDMetadata, func(members map[string]any) {
				members["access_token_issuer"] = "http://sts.example.com/adfs/services/trust"
			})
			middleware := guards{is}
			// snippet
			guard, err := middleware.For(validator.Issuer{
				URL:         "http://sts.example.com/adfs/services/trust", // iss, byte for byte
				Audiences:   []string{"https://api.example.com"},
				MetadataURL: "https://sts.example.com/adfs/.well-known/openid-configuration",
			})
			// end of snippet
			return ordersBehind(guard, err)
		},
	},
	{name: "docs/http.md, bodies of refusals", api: func(t *testing.T, issuer *testissuer.Issuer) http.Handler {
		v := validatorOf(t, issuer)
		// snippet
		guard, err := middleware.New(middleware.Config{
			Validator: v,
			DenialBody: func(w http.ResponseWriter, _ *http.Request, d *middleware.Denial) {
				w.Header().Set("Content-Type", "text/plain; charset=utf-8")
				_, _ = fmt.Fprintf(w, "no (%d)\n", d.Status)
			},
		})
		// end of snippet
		return ordersBehind(guard, err)
	}},
	{name: "docs/http.md, decisions", api: func(t *testing.T, issuer *testissuer.Issuer) http.Handler {
		v := validatorOf(t, issuer)
		// snippet
		guard, err := middleware.New(middleware.Config{
			Validator: v,
			Trace: &middleware.Trace{Decided: func(ctx context.Context, d middleware.Decision) {
				class, reason := "allowed", ""
				if d.Denial != nil {
					class, reason = string(d.Denial.Class), string(d.Denial.Reason)
				}
				slog.InfoContext(ctx, "decided", "route", d.Route, "class", class, "reason", reason,
					"issuer", d.Issuer, "source", d.Source, "took", time.Since(d.Start))
			}},
		})
		// end of snippet
		return ordersBehind(guard, err)
	}},
	{name: "docs/metrics.md, switching on", api: func(t *testing.T, issuer *testissuer.Issuer) http.Handler {
		v := validatorOf(t, issuer)
		// snippet
		registry := prometheus.NewRegistry()
		trace, err := metrics.New(registry)
		if err != nil {
			log.Fatal(err)
		}
		guard, err := middleware.New(middleware.Config{Validator: v, Trace: trace})
		// end of snippet
		return ordersBehind(guard, err)
	}},
	{name: "docs/audit.md, set up", api: func(_ *testing.T, issuer *testissuer.Issuer) http.Handler {
		issuers, key := issuersOf(issuer), make([]byte, 32)
		// snippet
		audits, err := audit.New(audit.Config{
			Logger: slog.New(slog.NewJSONHandler(os.Stdout, nil)),
			Key:    audit.NewKey(key),
		})
		if err != nil {
			log.Fatal(err)
		}
		v, err := validator.New(validator.Config{Issuers: issuers, Trace: audits.ValidatorTrace()})
		if err != nil {
			log.Fatal(err)
		}
		guard, err := middleware.New(middleware.Config{Validator: v, Trace: audits.Trace()})
		// end of snippet
		return ordersBehind(guard, err)
	}},
	{name: "docs/http.md, proxies", api: func(t *testing.T, issuer *testissuer.Issuer) http.Handler {
		v := validatorOf(t, issuer)
		// snippet
		guard, err := middleware.New(middleware.Config{
			Validator:      v,
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		})
		// end of snippet
		return ordersBehind(guard, err)
	}},
	{name: "docs/http.md, fields that are kept", api: func(t *testing.T, issuer *testissuer.Issuer) http.Handler {
		v := validatorOf(t, issuer)
		// snippet
		guard, err := middleware.New(middleware.Config{
			Validator:          v,
			InsecureKeepFields: []string{"X-Goog-IAP-JWT-Assertion"}, // the handler verifies it
		})
		// end of snippet
		return ordersBehind(guard, err)
	}},
	{
		name: "docs/policy.md, what an issuer may give", url: placeholder, claims: map[string]any{"org": "acme"},
		api: func(_ *testing.T, is *testissuer.Issuer) http.Handler {
			// snippet
			issuer := validator.Issuer{
				URL:       "https://login.example.com",
				Audiences: []string{"https://api.example.com"},
				Grants:    []string{"orders:read", "orders:write"},
				Mappings: []validator.Mapping{{
					Claim:  []string{"groups"},
					To:     validator.ToRole,
					Values: map[string][]string{"warehouse-staff": {"picker"}},
				}},
				Tenant: validator.TenantRule{Claim: "org", Owned: []string{"acme", "globex"}},
			}
			// end of snippet
			return ordersBehind(guards{is}.For(issuer))
		},
	},
	{
		name: "docs/policy.md, access tokens without at+jwt", url: "https://login.example.com/realms/shop", audience: "orders-api",
		claims: map[string]any{"typ": "Bearer", "nonce": "n"}, api: func(_ *testing.T, is *testissuer.Issuer) http.Handler {
			// snippet
			issuer := validator.Issuer{
				URL:         "https://login.example.com/realms/shop",
				Audiences:   []string{"orders-api"},
				Profile:     validator.ProfileLegacy,
				Marker:      []validator.ClaimRule{{Name: "typ", Equals: "Bearer"}},
				OtherTokens: []validator.ClaimRule{{Name: "at_hash"}},
			}
			// end of snippet
			return ordersBehind(guards{is}.For(issuer))
		},
	},
	{
		name: "docs/policy.md, tokens without aud", url: "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_example",
		claims: map[string]any{"aud": nil, "client_id": "1example23456789", "token_use": "access"}, api: func(_ *testing.T, is *testissuer.Issuer) http.Handler {
			// snippet
			issuer := validator.Issuer{
				URL:       "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_example",
				ClientIDs: []string{"1example23456789"},
				Profile:   validator.ProfileLegacy,
				Marker:    []validator.ClaimRule{{Name: "token_use", Equals: "access"}},
			}
			// end of snippet
			return ordersBehind(guards{is}.For(issuer))
		},
	},
	{
		name: "docs/policy.md, the client's claim", url: "https://login.example.com", audience: "https://api.example.com",
		claims: map[string]any{"app": "web", "token_kind": "access"}, api: func(_ *testing.T, is *testissuer.Issuer) http.Handler {
			// snippet
			issuer := validator.Issuer{
				URL:         "https://login.example.com",
				Audiences:   []string{"https://api.example.com"},
				Profile:     validator.ProfileLegacy,
				Marker:      []validator.ClaimRule{{Name: "token_kind", Equals: "access"}},
				ClientClaim: "app",
				Mappings:    []validator.Mapping{{Claim: []string{"rights"}, To: validator.ToScope}},
			}
			// end of snippet
			return ordersBehind(guards{is}.For(issuer))
		},
	},
	{
		name: "docs/issuers.md, a preset", url: "https://login.example.com/realms/shop", audience: "orders-api",
		claims: map[string]any{"typ": "Bearer"}, api: func(_ *testing.T, is *testissuer.Issuer) http.Handler {
			middleware := guards{is}
			// snippet
			guard, err := middleware.For(providers.Keycloak("https://login.example.com/realms/shop", "orders-api"))
			// end of snippet
			return ordersBehind(guard, err)
		},
	},
	{name: "docs/opaque-tokens.md, asking the issuer", url: placeholder, opaque: true, api: func(_ *testing.T, is *testissuer.Issuer) http.Handler {
		middleware := guards{is}
		// snippet
		guard, err := middleware.For(validator.Issuer{
			URL:       "https://login.example.com",
			Audiences: []string{"https://api.example.com"},
			Opaque: &introspect.Client{
				ID:             "orders-api",
				Authentication: introspect.ClientSecretBasic{Secret: introspect.SecretFile(os.Getenv("CREDENTIALS_DIRECTORY") + "/secret")},
			},
		})
		// end of snippet
		return ordersBehind(guard, err)
	}},
	{name: "docs/resource-metadata.md, serving it", api: func(t *testing.T, issuer *testissuer.Issuer) http.Handler {
		v := validatorOf(t, issuer)
		// snippet
		meta, err := resourcemeta.New(resourcemeta.Config{Resource: "https://api.example.com", Validator: v})
		if err != nil {
			log.Fatal(err)
		}
		guard, err := middleware.New(middleware.Config{Validator: v, ResourceMetadata: meta.URL()})
		if err != nil {
			log.Fatal(err)
		}
		mux := guard.NewMux()
		mux.HandleFunc("GET /orders/{id}", scopes.All("orders:read"), showOrder)
		for _, pattern := range meta.Patterns() {
			mux.Handle(pattern, scopes.Public(), meta.Handler(mux.Policies))
		}
		// end of snippet
		return mux
	}},
}

// issuersOf returns the configuration of issuer for a snippet that needs it.
func issuersOf(issuer *testissuer.Issuer) []validator.Issuer {
	return []validator.Issuer{{URL: issuer.URL(), Audiences: []string{audience}}}
}

func validatorOf(t *testing.T, issuer *testissuer.Issuer) *validator.Validator {
	t.Helper()
	v, err := validator.New(validator.Config{Issuers: issuersOf(issuer)})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// ordersBehind returns an API protected by the guard that a snippet makes.
func ordersBehind(guard *middleware.Guard, err error) http.Handler {
	if err != nil {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		})
	}
	mux := guard.NewMux()
	mux.HandleFunc("GET /orders/{id}", scopes.All("orders:read"), showOrder)
	return mux
}

func showOrder(w http.ResponseWriter, r *http.Request) {
	_, _ = fmt.Fprintf(w, "order %s for %s", r.PathValue("id"), middleware.TokenFrom(r.Context()).Subject())
}

// guards replaces package middleware and connects to the issuer under test, whichever
// issuer the snippet names.
type guards struct{ issuer *testissuer.Issuer }

func (g guards) For(issuers ...validator.Issuer) (*middleware.Guard, error) {
	for i := range issuers {
		issuers[i].HTTPClient = g.issuer.Client()
	}
	return middleware.For(issuers...)
}

// server replaces package http and keeps the handler that would be served.
type server struct{ handler http.Handler }

func (s *server) ListenAndServe(_ string, handler http.Handler) error {
	s.handler = handler
	return nil
}

// contexts replaces package context, so that a Guard runs until its test ends.
type contexts struct{ t *testing.T }

func (c contexts) Background() context.Context { return c.t.Context() }

// fatal replaces package log.
type fatal struct{ t *testing.T }

func (f fatal) Fatal(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}
