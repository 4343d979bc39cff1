package migrating

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/providers"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// afterGolangJWT is the API of beforeGolangJWT with Sallyport.
func afterGolangJWT(ctx context.Context, issuer, jwksURL, audience string) (http.Handler, error) {
	// snippet
	guard, err := middleware.For(validator.Issuer{
		URL:        issuer,
		Audiences:  []string{audience},
		Algorithms: []jose.Algorithm{jose.RS256},
		Keys:       jwkscache.URL(jwksURL), // left out: the jwks_uri of the issuer's metadata
	})
	if err != nil {
		return nil, err
	}
	go guard.Run(ctx)
	mux := guard.NewMux()
	mux.HandleFunc("GET /orders/{id}", scopes.All("orders:read"), func(w http.ResponseWriter, r *http.Request) {
		token := middleware.TokenFrom(r.Context())
		fmt.Fprintf(w, "order %s for %s\n", r.PathValue("id"), token.Subject())
	})
	return mux, nil
	// end of snippet
}

// afterGoOIDC is the API of beforeGoOIDC with Sallyport.
func afterGoOIDC(ctx context.Context, issuer, audience string) (http.Handler, error) {
	// snippet
	guard, err := middleware.For(validator.Issuer{URL: issuer, Audiences: []string{audience}})
	if err != nil {
		return nil, err
	}
	go guard.Run(ctx)
	mux := guard.NewMux()
	mux.HandleFunc("GET /orders/{id}", scopes.All("orders:read"), func(w http.ResponseWriter, r *http.Request) {
		token := middleware.TokenFrom(r.Context())
		fmt.Fprintf(w, "order %s for %s\n", r.PathValue("id"), token.Subject())
	})
	return mux, nil
	// end of snippet
}

// presets stands in for package providers: its Auth0 has the issuer of a test.
type presets struct{ issuer string }

func (p presets) Auth0(domain string, audiences ...string) validator.Issuer {
	issuer := providers.Auth0(domain, audiences...)
	issuer.URL = p.issuer
	return issuer
}

// afterAuth0 is the API of beforeAuth0 with Sallyport.
func afterAuth0(ctx context.Context, issuer, audience string) (http.Handler, error) {
	providers := presets{issuer} // a stand-in, which the snippet calls
	// snippet
	guard, err := middleware.For(providers.Auth0("acme.eu.auth0.com", audience))
	if err != nil {
		return nil, err
	}
	go guard.Run(ctx)
	mux := guard.NewMux()
	mux.HandleFunc("GET /orders/{id}", scopes.All("orders:read"), func(w http.ResponseWriter, r *http.Request) {
		token := middleware.TokenFrom(r.Context())
		fmt.Fprintf(w, "order %s for %s\n", r.PathValue("id"), token.Subject())
	})
	return mux, nil
	// end of snippet
}
