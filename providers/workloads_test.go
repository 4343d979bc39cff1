package providers_test

import (
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/providers"
	"github.com/sallyport-auth/sallyport/validator"
)

func google() provider {
	const account = "batch@acme.iam.gserviceaccount.com"
	ofApp := claims{
		"iss": "https://accounts.google.com", "aud": api, "azp": "100000000000000000001", "sub": "100000000000000000001", "email": account, "email_verified": true,
		"iat": now, "exp": now + 3600,
	}
	ofUser := claims{
		"iss": "https://accounts.google.com", "aud": "web.apps.googleusercontent.com", "azp": "web.apps.googleusercontent.com", "sub": "110000000000000000001",
		"email": "user@gmail.com", "email_verified": true, "at_hash": "h", "iat": now, "exp": now + 3600, "name": "A User",
	}
	return provider{
		title: "Google service accounts", name: "google",
		parameters: providers.Parameters{Audiences: []string{api}, Accounts: []string{account}},
		issuer:     providers.Google(api, account),
		scope:      "orders:read", role: "r", client: "100000000000000000001", acr: "a",
		shapes: []shape{
			{kind: machine, typ: "JWT", claims: ofApp, subject: "100000000000000000001", client: "100000000000000000001", caller: "client", permits: "client"},
			{kind: "machine without azp", typ: "JWT", claims: ofApp.with("azp", nil), subject: "100000000000000000001", caller: "client"},
			{kind: idToken, typ: "JWT", claims: ofUser, want: validator.WrongType},
			{kind: "ID token of a user, aud of the API", typ: "JWT", claims: ofUser.with("aud", api, "azp", nil, "at_hash", nil), want: validator.BadClaims},
			{kind: "another service account", typ: "JWT", claims: ofApp.with("email", "other@acme.iam.gserviceaccount.com"), want: validator.BadClaims},
			{kind: "machine without email", typ: "JWT", claims: ofApp.with("email", nil), want: validator.BadClaims},
			{kind: "email that is not verified", typ: "JWT", claims: ofApp.with("email_verified", false), want: validator.WrongType},
			{kind: "machine without email and email_verified, typ at+jwt", typ: "at+jwt", claims: ofApp.with("email_verified", nil), want: validator.BadClaims},
			{kind: foreign, typ: "JWT", claims: ofApp.with("aud", "https://billing.example.com"), want: validator.WrongAudience},
			{kind: "iss without scheme", typ: "JWT", claims: ofApp.with("iss", "accounts.google.com"), want: validator.UnknownIssuer},
			{kind: "JWT that an account signed itself", typ: "JWT", claims: ofApp.with("iss", account, "sub", account), want: validator.UnknownIssuer},
			{kind: "assertion of Identity-Aware Proxy", typ: "JWT", claims: ofApp.with("iss", "https://cloud.google.com/iap"), alg: jose.ES256, want: validator.UnknownIssuer},
			{kind: "opaque access token", opaque: "ya29.opaque", want: validator.MalformedToken},
			{kind: refresh, opaque: "1//opaque", want: validator.MalformedToken},
		},
	}
}

