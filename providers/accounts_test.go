package providers_test

import (
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/providers"
	"github.com/sallyport-auth/sallyport/validator"
)

const api = "https://api.example.com"

// events is the claim of logout tokens.
var events = claims{"http://schemas.openid.net/event/backchannel-logout": claims{}}

func auth0() provider {
	const issuer = "https://acme.eu.auth0.com/"
	ofUser := claims{
		"iss": issuer, "sub": "auth0|1", "aud": []string{api, issuer + "userinfo"}, "iat": now, "exp": now + 86400, "azp": "client1", "scope": "openid orders:read",
	}
	ofApp := claims{
		"iss": issuer, "sub": "client1@clients", "aud": api, "iat": now, "exp": now + 86400, "azp": "client1", "scope": "orders:read", "gty": "client-credentials",
	}
	rfc9068 := claims{
		"iss": issuer, "sub": "auth0|1", "aud": api, "iat": now, "exp": now + 86400, "client_id": "client1", "jti": "jti-1", "scope": "orders:read",
	}
	id := claims{"iss": issuer, "sub": "auth0|1", "aud": "client1", "iat": now, "exp": now + 36000, "nickname": "user", "name": "A User", "email": "user@example.com", "sid": "sid-1", "nonce": "n"}
	return provider{
		title: "Auth0", name: "auth0",
		parameters: providers.Parameters{URL: "acme.eu.auth0.com", Audiences: []string{api}},
		issuer:     providers.Auth0("acme.eu.auth0.com", api),
		scope:      "orders:read", role: "r", client: "client1", acr: "gold",
		shapes: []shape{
			{kind: user, typ: "JWT", claims: ofUser, subject: "auth0|1", client: "client1", scopes: "openid orders:read", caller: "user", permits: "scope user client"},
			{kind: "user, permissions switched on", typ: "JWT", claims: ofUser.with("scope", nil, "permissions", []string{"orders:read"}), subject: "auth0|1", client: "client1", scopes: "orders:read", caller: "user", permits: "scope user client"},
			{kind: "user without permissions", typ: "JWT", claims: ofUser.with("scope", nil, "permissions", []string{}), subject: "auth0|1", client: "client1", caller: "user", permits: "user client"},
			{kind: "user, RFC 9068 profile", typ: "at+jwt", claims: rfc9068, subject: "auth0|1", client: "client1", scopes: "orders:read", caller: "user", permits: "scope user client"},
			{kind: "user, RFC 9068 profile, no scopes", typ: "at+jwt", claims: rfc9068.with("scope", nil), subject: "auth0|1", client: "client1", caller: "user", permits: "user client"},
			{kind: machine, typ: "JWT", claims: ofApp, subject: "client1@clients", client: "client1", scopes: "orders:read", caller: "client", permits: "scope client"},
			{kind: "machine without scopes", typ: "JWT", claims: ofApp.with("scope", nil), subject: "client1@clients", client: "client1", caller: "client", permits: "client"},
			{kind: "machine with another sub", typ: "JWT", claims: ofApp.with("sub", "x"), subject: "x", client: "client1", scopes: "orders:read", caller: "client", permits: "scope client"},
			{kind: "machine, RFC 9068 profile", typ: "at+jwt", claims: rfc9068.with("sub", "client1@clients"), subject: "client1@clients", client: "client1", scopes: "orders:read", caller: "client", permits: "scope client"},
			{kind: "machine, RFC 9068 profile, agent claims", typ: "at+jwt", claims: rfc9068.with("sub", "client1"), subject: "client1", client: "client1", scopes: "orders:read", caller: "client", permits: "scope client"},
			{kind: "AI agent", typ: "at+jwt", claims: rfc9068.with("sub", "agent-1", "sub_profile", "ai_agent", "client_profile", "service ai_agent"), subject: "agent-1", client: "client1", scopes: "orders:read", caller: "client", permits: "scope client"},
			{kind: "user by an AI agent", typ: "at+jwt", claims: rfc9068.with("sub_profile", "user", "act", claims{"sub": "agent-1"}), subject: "auth0|1", client: "client1", scopes: "orders:read", caller: "user", permits: "scope user client"},
			{kind: idToken, typ: "JWT", claims: id, want: validator.WrongType},
			{kind: "ID token, the client id is an audience", typ: "JWT", claims: id.with("aud", api, "nonce", nil), want: validator.WrongType},
			{kind: foreign, typ: "JWT", claims: ofUser.with("aud", "https://billing.example.com"), want: validator.WrongAudience},
			{kind: "token for userinfo", typ: "JWT", claims: ofUser.with("aud", issuer+"userinfo"), want: validator.WrongAudience},
			{kind: "token of the custom domain", typ: "JWT", claims: ofUser.with("iss", "https://login.example.com/"), want: validator.UnknownIssuer},
			{kind: "iss without slash", typ: "JWT", claims: ofUser.with("iss", "https://acme.eu.auth0.com"), want: validator.UnknownIssuer},
			{kind: logout, claims: claims{"iss": issuer, "sub": "auth0|1", "aud": "client1", "iat": now, "exp": now + 120, "jti": "j", "sid": "s", "events": events}, want: validator.WrongType},
			{kind: "logout token with scope, aud of the API", typ: "JWT", claims: ofUser.with("events", events), want: validator.WrongType},
			{kind: refresh, opaque: "v1.opaque", want: validator.MalformedToken},
			{kind: "token bound to a certificate", typ: "at+jwt", claims: rfc9068.with("cnf", claims{"x5t#S256": "c"}), want: validator.BindingMismatch},
			{kind: "encrypted token", opaque: "eyJhbGciOiJSU0EtT0FFUC0yNTYifQ.a.b.c.d", want: validator.MalformedToken},
		},
	}
}

