package providers_test

import (
	"github.com/sallyport-auth/sallyport/providers"
	"github.com/sallyport-auth/sallyport/validator"
)

const (
	tenant      = "11111111-1111-4111-8111-111111111111"
	otherTenant = "22222222-2222-4222-8222-222222222222"
	apiID       = "33333333-3333-4333-8333-333333333333"
	appID       = "44444444-4444-4444-8444-444444444444"
	oid         = "55555555-5555-4555-8555-555555555555"
)

// entraKeys has a key of all tenants, one of another tenant, and one without issuer.
// Entra ID publishes no alg.
func entraKeys() string {
	return keySet(map[string]string{
		"provider": `,"issuer":"https://login.microsoftonline.com/{tenantid}/v2.0"`,
		"tenant":   `,"issuer":"https://login.microsoftonline.com/` + tenant + `/v2.0"`,
		"other":    `,"issuer":"https://login.microsoftonline.com/` + otherTenant + `/v2.0"`,
	}, "provider", "tenant", "other", "plain")
}

func entraID() provider {
	common := claims{
		"iss": "https://login.microsoftonline.com/" + tenant + "/v2.0", "aud": apiID, "iat": now, "nbf": now, "exp": now + 4000,
		"azp": appID, "azpacr": "1", "oid": oid, "sub": "pairwise-1", "tid": tenant, "uti": "uti-1", "ver": "2.0", "rh": "rh-1", "aio": "aio-1",
	}
	ofUser := common.with("scp", "Orders.Read Orders.Write", "name", "A User", "preferred_username", "user@example.com", "azpacr", "0")
	ofApp := common.with("roles", []string{"Orders.Read.All"}, "sub", oid)
	id := claims{
		"iss": common["iss"], "aud": appID, "iat": now, "nbf": now, "exp": now + 4000, "sub": "pairwise-2", "oid": oid, "tid": tenant,
		"ver": "2.0", "name": "A User", "preferred_username": "user@example.com", "rh": "rh-1", "uti": "uti-2",
	}
	return provider{
		title: "Microsoft Entra ID, version 2", name: "entra-id",
		parameters: providers.Parameters{Tenant: tenant, Audiences: []string{apiID}},
		issuer:     providers.EntraID(tenant, apiID), keys: entraKeys(),
		scope: "Orders.Read", role: "Orders.Approver", client: appID, acr: "1",
		shapes: []shape{
			{kind: user, typ: "JWT", claims: ofUser.with("roles", []string{"Orders.Approver"}), subject: "pairwise-1", client: appID, scopes: "Orders.Read Orders.Write", roles: "Orders.Approver", caller: "user", permits: "scope user role client"},
			{kind: machine, typ: "JWT", claims: ofApp, subject: oid, client: appID, roles: "Orders.Read.All", caller: "client", permits: "client"},
			{kind: "machine, idtyp switched on", typ: "JWT", claims: ofApp.with("idtyp", "app", "roles", nil), subject: oid, client: appID, caller: "client", permits: "client"},
			{kind: "machine without permissions", typ: "JWT", claims: ofApp.with("roles", nil), want: validator.BadClaims},
			{kind: "user, key of the tenant", typ: "JWT", key: "tenant", claims: ofUser, subject: "pairwise-1", client: appID, scopes: "Orders.Read Orders.Write", caller: "user", permits: "scope user client"},
			{kind: "user, the API is its own client", typ: "JWT", claims: ofUser.with("aud", apiID, "azp", apiID), subject: "pairwise-1", client: apiID, scopes: "Orders.Read Orders.Write", caller: "user", permits: "scope user"},
			{kind: "user, the client has a certificate", typ: "JWT", claims: ofUser.with("azpacr", "2"), subject: "pairwise-1", client: appID, scopes: "Orders.Read Orders.Write", caller: "user", permits: "scope user client"},
			{kind: "user, with another claim client_id", typ: "JWT", claims: ofUser.with("client_id", "x"), subject: "pairwise-1", client: appID, scopes: "Orders.Read Orders.Write", caller: "user", permits: "scope user client"},
			{kind: "no azpacr, typ at+jwt", typ: "at+jwt", claims: ofApp.with("azpacr", nil), subject: oid, client: appID, roles: "Orders.Read.All", caller: "unknown", permits: "client"},
			{kind: "another azpacr", typ: "JWT", claims: ofUser.with("azpacr", "3"), want: validator.WrongType},
			{kind: "user, auth_time switched on", typ: "JWT", claims: ofUser.with("auth_time", now-60), subject: "pairwise-1", client: appID, scopes: "Orders.Read Orders.Write", caller: "user", permits: "scope user client age"},
			{kind: idToken, typ: "JWT", claims: id.with("nonce", "n-1"), want: validator.WrongType},
			{kind: "ID token, the API is its own client", typ: "JWT", claims: id.with("aud", apiID, "roles", []string{"Orders.Approver"}), want: validator.WrongType},
			{kind: "ID token with at_hash and claims of an access token", typ: "JWT", claims: ofUser.with("at_hash", "h"), want: validator.WrongType},
			{kind: "ID token with c_hash and claims of an access token", typ: "JWT", claims: ofUser.with("c_hash", "h"), want: validator.WrongType},
			{kind: "ID token with nonce and claims of an access token", typ: "JWT", claims: ofUser.with("nonce", "n"), want: validator.WrongType},
			{kind: foreign, typ: "JWT", claims: ofUser.with("aud", appID), want: validator.WrongAudience},
			{kind: "token for Microsoft Graph", typ: "JWT", claims: ofUser.with("aud", "00000003-0000-0000-c000-000000000000"), want: validator.WrongAudience},
			{kind: "token without azp", typ: "JWT", claims: ofUser.with("azp", nil), want: validator.BadClaims},
			{kind: "token of another tenant", typ: "JWT", claims: ofUser.with("iss", "https://login.microsoftonline.com/"+otherTenant+"/v2.0", "tid", otherTenant), want: validator.UnknownIssuer},
			{kind: "tid of another tenant", typ: "JWT", claims: ofUser.with("tid", otherTenant), want: validator.BadClaims},
			{kind: "signed with a key of another tenant", typ: "JWT", key: "other", claims: ofUser, want: validator.UnknownKey},
			{kind: "token of version 1", typ: "JWT", claims: ofUser.with("iss", "https://sts.windows.net/"+tenant+"/", "appid", appID, "appidacr", "0", "azp", nil, "azpacr", nil), want: validator.UnknownIssuer},
			{kind: refresh, opaque: "0.AXkA-opaque", want: validator.MalformedToken},
		},
	}
}

