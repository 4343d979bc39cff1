package routers

import (
	"net/http"

	"github.com/gorilla/mux"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// gorillaAPI returns the API under gorilla/mux.
func gorillaAPI(v *validator.Validator) (http.Handler, error) {
	guard, err := middleware.New(middleware.Config{
		Validator: v,
		PathValue: func(r *http.Request, name string) string { return mux.Vars(r)[name] },
	})
	if err != nil {
		return nil, err
	}
	router := mux.NewRouter()
	router.Handle("/{tenant}/orders", guard.Require(policy(), http.HandlerFunc(listOrders))).Methods(http.MethodGet)
	unlisted := guard.Require(scopes.Authenticated(), http.NotFoundHandler())
	router.NotFoundHandler = unlisted
	router.MethodNotAllowedHandler = unlisted // or callers without a token learn which paths exist
	return guard.RefuseAmbiguous(router), nil
}