func keycloak() provider {
	const issuer = "https://login.example.com/realms/shop"
	ofUser := claims{
		"exp": now + 300, "iat": now, "jti": "onrtac:1", "iss": issuer, "aud": []string{"orders-api", "account"}, "sub": "user-1", "typ": "Bearer",
		"azp": "web", "sid": "sid-1", "scope": "orders:read profile", "allowed-origins": []string{"https://web.example.com"}, "preferred_username": "user",
		"realm_access":    claims{"roles": []string{"offline_access", "clerk"}},
		"resource_access": claims{"orders-api": claims{"roles": []string{"approver"}}, "account": claims{"roles": []string{"view-profile"}}},
	}
	ofApp := claims{
		"exp": now + 300, "iat": now, "jti": "trrtcc:1", "iss": issuer, "aud": "orders-api", "sub": "account-1", "typ": "Bearer", "azp": "batch", "scope": "orders:read",
		"preferred_username": "service-account-batch", "client_id": "batch", "clientHost": "10.0.0.1", "clientAddress": "10.0.0.1",
		"realm_access": claims{"roles": []string{"offline_access"}},
	}
	id := claims{
		"exp": now + 300, "iat": now, "jti": "id-1", "iss": issuer, "aud": "web", "sub": "user-1", "typ": "ID", "azp": "web", "sid": "sid-1", "at_hash": "h", "acr": "1",
	}
	again := claims{"exp": now + 1800, "iat": now, "jti": "r-1", "iss": issuer, "aud": issuer, "sub": "user-1", "typ": "Refresh", "azp": "web", "sid": "sid-1", "scope": "orders:read"}
	return provider{
		title: "Keycloak", name: "keycloak",
		parameters: providers.Parameters{URL: issuer, Audiences: []string{"orders-api"}},
		issuer:     providers.Keycloak(issuer, "orders-api"),
		scope:      "orders:read", role: "clerk", client: "web", acr: "gold",
		shapes: []shape{
			{kind: user, typ: "JWT", claims: ofUser, subject: "user-1", client: "web", scopes: "orders:read profile", roles: "offline_access,clerk,approver", caller: "user", permits: "scope user role client"},
			{kind: "user, header at+jwt", typ: "at+jwt", claims: ofUser, subject: "user-1", client: "web", scopes: "orders:read profile", roles: "offline_access,clerk,approver", caller: "user", permits: "scope user role client"},
			{kind: "user after a step-up", typ: "JWT", claims: ofUser.with("acr", "gold", "auth_time", now-60), subject: "user-1", client: "web", scopes: "orders:read profile", roles: "offline_access,clerk,approver", caller: "user", permits: "scope user role client age acr"},
			{kind: "user, Keycloak 24 with a nonce", typ: "JWT", claims: ofUser.with("nonce", "n", "session_state", "sid-1"), subject: "user-1", client: "web", scopes: "orders:read profile", roles: "offline_access,clerk,approver", caller: "user", permits: "scope user role client"},
			{kind: "user, the API is its own client", typ: "JWT", claims: ofUser.with("aud", "orders-api", "azp", "orders-api"), subject: "user-1", client: "orders-api", scopes: "orders:read profile", roles: "offline_access,clerk,approver", caller: "user", permits: "scope user role"},
			{kind: machine, typ: "JWT", claims: ofApp, subject: "account-1", client: "batch", scopes: "orders:read", roles: "offline_access", caller: "client", permits: "scope"},
			{kind: "machine of Keycloak 20, with a session", typ: "JWT", claims: ofApp.with("client_id", nil, "clientId", "batch", "preferred_username", nil, "sid", "sid-2"), subject: "account-1", client: "batch", scopes: "orders:read", roles: "offline_access", caller: "client", permits: "scope"},
			{kind: "machine without its client scopes", typ: "JWT", claims: ofApp.with("client_id", nil, "preferred_username", nil, "clientHost", nil, "clientAddress", nil), subject: "account-1", client: "batch", scopes: "orders:read", roles: "offline_access", caller: "unknown", permits: "scope"},
			{kind: "user, client_id added by a mapper", typ: "JWT", claims: ofUser.with("client_id", "x"), subject: "user-1", client: "web", scopes: "orders:read profile", roles: "offline_access,clerk,approver", caller: "client", permits: "scope role client"},
			{kind: "user without sub", typ: "JWT", claims: ofUser.with("sub", nil), want: validator.BadClaims},
			{kind: idToken, typ: "JWT", claims: id.with("nonce", "n"), want: validator.WrongType},
			{kind: "ID token, aud of the API", typ: "JWT", claims: id.with("aud", "orders-api", "at_hash", nil, "scope", "orders:read"), want: validator.WrongType},
			{kind: foreign, typ: "JWT", claims: ofUser.with("aud", []string{"billing-api", "account"}), want: validator.WrongAudience},
			{kind: "token without an audience mapper", typ: "JWT", claims: ofUser.with("aud", "account"), want: validator.WrongAudience},
			{kind: "token without aud", typ: "JWT", claims: ofUser.with("aud", nil), want: validator.WrongAudience},
			{kind: "token of another realm", typ: "JWT", claims: ofUser.with("iss", "https://login.example.com/realms/other"), want: validator.UnknownIssuer},
			{kind: "token bound to a DPoP key", typ: "JWT", claims: ofUser.with("cnf", claims{"jkt": "k"}), want: validator.BindingMismatch},
			{kind: refresh, typ: "JWT", claims: again, want: validator.WrongType},
			{kind: "refresh token, aud of the API", typ: "JWT", claims: again.with("aud", "orders-api"), want: validator.WrongType},
			{kind: "offline token, aud of the API", typ: "JWT", claims: again.with("aud", "orders-api", "typ", "Offline"), want: validator.WrongType},
			{kind: "token without typ, aud of the API", typ: "JWT", claims: ofUser.with("typ", nil), want: validator.WrongType},
			{kind: logout, typ: "logout+jwt", claims: claims{"iat": now, "exp": now + 120, "jti": "l-1", "iss": issuer, "aud": "web", "sub": "user-1", "typ": "Logout", "sid": "sid-1", "events": events}, want: validator.WrongType},
		},
	}
}