func entraIDv1() provider {
	common := claims{
		"iss": "https://sts.windows.net/" + tenant + "/", "aud": "api://orders", "iat": now, "nbf": now, "exp": now + 4000,
		"appid": appID, "appidacr": "1", "oid": oid, "sub": "pairwise-1", "tid": tenant, "uti": "uti-1", "ver": "1.0",
	}
	ofUser := common.with("scp", "Orders.Read", "acr", "1", "amr", []string{"pwd", "mfa"}, "appidacr", "0", "unique_name", "user@example.com")
	ofApp := common.with("roles", []string{"Orders.Read.All"}, "sub", oid)
	return provider{
		title: "Microsoft Entra ID, version 1", name: "entra-id-v1",
		parameters: providers.Parameters{Tenant: tenant, Audiences: []string{"api://orders", "api://orders/"}},
		issuer:     providers.EntraIDv1(tenant, "api://orders", "api://orders/"), keys: entraKeys(),
		scope: "Orders.Read", role: "Orders.Approver", client: appID, acr: "1",
		shapes: []shape{
			{kind: user, typ: "JWT", key: "plain", claims: ofUser.with("roles", []string{"Orders.Approver"}), subject: "pairwise-1", client: appID, scopes: "Orders.Read", roles: "Orders.Approver", caller: "user", permits: "scope user role client acr"},
			{kind: machine, typ: "JWT", key: "plain", claims: ofApp, subject: oid, client: appID, roles: "Orders.Read.All", caller: "client", permits: "client"},
			{kind: "machine, idtyp switched on", typ: "JWT", key: "plain", claims: ofApp.with("idtyp", "app", "roles", nil, "appidacr", "2"), subject: oid, client: appID, caller: "client", permits: "client"},
			{kind: "machine without permissions", typ: "JWT", key: "plain", claims: ofApp.with("roles", nil), want: validator.BadClaims},
			{kind: "user, with another claim client_id", typ: "JWT", key: "tenant", claims: ofUser.with("client_id", "x"), subject: "pairwise-1", client: appID, scopes: "Orders.Read", caller: "user", permits: "scope user client acr"},
			{kind: "no appidacr, typ at+jwt", typ: "at+jwt", key: "plain", claims: ofApp.with("appidacr", nil), subject: oid, client: appID, roles: "Orders.Read.All", caller: "unknown", permits: "client"},
			{kind: "ID token with at_hash and claims of an access token", typ: "JWT", key: "plain", claims: ofUser.with("at_hash", "h"), want: validator.WrongType},
			{kind: "ID token with c_hash and claims of an access token", typ: "JWT", key: "plain", claims: ofUser.with("c_hash", "h"), want: validator.WrongType},
			{kind: "ID token with nonce and claims of an access token", typ: "JWT", key: "plain", claims: ofUser.with("nonce", "n"), want: validator.WrongType},
			{kind: "token without appid", typ: "JWT", key: "plain", claims: ofUser.with("appid", nil), want: validator.BadClaims},
			{kind: "user, aud with a slash", typ: "JWT", claims: ofUser.with("aud", "api://orders/"), subject: "pairwise-1", client: appID, scopes: "Orders.Read", caller: "user", permits: "scope user client acr"},
			{kind: idToken, typ: "JWT", key: "plain", claims: common.with("aud", appID, "appid", nil, "appidacr", nil, "nonce", "n-1", "amr", []string{"pwd"}), want: validator.WrongType},
			{kind: "ID token, aud of the API", typ: "JWT", key: "plain", claims: common.with("appid", nil, "appidacr", nil, "amr", []string{"pwd"}, "roles", []string{"Orders.Approver"}), want: validator.WrongType},
			{kind: foreign, typ: "JWT", key: "plain", claims: ofUser.with("aud", "api://billing"), want: validator.WrongAudience},
			{kind: "signed with a key of another tenant", typ: "JWT", key: "other", claims: ofUser, want: validator.UnknownKey},
			{kind: "tid of another tenant", typ: "JWT", key: "plain", claims: ofUser.with("tid", otherTenant), want: validator.BadClaims},
			{kind: "token of version 2", typ: "JWT", claims: ofUser.with("iss", "https://login.microsoftonline.com/"+tenant+"/v2.0"), want: validator.UnknownIssuer},
			{kind: refresh, opaque: "0.AXkA-opaque", want: validator.MalformedToken},
		},
	}
}

