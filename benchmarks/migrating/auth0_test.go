package migrating

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	jwtmiddleware "github.com/auth0/go-jwt-middleware/v3"
	"github.com/auth0/go-jwt-middleware/v3/jwks"
	"github.com/auth0/go-jwt-middleware/v3/validator"
)

// beforeAuth0 is the API with the middleware of Auth0.
func beforeAuth0(issuer, audience string) (http.Handler, error) {
	// snippet
	issuerURL, err := url.Parse(issuer)
	if err != nil {
		return nil, err
	}
	provider, err := jwks.NewCachingProvider(jwks.WithIssuerURL(issuerURL))
	if err != nil {
		return nil, err
	}
	validate, err := validator.New(
		validator.WithKeyFunc(provider.KeyFunc),
		validator.WithAlgorithm(validator.RS256),
		validator.WithIssuer(issuerURL.String()),
		validator.WithAudience(audience),
		validator.WithCustomClaims(func() *scopeClaim { return new(scopeClaim) }),
	)
	if err != nil {
		return nil, err
	}
	check, err := jwtmiddleware.New(jwtmiddleware.WithValidator(validate))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /orders/{id}", check.CheckJWT(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, err := jwtmiddleware.GetClaims[*validator.ValidatedClaims](r.Context())
		if err != nil {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		scope, _ := claims.CustomClaims.(*scopeClaim)
		if !slices.Contains(strings.Fields(scope.Scope), "orders:read") {
			http.Error(w, "forbidden", http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, "order %s for %s\n", r.PathValue("id"), claims.RegisteredClaims.Subject)
	})))
	// end of snippet
	return mux, nil
}

// scopeClaim is the claim that the routes look at.
type scopeClaim struct {
	Scope string `json:"scope"`
}

// Validate accepts every scope; the routes look at them.
func (*scopeClaim) Validate(context.Context) error { return nil }