func cognito() provider {
	const issuer = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab1Cd2Ef3"
	ofUser := claims{
		"sub": "user-1", "device_key": "d", "cognito:groups": []string{"clerks"}, "token_use": "access", "scope": "openid orders/read", "auth_time": now - 60, "iss": issuer,
		"exp": now + 3600, "iat": now, "version": 2, "jti": "j", "origin_jti": "o", "client_id": "web", "username": "user-1",
	}
	ofApp := claims{
		"sub": "batch", "token_use": "access", "scope": "orders/read", "auth_time": now, "iss": issuer, "exp": now + 3600, "iat": now, "version": 2, "jti": "j", "client_id": "batch",
	}
	id := claims{
		"sub": "user-1", "aud": "web", "cognito:groups": []string{"clerks"}, "token_use": "id", "auth_time": now, "iss": issuer, "cognito:username": "user-1",
		"exp": now + 3600, "iat": now, "at_hash": "h", "email": "user@example.com", "jti": "j", "origin_jti": "o",
	}
	return provider{
		title: "Amazon Cognito", name: "cognito",
		parameters: providers.Parameters{URL: "eu-central-1_Ab1Cd2Ef3", Clients: []string{"web", "batch"}},
		issuer:     providers.Cognito("eu-central-1_Ab1Cd2Ef3", "web", "batch"),
		scope:      "orders/read", role: "clerks", client: "web", acr: "a",
		shapes: []shape{
			{kind: user, claims: ofUser, subject: "user-1", client: "web", scopes: "openid orders/read", roles: "clerks", caller: "user", permits: "scope user role client age"},
			{kind: "user, got by an SDK", claims: ofUser.with("scope", "aws.cognito.signin.user.admin", "cognito:groups", nil), subject: "user-1", client: "web", scopes: "aws.cognito.signin.user.admin", caller: "user", permits: "user client age"},
			{kind: machine, claims: ofApp, subject: "batch", client: "batch", scopes: "orders/read", caller: "client", permits: "scope age"},
			{kind: "machine, another sub", claims: ofApp.with("sub", "x"), subject: "x", client: "batch", scopes: "orders/read", caller: "unknown", permits: "scope age"},
			{kind: idToken, claims: id, want: validator.WrongType},
			{kind: "ID token without aud", claims: id.with("aud", nil, "at_hash", nil, "client_id", "web"), want: validator.WrongType},
			{kind: "token without token_use", claims: ofUser.with("token_use", nil), want: validator.WrongType},
			{kind: foreign, claims: ofUser.with("client_id", "other"), want: validator.WrongAudience},
			{kind: "token for another resource", claims: ofUser.with("aud", "https://billing.example.com"), want: validator.WrongAudience},
			{kind: "token of another pool", claims: ofUser.with("iss", "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Other"), want: validator.UnknownIssuer},
			{kind: "token of an identity pool", typ: "JWS", claims: claims{"iss": "https://cognito-identity.amazonaws.com", "sub": "eu-central-1:1", "aud": "eu-central-1:2", "iat": now, "exp": now + 600, "amr": []string{"authenticated"}}, alg: jose.RS512, want: validator.UnknownIssuer},
			{kind: refresh, opaque: "eyJjdHkiOiJKV1QifQ.a.b.c.d", want: validator.MalformedToken},
		},
	}
}

