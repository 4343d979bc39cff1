// Package testissuer is a real authorization server for tests, as
// net/http/httptest is a real HTTP server: it signs access tokens, publishes
// its keys and its metadata, rotates, and misbehaves on demand.
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
// The zero [Token] signs as a token that RFC 9068 finds nothing wrong with.
// Each field changes one thing, and one rule holds for every map: an entry
// replaces the member of its name, and nil removes it.
//
//	issuer.Sign(testissuer.Token{})                                                   // good
//	issuer.Sign(testissuer.Token{Lifetime: -time.Hour})                               // expired
//	issuer.Sign(testissuer.Token{Claims: map[string]any{"sub": "alice", "jti": nil}}) // no jti
//	issuer.Sign(testissuer.Token{Header: map[string]any{"typ": "JWT"}})               // an ID token's type
//	issuer.Sign(testissuer.Token{Fault: testissuer.ForeignKey})                       // forged
//
// # Keys
//
// [Issuer.Rotate] publishes a new key and signs with it from then on. The steps
// of a rotation can also be taken one by one: [Issuer.AddKey], [Issuer.Use],
// [Issuer.Retire].
//
// # Misbehaviour
//
// [Issuer.Behave] makes one endpoint fail, slow down, redirect or answer
// garbage, and [Issuer.Down] the whole server. [Issuer.Requests] counts what
// arrived.
//
// # Loopback and pipes
//
// [New] listens on a loopback address. Inside a testing/synctest bubble a
// socket blocks for ever, so start the issuer there, inside the bubble, with
// [Config].InMemory and reach it by [Issuer.Client] or [Issuer.Transport]. Its
// delays and the times in its tokens then follow the bubble's clock.
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
// Methods panic on what only a mistake in the test can cause, such as a key id
// that does not exist. They are safe for concurrent use.
package testissuer
