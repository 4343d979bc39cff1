package strictjson

import "testing"

// BenchmarkParseObject reads the header and the claims of a usual token.
func BenchmarkParseObject(b *testing.B) {
	for name, doc := range map[string]string{
		"header": `{"alg":"EdDSA","typ":"at+jwt","kid":"rsa-key-2026-11-a"}`,
		"claims": `{"iss":"https://login.example.com/realms/main",` +
			`"aud":["https://api.example.com/orders","https://api.example.com/billing"],` +
			`"sub":"0f8fad5b-d9cb-469f-a165-70867728950e","client_id":"web-shop-frontend-app",` +
			`"exp":1700003600,"iat":1700000000,"nbf":1700000000,"jti":"7c9e6679-7425-40de-944b-e07fc1f90ae7",` +
			`"scope":"orders:read orders:write billing:read profile email phone",` +
			`"roles":["customer","reviewer","beta","staff"]}`,
		"claims beyond ASCII":   `{"iss":"https://login.example.com/realms/main","name":"Zoë","exp":1700003600}`,
		"claims with an escape": `{"iss":"https://login.example.com/realms/main","name":"Zo\u00eb","exp":1700003600}`,
		"claims of the library": `{"iss":"https://login.example.com/realms/main","n\u0061me":"Zo","exp":1700003600}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var stack [24]Member
				_, _ = ParseObject(doc, TokenLimits, stack[:0])
			}
		})
	}
}