func duende() provider {
	const issuer = "https://identity.example.com"
	ofUser := claims{
		"iss": issuer, "nbf": now, "iat": now, "exp": now + 3600, "aud": "orders", "scope": []string{"openid", "orders.read", "offline_access"}, "amr": []string{"pwd"},
		"client_id": "web", "sub": "user-1", "auth_time": now - 60, "idp": "local", "sid": "SID1", "jti": "0123456789ABCDEF0123456789ABCDEF", "acr": "1",
	}
	ofApp := claims{
		"iss": issuer, "nbf": now, "iat": now, "exp": now + 3600, "aud": "orders", "scope": []string{"orders.read"}, "client_id": "batch", "client_tier": "gold",
		"jti": "0123456789ABCDEF0123456789ABCDEF",
	}
	id := claims{
		"iss": issuer, "nbf": now, "iat": now, "exp": now + 300, "aud": "web", "amr": []string{"pwd"}, "nonce": "n", "at_hash": "h", "sid": "SID1", "sub": "user-1",
		"auth_time": now, "idp": "local",
	}
	return provider{
		title: "Duende IdentityServer", name: "duende",
		parameters: providers.Parameters{URL: issuer, Audiences: []string{"orders"}},
		issuer:     providers.Duende(issuer, "orders"),
		scope:      "orders.read", role: "r", client: "web", acr: "1",
		shapes: []shape{
			{kind: user, typ: "at+jwt", claims: ofUser, subject: "user-1", client: "web", scopes: "openid orders.read offline_access", caller: "user", permits: "scope user client age acr"},
			{kind: "user, scope as a string", typ: "at+jwt", claims: ofUser.with("scope", "openid orders.read"), subject: "user-1", client: "web", scopes: "openid orders.read", caller: "user", permits: "scope user client age acr"},
			{kind: machine, typ: "at+jwt", claims: ofApp, client: "batch", scopes: "orders.read", caller: "client", permits: "scope"},
			{kind: idToken, typ: "JWT", claims: id, want: validator.WrongType},
			{kind: "ID token, aud of the API", claims: ofUser.with("scope", nil), want: validator.WrongType},
			{kind: foreign, typ: "at+jwt", claims: ofUser.with("aud", "billing"), want: validator.WrongAudience},
			{kind: "token for bare scopes", typ: "at+jwt", claims: ofUser.with("aud", nil), want: validator.WrongAudience},
			{kind: "token bound to a DPoP key", typ: "at+jwt", claims: ofUser.with("cnf", claims{"jkt": "k"}), want: validator.BindingMismatch},
			{kind: "token with an empty typ", claims: ofUser, want: validator.WrongType},
			{kind: logout, typ: "logout+jwt", claims: claims{"iss": issuer, "iat": now, "exp": now + 300, "aud": "web", "sub": "user-1", "sid": "SID1", "jti": "j", "events": events}, want: validator.WrongType},
			{kind: "introspection response", typ: "token-introspection+jwt", claims: claims{"iss": issuer, "iat": now, "exp": now + 300, "aud": "orders", "token_introspection": claims{"active": true}}, want: validator.WrongType},
			{kind: refresh, opaque: "ABCDEF-1", want: validator.MalformedToken},
		},
	}
}

