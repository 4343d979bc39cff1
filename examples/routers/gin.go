package routers

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// ginAPI is the API under gin.
func ginAPI(v *validator.Validator) (http.Handler, error) {
	// snippet
	guard, err := middleware.New(middleware.Config{Validator: v, PathValue: ginParam})
	if err != nil {
		return nil, err
	}
	router := gin.New()
	router.RedirectTrailingSlash = false // or strangers learn which paths there are
	router.GET("/:tenant/orders", ginRequire(guard, policy()), gin.WrapF(listOrders))
	router.NoRoute(ginRequire(guard, scopes.Authenticated()))
	return refuseAmbiguous(router), nil
	// end of snippet
}

// ginRequire returns a handler that stops a request unless policy permits it. The
// handlers behind it run inside the guard.
func ginRequire(guard *middleware.Guard, policy scopes.Policy) gin.HandlerFunc {
	door := guard.Require(policy, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if visit, ok := r.Context().Value(ginKey{}).(*ginVisit); ok {
			visit.passed = true
			visit.context.Request = r // it has the token, and not what was removed
			visit.context.Next()
		}
	}))
	return func(c *gin.Context) {
		visit, outer := &ginVisit{context: c}, c.Request
		inner := outer.WithContext(context.WithValue(outer.Context(), ginKey{}, visit))
		defer func() { outer.MultipartForm = inner.MultipartForm }() // net/http deletes the files of its own request only
		door.ServeHTTP(c.Writer, inner)
		if !visit.passed {
			c.Abort() // or gin runs the next handler after the refusal
		}
	}
}

// ginVisit is a request at the guard.
type ginVisit struct {
	context *gin.Context
	passed  bool
}

type ginKey struct{}

// ginParam reads a parameter of the path of a request that ginRequire judges.
func ginParam(r *http.Request, name string) string {
	visit, ok := r.Context().Value(ginKey{}).(*ginVisit)
	if !ok {
		return ""
	}
	return visit.context.Param(name)
}
