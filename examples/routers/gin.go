package routers

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// ginAPI returns the API under gin.
func ginAPI(v *validator.Validator) (http.Handler, error) {
	// snippet
	guard, err := middleware.New(middleware.Config{Validator: v, PathValue: ginParam})
	if err != nil {
		return nil, err
	}
	router := gin.New()
	router.RedirectTrailingSlash = false // or callers without a token learn which paths exist
	router.GET("/:tenant/orders", ginRequire(guard, policy()), gin.WrapF(listOrders))
	router.NoRoute(ginRequire(guard, scopes.Authenticated()))
	return guard.RefuseAmbiguous(router), nil
	// end of snippet
}

// ginRequire returns a handler that stops a request unless policy permits it. The
// handlers behind it run inside the guard.
func ginRequire(guard *middleware.Guard, policy scopes.Policy) gin.HandlerFunc {
	guarded := guard.Require(policy, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if visit, ok := r.Context().Value(ginKey{}).(*ginVisit); ok {
			visit.passed = true
			visit.context.Request = r // it has the token, and not the removed fields
			visit.context.Next()
		}
	}))
	return func(c *gin.Context) {
		visit, outer := &ginVisit{context: c}, c.Request
		inner := outer.WithContext(context.WithValue(outer.Context(), ginKey{}, visit))
		defer func() { outer.MultipartForm = inner.MultipartForm }() // net/http deletes only the files of its own request
		guarded.ServeHTTP(c.Writer, inner)
		if !visit.passed {
			c.Abort() // or gin runs the next handler after the refusal
		}
	}
}

// ginVisit is a request that the guard checks.
type ginVisit struct {
	context *gin.Context
	passed  bool
}

type ginKey struct{}

// ginParam returns a parameter of the path of a request in ginRequire.
func ginParam(r *http.Request, name string) string {
	visit, ok := r.Context().Value(ginKey{}).(*ginVisit)
	if !ok {
		return ""
	}
	return visit.context.Param(name)
}