func okta() provider {
	const issuer = "https://dev-1.okta.com/oauth2/default"
	ofUser := claims{
		"ver": 1, "jti": "AT.1", "iss": issuer, "aud": "api://default", "iat": now, "exp": now + 3600, "cid": "0oa1", "uid": "00u1",
		"scp": []string{"openid", "orders:read"}, "auth_time": now - 60, "sub": "user@example.com",
	}
	ofApp := ofUser.with("uid", nil, "auth_time", nil, "scp", []string{"orders:read"}, "sub", "0oa1")
	return provider{
		title: "Okta", name: "okta",
		parameters: providers.Parameters{URL: issuer, Audiences: []string{"api://default"}},
		issuer:     providers.Okta(issuer, "api://default"),
		scope:      "orders:read", role: "Clerks", client: "0oa1", acr: "urn:okta:loa:2fa:any",
		shapes: []shape{
			{kind: user, claims: ofUser.with("groups", []string{"Everyone", "Clerks"}), subject: "user@example.com", client: "0oa1", scopes: "openid orders:read", roles: "Everyone,Clerks", caller: "user", permits: "scope user role client age"},
			{kind: "user after a step-up", claims: ofUser.with("acr", "urn:okta:loa:2fa:any"), subject: "user@example.com", client: "0oa1", scopes: "openid orders:read", caller: "user", permits: "scope user client age acr"},
			{kind: machine, claims: ofApp, subject: "0oa1", client: "0oa1", scopes: "orders:read", caller: "client", permits: "scope client"},
			{kind: "neither uid nor the client as sub", claims: ofApp.with("sub", "x"), subject: "x", client: "0oa1", scopes: "orders:read", caller: "unknown", permits: "scope client"},
			{kind: idToken, claims: claims{"ver": 1, "jti": "ID.1", "iss": issuer, "aud": "0oa1", "sub": "00u1", "iat": now, "exp": now + 3600, "amr": []string{"pwd"}, "auth_time": now, "at_hash": "h", "name": "A User"}, want: validator.WrongType},
			{kind: "ID token, the client id is an audience", claims: claims{"ver": 1, "jti": "ID.1", "iss": issuer, "aud": "api://default", "sub": "00u1", "iat": now, "exp": now + 3600, "auth_time": now}, want: validator.WrongType},
			{kind: foreign, claims: ofUser.with("aud", "api://billing"), want: validator.WrongAudience},
			{kind: "token of the org server", typ: "application/okta-internal-at+jwt", claims: ofUser.with("iss", "https://dev-1.okta.com", "aud", "https://dev-1.okta.com"), want: validator.UnknownIssuer},
			{kind: "token of another custom server", claims: ofUser.with("iss", "https://dev-1.okta.com/oauth2/aus1"), want: validator.UnknownIssuer},
			{kind: "token bound to a DPoP key", claims: ofUser.with("cnf", claims{"jkt": "k"}), want: validator.BindingMismatch},
			{kind: "agent chain token", claims: ofUser.with("cid", nil, "scp", nil, "scope", "orders:read", "sub_profile", "ai_agent", "act", claims{"sub": "agent"}), want: validator.WrongType},
			{kind: "user, with another claim client_id", claims: ofUser.with("client_id", "x"), subject: "user@example.com", client: "0oa1", scopes: "openid orders:read", caller: "user", permits: "scope user client age"},
			{kind: "token without cid", claims: ofUser.with("cid", nil), want: validator.WrongType},
			{kind: "token without scp", claims: ofUser.with("scp", nil), want: validator.WrongType},
			{kind: refresh, opaque: "opaque-refresh", want: validator.MalformedToken},
		},
	}
}