func zitadel() provider {
	const issuer = "https://acme.zitadel.cloud"
	ofUser := claims{
		"iss": issuer, "sub": "210000000000000001", "aud": []string{"240000000000000001", "240000000000000002", "orders-project"}, "exp": now + 43200, "iat": now, "nbf": now,
		"client_id": "240000000000000001", "jti": "V2_1",
		"urn:zitadel:iam:org:project:roles": claims{"clerk": claims{"1": "acme.zitadel.cloud"}},
	}
	id := ofUser.with("jti", nil, "azp", "240000000000000001")
	return provider{
		title: "Zitadel", name: "zitadel",
		parameters: providers.Parameters{URL: issuer, Audiences: []string{"orders-project"}},
		issuer:     providers.Zitadel(issuer, "orders-project"),
		scope:      "orders:read", role: "clerk", client: "240000000000000001", acr: "a",
		shapes: []shape{
			{kind: user, typ: "JWT", claims: ofUser, subject: "210000000000000001", client: "240000000000000001", caller: "unknown", permits: "client"},
			{kind: "user, human added by an Action", typ: "JWT", claims: ofUser.with("human", true), subject: "210000000000000001", client: "240000000000000001", caller: "user", permits: "user client"},
			{kind: "user, azp and no client_id", typ: "JWT", claims: ofUser.with("client_id", nil, "azp", "240000000000000001"), subject: "210000000000000001", client: "240000000000000001", caller: "unknown", permits: "client"},
			{kind: machine, typ: "JWT", claims: ofUser.with("sub", "210000000000000009", "client_id", "batch"), subject: "210000000000000009", client: "batch", caller: "unknown"},
			{kind: idToken, typ: "JWT", claims: id.with("auth_time", now, "amr", []string{"pwd"}, "at_hash", "h", "nonce", "n", "sid", "V1_1"), want: validator.WrongType},
			{kind: "ID token with auth_time only", typ: "JWT", claims: id.with("auth_time", now, "jti", "j"), want: validator.WrongType},
			{kind: "ID token with amr only", typ: "JWT", claims: id.with("amr", []string{"pwd"}, "jti", "j"), want: validator.WrongType},
			{kind: "ID token with acr only", typ: "JWT", claims: id.with("acr", "a", "jti", "j"), want: validator.WrongType},
			{kind: "ID token with sid only", typ: "JWT", claims: id.with("sid", "s", "jti", "j"), want: validator.WrongType},
			{kind: "ID token without marks", typ: "JWT", claims: id, want: validator.BadClaims},
			{kind: "token without client_id and azp", typ: "JWT", claims: ofUser.with("client_id", nil), want: validator.BadClaims},
			{kind: foreign, typ: "JWT", claims: ofUser.with("aud", []string{"240000000000000001", "billing-project"}), want: validator.WrongAudience},
			{kind: "token of another instance", typ: "JWT", claims: ofUser.with("iss", "https://other.zitadel.cloud"), want: validator.UnknownIssuer},
			{kind: "opaque access token", opaque: "opaque-access", want: validator.MalformedToken},
			{kind: refresh, opaque: "opaque-refresh", want: validator.MalformedToken},
		},
	}
}