func gitHub() provider {
	job := claims{
		"iss": "https://token.actions.githubusercontent.com", "aud": api, "sub": "repo:acme/orders:ref:refs/heads/main", "jti": "j", "iat": now, "nbf": now - 600, "exp": now + 300,
		"repository": "acme/orders", "repository_id": "101", "repository_owner": "acme", "repository_owner_id": "7", "ref": "refs/heads/main", "ref_protected": "true",
		"workflow": "deploy", "run_id": "5001", "run_number": "1", "run_attempt": "1", "event_name": "push", "actor": "user", "actor_id": "42", "runner_environment": "github-hosted",
	}
	return provider{
		title: "GitHub Actions", name: "github-actions",
		parameters: providers.Parameters{Audiences: []string{api}, Repositories: []string{"101", "102"}},
		issuer:     providers.GitHubActions(api, "101", "102"),
		scope:      "orders:read", role: "r", client: "c", acr: "a",
		shapes: []shape{
			{kind: machine, typ: "JWT", claims: job, subject: "repo:acme/orders:ref:refs/heads/main", caller: "client"},
			{kind: "sub with ids", typ: "JWT", claims: job.with("sub", "repo:acme@7/orders@101:pull_request"), subject: "repo:acme@7/orders@101:pull_request", caller: "client"},
			{kind: "another listed repository", typ: "JWT", claims: job.with("repository_id", "102"), subject: "repo:acme/orders:ref:refs/heads/main", caller: "client"},
			{kind: "another repository", typ: "JWT", claims: job.with("repository_id", "999", "repository_owner_id", "8"), want: validator.BadClaims},
			{kind: "another repository of that name", typ: "JWT", claims: job.with("repository_id", "999"), want: validator.BadClaims},
			{kind: "another repository, typ at+jwt", typ: "at+jwt", claims: job.with("repository_id", "999"), want: validator.BadClaims},
			{kind: "token without run_id", typ: "JWT", claims: job.with("run_id", nil), want: validator.WrongType},
			{kind: "token without repository_id", typ: "JWT", claims: job.with("repository_id", nil), want: validator.WrongType},
			{kind: foreign, typ: "JWT", claims: job.with("aud", "https://github.com/acme"), want: validator.WrongAudience},
			{kind: "token of an enterprise issuer", typ: "JWT", claims: job.with("iss", "https://token.actions.githubusercontent.com/acme"), want: validator.UnknownIssuer},
		},
	}
}

func gitLab() provider {
	job := claims{
		"iss": "https://gitlab.com", "aud": api, "sub": "project_path:acme/orders:ref_type:branch:ref:main", "jti": "j", "iat": now, "nbf": now - 5, "exp": now + 300,
		"namespace_id": "7", "namespace_path": "acme", "project_id": "20", "project_path": "acme/orders", "user_id": "1", "user_login": "user", "user_email": "user@example.com",
		"pipeline_id": "1", "pipeline_source": "push", "job_id": "301", "ref": "main", "ref_type": "branch", "ref_protected": "true", "runner_id": 1, "runner_environment": "gitlab-hosted",
		"user_identities": []claims{{"provider": "saml", "extern_uid": "u"}},
	}
	return provider{
		title: "GitLab CI", name: "gitlab-ci",
		parameters: providers.Parameters{URL: "https://gitlab.com", Audiences: []string{api}, Projects: []string{"20"}},
		issuer:     providers.GitLabCI("https://gitlab.com", api, "20"),
		scope:      "orders:read", role: "r", client: "c", acr: "a",
		shapes: []shape{
			{kind: machine, typ: "JWT", claims: job, subject: "project_path:acme/orders:ref_type:branch:ref:main", caller: "client"},
			{kind: "another project", typ: "JWT", claims: job.with("project_id", "21"), want: validator.BadClaims},
			{kind: "another project, typ at+jwt", typ: "at+jwt", claims: job.with("project_id", "21"), want: validator.BadClaims},
			{kind: "token without job_id", typ: "JWT", claims: job.with("job_id", nil), want: validator.WrongType},
			{kind: "token without pipeline_id", typ: "JWT", claims: job.with("pipeline_id", nil), want: validator.WrongType},
			{kind: "token without project_id", typ: "JWT", claims: job.with("project_id", nil), want: validator.WrongType},
			{kind: idToken, typ: "JWT", claims: claims{"iss": "https://gitlab.com", "aud": "web", "sub": "1", "iat": now, "exp": now + 120, "nonce": "n", "auth_time": now}, want: validator.WrongType},
			{kind: foreign, typ: "JWT", claims: job.with("aud", "https://vault.example.com"), want: validator.WrongAudience},
			{kind: "token of another instance", typ: "JWT", claims: job.with("iss", "https://gitlab.example.com"), want: validator.UnknownIssuer},
		},
	}
}

