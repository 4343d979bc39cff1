package snippets

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// optionalRoute registers the route of docs/http.md that needs no token.
func optionalRoute(mux *middleware.Mux) {
	mux.HandleFunc("GET /articles/{id}", scopes.Optional(scopes.All("articles:read")), func(w http.ResponseWriter, r *http.Request) {
		if token := middleware.TokenFrom(r.Context()); token != nil {
			_, _ = fmt.Fprintln(w, token.Subject()) // the token is valid, and has the scope articles:read
		}
	})
}

// decideHTTP is the code of docs/http.md for programs that do not serve the request.
func decideHTTP(mux *middleware.Mux, r *http.Request, token string) error {
	if _, err := mux.Add("GET /orders/{id}", scopes.All("orders:read")); err != nil {
		return err // all faults of the policy and the pattern
	}

	presentation := validator.Presentation{Scheme: validator.Bearer, Token: token} // read from the request
	verdict := mux.Match(r).Check(r.Context(), presentation, scopes.Operation{})
	if denial := verdict.Denial(); denial != nil {
		return denial // write denial.Response(), or call denial.ServeHTTP
	}
	caller := verdict.Token() // nil on public routes, and for anonymous callers of optional ones
	_ = caller
	return nil
}

// decideCall is the code of docs/http.md for another transport.
func decideCall(guard *middleware.Guard) (*middleware.Route, error) {
	guard = guard.Over("grpc")
	route, err := guard.Route("/orders.v1.Orders/Get", scopes.All("orders:read"))
	return route, err
}

// TestAdapters shows that the code for adapters works.
func TestAdapters(t *testing.T) {
	issuer := testissuer.New(t)
	guard, err := middleware.New(middleware.Config{Validator: validatorOf(t, issuer)})
	if err != nil {
		t.Fatal(err)
	}
	mux := guard.NewMux()
	optionalRoute(mux)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/orders/7", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if err := decideHTTP(mux, r, "a"); validator.ReasonOf(err) != validator.MalformedToken {
		t.Errorf("malformed token: %v", err)
	}
	if route, err := decideCall(guard); err != nil || route.Name() != "/orders.v1.Orders/Get" {
		t.Errorf("%v, %v", route, err)
	}
}
