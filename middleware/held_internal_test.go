package middleware

import (
	"context"
	"testing"
	"time"
	"unsafe"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// BenchmarkHeldVisit is the check of one held request, which comes twice a second.
func BenchmarkHeldVisit(b *testing.B) {
	issuer := testissuer.New(b)
	guard, err := For(validator.Issuer{URL: issuer.URL(), Audiences: []string{"https://api.test"}, Keys: jwkscache.Static(issuer.JWKS())})
	if err != nil {
		b.Fatal(err)
	}
	route, err := guard.Route("watch", scopes.All("read"))
	if err != nil {
		b.Fatal(err)
	}
	p := validator.Presentation{Scheme: validator.Bearer, Token: issuer.Sign(testissuer.Token{Scope: "read", Lifetime: time.Hour})}
	held := route.Hold(context.Background(), route.Check(context.Background(), p, scopes.Operation{}), Holding{Presentation: p})
	defer held.Release()
	b.Logf("a Held has %d bytes", unsafe.Sizeof(*held))
	b.ReportAllocs()
	for b.Loop() {
		held.visit(time.Now())
	}
	if held.Denial() != nil {
		b.Fatal(held.Denial().Cause())
	}
}

// BenchmarkHold is what holding a request costs, from beginning to end.
func BenchmarkHold(b *testing.B) {
	issuer := testissuer.New(b)
	guard, err := For(validator.Issuer{URL: issuer.URL(), Audiences: []string{"https://api.test"}, Keys: jwkscache.Static(issuer.JWKS())})
	if err != nil {
		b.Fatal(err)
	}
	route, err := guard.Route("watch", scopes.All("read"))
	if err != nil {
		b.Fatal(err)
	}
	p := validator.Presentation{Scheme: validator.Bearer, Token: issuer.Sign(testissuer.Token{Scope: "read", Lifetime: time.Hour})}
	verdict := route.Check(context.Background(), p, scopes.Operation{})
	b.ReportAllocs()
	for b.Loop() {
		ctx, cancel := context.WithCancel(context.Background()) // as of a server
		route.Hold(ctx, verdict, Holding{Presentation: p}).Release()
		cancel()
	}
}