func kubernetes() provider {
	const issuer = "https://kubernetes.default.svc.cluster.local"
	pod := claims{
		"iss": issuer, "aud": []string{api}, "sub": "system:serviceaccount:shop:batch", "exp": now + 3607, "iat": now, "nbf": now, "jti": "j",
		"kubernetes.io": claims{
			"namespace": "shop", "serviceaccount": claims{"name": "batch", "uid": "u1"}, "pod": claims{"name": "batch-1", "uid": "u2"}, "node": claims{"name": "n1", "uid": "u3"}, "warnafter": now + 3607,
		},
	}
	keys := jwkscache.File("/etc/orders/cluster-keys.json")
	return provider{
		title: "Kubernetes service accounts", name: "kubernetes",
		parameters: providers.Parameters{URL: issuer, Audiences: []string{api}, Keys: keys},
		issuer:     providers.Kubernetes(issuer, keys, api),
		scope:      "orders:read", role: "r", client: "c", acr: "a",
		shapes: []shape{
			{kind: machine, claims: pod, subject: "system:serviceaccount:shop:batch", caller: "client"},
			{kind: "token of a Secret", claims: claims{"iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:shop:batch", "kubernetes.io/serviceaccount/namespace": "shop"}, want: validator.UnknownIssuer},
			{kind: "flat claims", claims: pod.with("kubernetes.io", nil, "kubernetes.io/serviceaccount/namespace", "shop"), want: validator.WrongType},
			{kind: "token without serviceaccount", claims: pod.with("kubernetes.io", claims{"namespace": "shop"}), want: validator.WrongType},
			{kind: foreign, claims: pod.with("aud", []string{"https://vault.example.com"}), want: validator.WrongAudience},
			{kind: "token for the API server", claims: pod.with("aud", []string{issuer}), want: validator.WrongAudience},
			{kind: "token of another cluster", key: "other", claims: pod, want: validator.UnknownKey},
		},
	}
}

func firebase() provider {
	const issuer = "https://securetoken.google.com/acme"
	ofUser := claims{
		"iss": issuer, "aud": "acme", "sub": "uid1", "user_id": "uid1", "iat": now, "exp": now + 3600, "auth_time": now - 60, "email": "user@example.com", "email_verified": true,
		"firebase": claims{"sign_in_provider": "password", "identities": claims{"email": []string{"user@example.com"}}},
	}
	return provider{
		title: "Firebase Authentication", name: "firebase",
		parameters: providers.Parameters{URL: "acme"},
		issuer:     providers.Firebase("acme"),
		scope:      "orders:read", role: "r", client: "c", acr: "a",
		shapes: []shape{
			{kind: user, typ: "JWT", claims: ofUser, subject: "uid1", caller: "user", permits: "user age"},
			{kind: "anonymous user", typ: "JWT", claims: ofUser.with("firebase", claims{"sign_in_provider": "anonymous", "identities": claims{}}), subject: "uid1", caller: "user", permits: "user age"},
			{kind: foreign, typ: "JWT", claims: ofUser.with("iss", "https://securetoken.google.com/other", "aud", "other"), want: validator.UnknownIssuer},
			{kind: "aud of another project", typ: "JWT", claims: ofUser.with("aud", "other"), want: validator.WrongAudience},
			{kind: "token without firebase", typ: "JWT", claims: ofUser.with("firebase", nil), want: validator.WrongType},
			{kind: "custom token", typ: "JWT", claims: claims{"iss": "x@acme.iam.gserviceaccount.com", "sub": "x@acme.iam.gserviceaccount.com", "aud": "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit", "iat": now, "exp": now + 3600, "uid": "uid1"}, want: validator.UnknownIssuer},
			{kind: "session cookie", typ: "JWT", claims: ofUser.with("iss", "https://session.firebase.google.com/acme"), want: validator.UnknownIssuer},
			{kind: refresh, opaque: "opaque-refresh", want: validator.MalformedToken},
		},
	}
}
