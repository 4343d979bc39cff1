// Package testissuer provides an authorization server for tests, as
// net/http/httptest provides an HTTP server. It signs access tokens, publishes keys
// and metadata, rotates keys, introspects and revokes tokens, and misbehaves on demand.
//
// A complete test of an API:
//
//	func TestOrders(t *testing.T) {
//		issuer := testissuer.New(t)
//		guard, err := middleware.For(validator.Issuer{URL: issuer.URL(), Audiences: []string{"https://api.test"}})
//		if err != nil {
//			t.Fatal(err)
//		}
//		api := guard.Require(scopes.All("orders:read"), http.HandlerFunc(showOrders))
//		for status, token := range map[int]testissuer.Token{
//			http.StatusOK:           {Scope: "orders:read"},
//			http.StatusForbidden:    {Scope: "orders:write"},
//			http.StatusUnauthorized: {Scope: "orders:read", Lifetime: -time.Hour},
//		} {
//			request := httptest.NewRequest("GET", "/orders", nil)
//			request.Header.Set("Authorization", "Bearer "+issuer.Sign(token))
//			response := httptest.NewRecorder()
//			api.ServeHTTP(response, request)
//			if response.Code != status {
//				t.Errorf("status %d, want %d: %s", response.Code, status, response.Body)
//			}
//		}
//	}
//
// # Good and bad tokens
//
// The zero [Token] is a good access token of RFC 9068. Each field changes one
// thing. In every map, an entry replaces the member of its name, and nil removes the
// member.
//
//	issuer.Sign(testissuer.Token{})                                                   // good
//	issuer.Sign(testissuer.Token{Lifetime: -time.Hour})                               // expired
//	issuer.Sign(testissuer.Token{Claims: map[string]any{"sub": "alice", "jti": nil}}) // no jti
//	issuer.Sign(testissuer.Token{Header: map[string]any{"typ": "JWT"}})               // an ID token's type
//	issuer.Sign(testissuer.Token{Forgery: testissuer.ForeignKey})                       // forged
//
// # Opaque tokens
//
// [Issuer.Opaque] returns an opaque token. The claims that [Issuer.Sign] would write into
// a JWT are in the answer of the introspection endpoint (RFC 7662), at
// [Issuer.IntrospectionURL]. The API that asks is the client [ClientID] with
// [ClientSecret] by client_secret_basic, unless [Config].Clients has others. It gets
// signed answers (RFC 9701) if its request accepts them.
//
//	token := issuer.Opaque(testissuer.Token{Scope: "orders:read"})
//	issuer.Revoke(token)                           // inactive from now on
//	issuer.Revoke(issuer.Sign(testissuer.Token{})) // JWTs too
//
// A [Fault] makes the answer about one token wrong, or gives it a form that some servers
// have:
//
//	issuer.Opaque(testissuer.Token{Fault: testissuer.ActiveString})      // "active":"true"
//	issuer.Opaque(testissuer.Token{Fault: testissuer.RefreshToken})      // a refresh token
//	issuer.Opaque(testissuer.Token{Fault: testissuer.SignedIssuerOther}) // in signed answers
//
// [Issuer.Answer] sets the Fault of a token that exists, and that of all tokens that the
// issuer does not know. [Issuer.Received] returns the requests that the endpoint got.
//
// # Keys
//
// [Issuer.Rotate] publishes a new key and signs with it from then on. The steps of a
// rotation are also separate methods: [Issuer.AddKey], [Issuer.Use] and
// [Issuer.Retire].
//
// # Misbehaviour
//
// [Issuer.Behave] makes one endpoint fail, slow down, redirect or answer garbage.
// [Issuer.Down] cuts all connections to the server. [Issuer.Requests] counts the
// requests of an endpoint.
//
// # Loopback and pipes
//
// [New] listens on a loopback address. A testing/synctest bubble cannot use sockets:
// they block for ever. Start the issuer inside the bubble with [Config].InMemory,
// and reach it by [Issuer.Client] or [Issuer.Transport]. Its delays and the times in
// its tokens then follow the clock of the bubble.
//
//	synctest.Test(t, func(t *testing.T) {
//		issuer, err := testissuer.Start(testissuer.Config{InMemory: true})
//		if err != nil {
//			t.Fatal(err)
//		}
//		defer issuer.Close()
//		// …
//	})
//
// Methods panic on mistakes of the test, such as a key ID that does not exist. They
// are safe for concurrent use.
package testissuer
