package routers

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// chiAPI returns the API under chi. With puts the guard at the route. Use of the
// outermost router would run it before the path is matched.
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
	router.MethodNotAllowed(unlisted.ServeHTTP) // or callers without a token learn which paths exist
	return guard.RefuseAmbiguous(router), nil
	// end of snippet
}