func adfs() provider {
	const issuer = "http://adfs.example.com/adfs/services/trust"
	ofUser := claims{
		"iss": issuer, "aud": "microsoft:identityserver:orders", "iat": now, "exp": now + 3600, "sub": "sub-1", "upn": "user@example.com",
		"appid": appID, "apptype": "Public", "authmethod": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
		"auth_time": "2026-09-01T10:00:00.000Z", "ver": "1.0", "scp": "orders.read openid",
	}
	return provider{
		title: "AD FS", name: "adfs",
		parameters: providers.Parameters{URL: "adfs.example.com", Audiences: []string{"orders"}},
		issuer:     providers.ADFS("adfs.example.com", "orders"),
		scope:      "orders.read", role: "r", client: appID, acr: "a",
		shapes: []shape{
			{kind: user, typ: "JWT", claims: ofUser, subject: "sub-1", client: appID, scopes: "orders.read openid", caller: "user", permits: "scope user client"},
			{kind: "user, aud without prefix", typ: "JWT", claims: ofUser.with("aud", "orders"), subject: "sub-1", client: appID, scopes: "orders.read openid", caller: "user", permits: "scope user client"},
			{kind: "user, with another claim client_id", typ: "JWT", claims: ofUser.with("client_id", "x"), subject: "sub-1", client: appID, scopes: "orders.read openid", caller: "user", permits: "scope user client"},
			{kind: "token without upn", typ: "JWT", claims: ofUser.with("upn", nil), subject: "sub-1", client: appID, scopes: "orders.read openid", caller: "unknown", permits: "scope client"},
			{kind: machine, typ: "JWT", claims: ofUser.with("upn", nil, "sub", appID, "scp", nil, "apptype", "Confidential", "auth_time", nil), subject: appID, client: appID, caller: "client", permits: "client"},
			{kind: "token without sub", typ: "JWT", claims: ofUser.with("sub", nil), want: validator.BadClaims},
			{kind: "token without appid", typ: "JWT", claims: ofUser.with("appid", nil), want: validator.BadClaims},
			{kind: idToken, typ: "JWT", claims: ofUser.with("iss", "https://adfs.example.com/adfs", "aud", appID, "nonce", "n", "auth_time", now, "pwd_exp", "1000", "sid", "S-1-5-21-1"), want: validator.UnknownIssuer},
			{kind: "ID token without nonce, aud of the API", typ: "JWT", claims: ofUser.with("iss", "https://adfs.example.com/adfs", "auth_time", now), want: validator.UnknownIssuer},
			{kind: foreign, typ: "JWT", claims: ofUser.with("aud", "microsoft:identityserver:billing"), want: validator.WrongAudience},
			{kind: "token for userinfo", typ: "JWT", claims: ofUser.with("aud", "urn:microsoft:userinfo"), want: validator.WrongAudience},
			{kind: "token of another farm", typ: "JWT", claims: ofUser.with("iss", "http://sts.example.net/adfs/services/trust"), want: validator.UnknownIssuer},
			{kind: refresh, opaque: "opaque-refresh", want: validator.MalformedToken},
		},
	}
}

