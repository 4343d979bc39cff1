package secretnames_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/secretnames"
)

// TestIs (A1): names of credentials in all their forms, and names that are none.
func TestIs(t *testing.T) {
	for _, name := range []string{
		"Authorization", "authorization-bin", "grpcgateway-authorization", "Grpc-Metadata-Authorization", "Proxy-Authorization", "DPoP", "dpop-bin", "DPoP-Nonce",
		"Cookie", "Set-Cookie", "grpcgateway-cookie", "Client-Cert", "Client-Cert-Chain", "x-auth-token", "X-Forwarded-Access-Token", "X-Vault-Token",
		"X-API-Key", "api.key", "api key", "Private-Token", "X-Amzn-Oidc-Data", "Cf-Access-Jwt-Assertion", "X-Goog-IAP-JWT-Assertion", "access_token", "accessToken", "AccessToken",
		"token", "tokens", "logout_token", "id_token_hint", "refresh_token", "client_secret", "ClientSecret", "client_assertion", "password", "code_verifier", "private_key",
		strings.Repeat("x", 1000) + "_token",
	} {
		if !secretnames.Is(name) || !secretnames.IsParameter(name) {
			t.Errorf("%q is not known", name)
		}
	}
	for _, name := range []string{"", "token_hash", "token_type", "route", "code", "status", "issuer", "WWW-Authenticate", "tokenizer", "-bin", "kid", "jti", "client_id", "jwtkid", "clientcertificate"} {
		if secretnames.Is(name) {
			t.Errorf("%q is no credential", name)
		}
	}
	if !secretnames.IsParameter("code") {
		t.Error("code is a credential in a query")
	}
}

// TestPresented: what callers present has names of credentials.
func TestPresented(t *testing.T) {
	all := secretnames.Presented()
	for _, name := range all {
		if !secretnames.Is(name) {
			t.Errorf("%q is not known", name)
		}
	}
	for _, name := range []string{"authorization", "dpop", "dpop-bin", "grpcgateway-authorization", "grpc-metadata-dpop"} {
		if !slices.Contains(all, name) {
			t.Errorf("%q is missing", name)
		}
	}
}