func supabase() provider {
	const issuer = "https://abcdefghijklmnopqrst.supabase.co/auth/v1"
	ofUser := claims{
		"iss": issuer, "aud": "authenticated", "exp": now + 3600, "iat": now, "sub": "11111111-0000-4000-8000-000000000000", "role": "authenticated", "aal": "aal2",
		"session_id": "s-1", "email": "user@example.com", "phone": "", "is_anonymous": false, "app_metadata": claims{"provider": "email"},
		"user_metadata": claims{"role": "admin"}, "amr": []claims{{"method": "totp", "timestamp": now}, {"method": "password", "timestamp": now}},
	}
	const sub = "11111111-0000-4000-8000-000000000000"
	return provider{
		title: "Supabase", name: "supabase",
		parameters: providers.Parameters{URL: "abcdefghijklmnopqrst"},
		issuer:     providers.Supabase("abcdefghijklmnopqrst"),
		scope:      "orders:read", role: "authenticated", client: "web", acr: "aal2",
		shapes: []shape{
			{kind: user, typ: "JWT", claims: ofUser, subject: sub, roles: "authenticated", caller: "user", permits: "user role"},
			{kind: "user of an OAuth client", typ: "JWT", claims: ofUser.with("client_id", "web", "scope", "openid orders:read"), subject: sub, client: "web", scopes: "openid orders:read", roles: "authenticated", caller: "user", permits: "scope user role client"},
			{kind: "anonymous user", typ: "JWT", claims: ofUser.with("is_anonymous", true), subject: sub, roles: "authenticated", caller: "user", permits: "user role"},
			{kind: idToken, typ: "JWT", claims: claims{"iss": issuer, "aud": "web", "exp": now + 3600, "iat": now, "sub": sub, "auth_time": now, "nonce": "n", "client_id": "web", "email": "user@example.com"}, want: validator.WrongType},
			{kind: "ID token, aud of access tokens", typ: "JWT", claims: claims{"iss": issuer, "aud": "authenticated", "exp": now + 3600, "iat": now, "sub": sub, "client_id": "web"}, want: validator.WrongType},
			{kind: "token without role", typ: "JWT", claims: ofUser.with("role", nil), want: validator.WrongType},
			{kind: "token without session_id", typ: "JWT", claims: ofUser.with("session_id", nil), want: validator.WrongType},
			{kind: "token without aal", typ: "JWT", claims: ofUser.with("aal", nil), want: validator.WrongType},
			{kind: foreign, typ: "JWT", claims: ofUser.with("aud", api), want: validator.WrongAudience},
			{kind: "token of another project", typ: "JWT", claims: ofUser.with("iss", "https://other.supabase.co/auth/v1"), want: validator.UnknownIssuer},
			{kind: "service_role key of the API", typ: "JWT", claims: claims{"iss": "supabase", "ref": "abcdefghijklmnopqrst", "role": "service_role", "iat": now, "exp": now + 3600}, want: validator.UnknownIssuer},
			{kind: refresh, opaque: "opaque-refresh", want: validator.MalformedToken},
		},
	}
}

func hydra() provider {
	const issuer = "https://hydra.example.com/"
	ofUser := claims{
		"iss": issuer, "sub": "user-1", "aud": []string{api}, "exp": now + 3600, "iat": now, "nbf": now, "jti": "j", "client_id": "web", "scp": []string{"openid", "orders:read"},
		"ext": claims{},
	}
	ofApp := ofUser.with("sub", "batch", "client_id", "batch", "scp", []string{"orders:read"})
	id := claims{
		"iss": issuer, "sub": "user-1", "aud": []string{"web"}, "exp": now + 3600, "iat": now, "jti": "j", "rat": now, "auth_time": now, "at_hash": "h", "nonce": "n", "sid": "s", "amr": []string{},
	}
	planted := ofUser.with("scope", "orders:read")
	return provider{
		title: "Ory Hydra", name: "hydra",
		parameters: providers.Parameters{URL: issuer, Audiences: []string{api}},
		issuer:     providers.Hydra(issuer, api),
		scope:      "orders:read", role: "r", client: "web", acr: "a",
		shapes: []shape{
			{kind: user, typ: "JWT", claims: ofUser, subject: "user-1", client: "web", scopes: "openid orders:read", caller: "user", permits: "scope user client"},
			{kind: "user, scope as a string", typ: "JWT", claims: ofUser.with("scp", nil, "scope", "orders:read"), subject: "user-1", client: "web", scopes: "orders:read", caller: "user", permits: "scope user client"},
			{kind: "user, scope in both forms", typ: "JWT", claims: ofUser.with("scope", "openid orders:read"), subject: "user-1", client: "web", scopes: "openid orders:read", caller: "user", permits: "scope user client"},
			{kind: machine, typ: "JWT", claims: ofApp, subject: "batch", client: "batch", scopes: "orders:read", caller: "client", permits: "scope"},
			{kind: idToken, typ: "JWT", claims: id, want: validator.WrongType},
			{kind: "ID token with planted claims, rat", typ: "JWT", claims: planted.with("rat", now), want: validator.WrongType},
			{kind: "ID token with planted claims, auth_time", typ: "JWT", claims: planted.with("auth_time", now), want: validator.WrongType},
			{kind: "ID token with planted claims, at_hash", typ: "JWT", claims: planted.with("at_hash", "h"), want: validator.WrongType},
			{kind: "token without client_id", typ: "JWT", claims: ofUser.with("client_id", nil), want: validator.WrongType},
			{kind: "token without scp and scope", typ: "JWT", claims: ofUser.with("scp", nil), want: validator.WrongType},
			{kind: foreign, typ: "JWT", claims: ofUser.with("aud", []string{"https://billing.example.com"}), want: validator.WrongAudience},
			{kind: "token without a requested audience", typ: "JWT", claims: ofUser.with("aud", []string{}), want: validator.WrongAudience},
			{kind: logout, typ: "JWT", claims: claims{"iss": issuer, "aud": []string{"web"}, "iat": now, "exp": now + 120, "jti": "j", "sid": "s", "events": events}, want: validator.WrongType},
			{kind: "opaque access token", opaque: "ory_at_a.b", want: validator.MalformedToken},
			{kind: refresh, opaque: "ory_rt_a.b", want: validator.MalformedToken},
		},
	}
}