func pingOne() provider {
	const issuer = "https://auth.pingone.eu/" + tenant + "/as"
	ofUser := claims{
		"iss": issuer, "aud": []string{"https://api.example.com"}, "iat": now, "exp": now + 3600, "client_id": "web", "scope": "orders:read",
		"sub": "user-1", "org": "org-1", "env": tenant, "auth_time": now - 60, "acr": "Multi_Factor",
	}
	ofApp := ofUser.with("sub", nil, "auth_time", nil, "acr", nil, "sub", "web")
	return provider{
		title: "PingOne", name: "pingone",
		parameters: providers.Parameters{URL: issuer, Audiences: []string{"https://api.example.com"}},
		issuer:     providers.PingOne(issuer, "https://api.example.com"),
		scope:      "orders:read", role: "r", client: "web", acr: "Multi_Factor",
		shapes: []shape{
			{kind: user, typ: "at+jwt", claims: ofUser, subject: "user-1", client: "web", scopes: "orders:read", caller: "user", permits: "scope user client age acr"},
			{kind: "user, before 2027-03-02", typ: "JWT", claims: ofUser, subject: "user-1", client: "web", scopes: "orders:read", caller: "user", permits: "scope user client age acr"},
			{kind: machine, typ: "at+jwt", claims: ofApp, subject: "web", client: "web", scopes: "orders:read", caller: "client", permits: "scope client"},
			{kind: "machine, another sub", typ: "at+jwt", claims: ofApp.with("sub", "x"), subject: "x", client: "web", scopes: "orders:read", caller: "unknown", permits: "scope client"},
			{kind: idToken, typ: "JWT", claims: claims{"iss": issuer, "aud": "web", "sub": "user-1", "iat": now, "exp": now + 3600, "acr": "Multi_Factor", "auth_time": now, "at_hash": "h", "nonce": "n"}, want: validator.WrongType},
			{kind: "ID token, the client id is an audience", typ: "JWT", claims: claims{"iss": issuer, "aud": "https://api.example.com", "sub": "user-1", "iat": now, "exp": now + 3600, "acr": "Multi_Factor"}, want: validator.WrongType},
			{kind: "token without scope, before 2027-03-02", typ: "JWT", claims: ofUser.with("scope", nil), want: validator.WrongType},
			{kind: "token without client_id, before 2027-03-02", typ: "JWT", claims: ofUser.with("client_id", nil), want: validator.WrongType},
			{kind: foreign, typ: "at+jwt", claims: ofUser.with("aud", []string{"https://billing.example.com"}), want: validator.WrongAudience},
			{kind: "token of another environment", typ: "at+jwt", claims: ofUser.with("iss", "https://auth.pingone.eu/"+otherTenant+"/as"), want: validator.UnknownIssuer},
			{kind: refresh, opaque: "opaque-refresh", want: validator.MalformedToken},
		},
	}
}
