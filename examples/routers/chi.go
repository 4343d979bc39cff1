package routers

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// chiAPI is the API under chi. The guard stands at the route, by With: Use of the
// outermost router runs before the path is matched.
func chiAPI(v *validator.Validator) (http.Handler, error) {
	// snippet
	guard, err := middleware.New(middleware.Config{Validator: v, PathValue: chi.URLParam})
	if err != nil {
		return nil, err
	}
	router := chi.NewRouter()
	router.With(guard.Middleware(policy())).Get("/{tenant}/orders", listOrders)
	unlisted := guard.Require(scopes.Authenticated(), http.NotFoundHandler())
	router.NotFound(unlisted.ServeHTTP)
	router.MethodNotAllowed(unlisted.ServeHTTP) // or strangers learn which paths there are
	return refuseAmbiguous(router), nil
	// end of snippet
}