func fusionAuth() provider {
	const issuer = "acme.com"
	ofUser := claims{
		"aud": appID, "exp": now + 3600, "iat": now, "iss": issuer, "sub": "user-1", "jti": "j", "authenticationType": "PASSWORD", "applicationId": appID,
		"scope": "openid orders:read", "roles": []string{"clerk"}, "sid": "refresh-1", "auth_time": now - 60, "tid": tenant, "email": "user@example.com",
	}
	keys := jwkscache.URL("https://login.example.com/.well-known/jwks.json")
	id := ofUser.with("applicationId", nil, "roles", nil, "at_hash", "h")
	return provider{
		title: "FusionAuth", name: "fusionauth",
		parameters: providers.Parameters{URL: issuer, Clients: []string{appID}, Keys: keys},
		issuer:     providers.FusionAuth(issuer, keys, appID),
		scope:      "orders:read", role: "clerk", client: appID, acr: "a",
		shapes: []shape{
			{kind: user, typ: "JWT", claims: ofUser, subject: "user-1", client: appID, scopes: "openid orders:read", roles: "clerk", caller: "user", permits: "scope user role client age"},
			{kind: machine, typ: "JWT", claims: claims{"aud": appID, "sub": oid, "iss": issuer, "iat": now, "exp": now + 3600, "jti": "j", "permissions": []string{"read"}, "scope": "target-entity", "tid": tenant}, want: validator.WrongType},
			{kind: idToken, typ: "JWT", claims: id.with("nonce", "n"), want: validator.WrongType},
			{kind: "ID token before 1.24, at_hash", typ: "JWT", claims: ofUser.with("at_hash", "h"), want: validator.WrongType},
			{kind: "ID token before 1.24, c_hash", typ: "JWT", claims: ofUser.with("c_hash", "h"), want: validator.WrongType},
			{kind: "ID token before 1.24, nonce", typ: "JWT", claims: ofUser.with("nonce", "n"), want: validator.WrongType},
			{kind: "user who is not registered", typ: "JWT", claims: ofUser.with("applicationId", nil), want: validator.WrongType},
			{kind: "user, with another claim client_id", typ: "JWT", claims: ofUser.with("client_id", "x"), subject: "user-1", client: appID, scopes: "openid orders:read", roles: "clerk", caller: "user", permits: "scope user role client age"},
			{kind: foreign, typ: "JWT", claims: ofUser.with("aud", apiID, "applicationId", apiID), want: validator.WrongType},
			{kind: "another application, aud of this one", typ: "JWT", claims: ofUser.with("applicationId", apiID), want: validator.WrongType},
			{kind: "token of another tenant", typ: "JWT", claims: ofUser.with("iss", "other.com"), want: validator.UnknownIssuer},
			{kind: refresh, opaque: "opaque-refresh", want: validator.MalformedToken},
		},
	}
}
