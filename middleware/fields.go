package middleware

import "strings"

// fieldKind is the kind of fact that a header field claims.
type fieldKind string

const (
	// overrideField is another method or path than the one that was checked.
	// Proxies pass such fields on unchanged, so they are removed from requests of
	// trusted proxies too.
	overrideField fieldKind = "override"
	// originField is the scheme, host or path before a proxy changed it.
	originField fieldKind = "origin"
	// addressField is the address of the client.
	addressField fieldKind = "address"
	// userField is the user or the program that a proxy authenticated.
	userField fieldKind = "user"
	// certificateField is the client certificate of a TLS connection that a
	// proxy terminated.
	certificateField fieldKind = "certificate"
)

// field is a header field that some product trusts.
type field struct {
	// name is the name as the product spells it. A * at its end matches any rest.
	name string
	kind fieldKind
	// products names products that set the field or trust it.
	products string
}

// fieldTable has every header field that handlers get only from a trusted proxy, or
// never if it is an overrideField. docs/http.md has the same names.
var fieldTable = []field{
	{"X-HTTP-Method-Override", overrideField, "Rack, Symfony, ASP.NET Core, method-override for Express"},
	{"X-HTTP-Method", overrideField, "OData services, method-override for Express"},
	{"X-Method-Override", overrideField, "method-override for Express"},
	{"X-Original-URL", overrideField, "Symfony and Laminas (CVE-2018-14773), backends of ingress-nginx external authentication"},
	{"X-Rewrite-URL", overrideField, "Symfony and Laminas (CVE-2018-14773), Yii"},
	{"X-Original-URI", overrideField, "backends of nginx auth_request, as its documentation sets them up"},
	{"X-Original-Method", overrideField, "Authelia, backends of ingress-nginx external authentication"},
	{"SCRIPT_NAME", overrideField, "Gunicorn (forwarder_headers)"},
	{"PATH_INFO", overrideField, "Gunicorn (forwarder_headers)"},
	{"X-Middleware-Subrequest", overrideField, "Next.js (CVE-2025-29927: middleware is skipped)"},

	{"X-Original-*", originField, "ASP.NET Core forwarded headers (X-Original-Host, -Proto, -For), ingress-nginx (X-Original-Forwarded-For)"},
	{"X-Envoy-Original-*", originField, "Envoy (X-Envoy-Original-Path), and its access logs and authorization services"},
	{"X-Scheme", originField, "Tornado, ingress-nginx"},
	{"X-Script-Name", originField, "pgAdmin, Radicale"},
	{"Front-End-Https", originField, "Yii, Microsoft ISA Server and Outlook on the web"},
	{"X-ARR-SSL", originField, "IIS Application Request Routing, Azure App Service"},
	{"CF-Visitor", originField, "Cloudflare"},
	{"CloudFront-Forwarded-Proto", originField, "Amazon CloudFront"},
	{"X-Sendfile-Type", originField, "Rack::Sendfile, as nginx sets it up"},
	{"X-Accel-Mapping", originField, "Rack::Sendfile, as nginx sets it up"},

	{"Forwarded", addressField, "RFC 7239: Spring, Quarkus, vibe.d"},
	{"X-Forwarded-*", addressField, "most frameworks; also users (oauth2-proxy) and client certificates (Envoy, Traefik)"},
	{"X-Forwarded", addressField, "request-ip for Node.js, django-ipware"},
	{"Forwarded-For", addressField, "request-ip for Node.js, django-ipware"},
	{"X-Real-IP", addressField, "nginx, Traefik, chi RealIP, Gin"},
	{"True-Client-IP", addressField, "Akamai, Cloudflare, chi RealIP"},
	{"X-Client-IP", addressField, "Apache mod_remoteip, Azure App Service, IBM DataPower"},
	{"X-Cluster-Client-IP", addressField, "Rackspace load balancers, request-ip for Node.js, django-ipware"},
	{"Client-IP", addressField, "Rails, CodeIgniter"},
	{"X-ProxyUser-IP", addressField, "vibe.d"},
	{"Proxy-Client-IP", addressField, "Oracle WebLogic plug-ins, Hutool"},
	{"WL-Proxy-*", addressField, "Oracle WebLogic (WL-Proxy-Client-IP; also WL-Proxy-Client-Cert)"},
	{"HTTP_CLIENT_IP", addressField, "Hutool"},
	{"HTTP_X_FORWARDED_FOR", addressField, "Hutool"},
	{"CF-Connecting-*", addressField, "Cloudflare (CF-Connecting-IP, CF-Connecting-IPv6)"},
	{"CF-Pseudo-IPv4", addressField, "Cloudflare"},
	{"CloudFront-Viewer-*", addressField, "Amazon CloudFront"},
	{"Fastly-Client-IP", addressField, "Fastly"},
	{"Incap-Client-IP", addressField, "Imperva"},
	{"X-Sucuri-ClientIP", addressField, "Sucuri"},
	{"Ali-CDN-Real-IP", addressField, "Alibaba Cloud CDN"},
	{"EO-Connecting-IP", addressField, "Tencent EdgeOne"},
	{"EO-Client-IP", addressField, "Tencent EdgeOne"},
	{"Fly-Client-IP", addressField, "Fly.io"},
	{"Fly-Forwarded-*", addressField, "Fly.io"},
	{"X-Vercel-Forwarded-For", addressField, "Vercel"},
	{"X-Vercel-Proxied-For", addressField, "Vercel"},
	{"X-NF-Client-Connection-IP", addressField, "Netlify"},
	{"DO-Connecting-IP", addressField, "DigitalOcean App Platform"},
	{"X-Azure-ClientIP", addressField, "Azure Front Door"},
	{"X-Azure-SocketIP", addressField, "Azure Front Door"},
	{"X-Envoy-External-Address", addressField, "Envoy"},
	{"X-Envoy-Internal", addressField, "Envoy"},

	{"Remote-*", userField, "Authelia (Remote-User, -Groups, -Name, -Email) and what trusts it, Gunicorn (REMOTE_USER)"},
	{"X-Remote-*", userField, "Kubernetes aggregated API servers (X-Remote-User, -Group, -Extra-), Dex"},
	{"Impersonate-*", userField, "Kubernetes API server"},
	{"X-Auth-Request-*", userField, "oauth2-proxy"},
	{"X-WebAuth-*", userField, "Grafana, Gitea"},
	{"X-Authenticated-*", userField, "Kong (X-Authenticated-Userid, -Scope, -Groups)"},
	{"X-Consumer-*", userField, "Kong"},
	{"X-Credential-*", userField, "Kong"},
	{"X-Anonymous-Consumer", userField, "Kong"},
	{"X-Userinfo", userField, "Apache APISIX and Kong with OpenID Connect"},
	{"X-JWT-Assertion", userField, "WSO2 API Manager"},
	{"X-Authentik-*", userField, "authentik"},
	{"X-Pomerium-*", userField, "Pomerium"},
	{"X-Vouch-*", userField, "Vouch Proxy"},
	{"Tailscale-*", userField, "Tailscale Serve (Tailscale-User-Login, -Name)"},
	{"CF-Access-*", userField, "Cloudflare Access"},
	{"X-Goog-Authenticated-User-*", userField, "Google Identity-Aware Proxy"},
	{"X-Goog-IAP-*", userField, "Google Identity-Aware Proxy"},
	{"X-Apigateway-Api-Userinfo", userField, "Google API Gateway"},
	{"X-Endpoint-API-UserInfo", userField, "Google Cloud Endpoints"},
	{"X-AppEngine-*", userField, "Google App Engine (X-AppEngine-User-IP, -Cron, -QueueName, -Inbound-Appid)"},
	{"X-MS-Client-Principal*", userField, "Azure App Service authentication"},
	{"X-MS-Token-*", userField, "Azure App Service authentication"},
	{"X-Amzn-Oidc-*", userField, "AWS Application Load Balancer"},
	{"MS-ASPNETCORE-*", userField, "ASP.NET Core behind IIS (Windows user; also the client certificate)"},
	{"Kubeflow-Userid", userField, "Kubeflow"},
	{"L5d-Client-Id", userField, "Linkerd"},
	{"X-Envoy-Downstream-Service-*", userField, "Envoy"},
	{"Shib-*", userField, "Shibboleth Service Provider (ShibUseHeaders)"},
	{"IV-*", userField, "IBM Security Verify Access (iv-user, iv-groups, iv-creds)"},
	{"SM_*", userField, "SiteMinder (SM_USER)"},
	{"OAM_*", userField, "Oracle Access Manager (OAM_REMOTE_USER)"},
	{"OIDC_*", userField, "mod_auth_openidc (OIDC_CLAIM_sub)"},
	{"X-Proxy-User", userField, "OpenSearch Security proxy authentication"},
	{"X-Proxy-Roles", userField, "OpenSearch Security proxy authentication"},
	{"X-Proxy-Ext-*", userField, "OpenSearch Security extended proxy authentication"},
	{"es-security-runas-user", userField, "Elasticsearch (run as)"},
	{"X-Auth-CouchDB-*", userField, "CouchDB proxy authentication (X-Auth-CouchDB-UserName, -Roles, -Token)"},
	{"X-Scope-OrgID", userField, "Grafana Loki, Mimir and Tempo"},
	{"X-Trino-User", userField, "Trino"},
	{"X-RStudio-Username", userField, "RStudio Server proxied authentication"},
	{"X-Amzn-Ava-*", userField, "AWS Verified Access"},
	{"Ngrok-Auth-User-*", userField, "ngrok"},
	{"Sf-Context-*", userField, "Snowpark Container Services (Sf-Context-Current-User)"},
	{"X-Replit-User-*", userField, "Replit"},
	{"X-Sandstorm-*", userField, "Sandstorm (X-Sandstorm-User-Id, -Username, -Permissions)"},
	{"X-Token-User-*", userField, "caddy-security (X-Token-User-Name, -Email, -Roles)"},
	{"X-Token-Subject", userField, "caddy-security"},
	{"$WS*", userField, "IBM WebSphere plug-in ($WSRU; also the certificate in $WSCC)"},

	{"Client-Cert", certificateField, "RFC 9440"},
	{"Client-Cert-*", certificateField, "RFC 9440 (Client-Cert-Chain)"},
	{"X-Client-Cert*", certificateField, "Puppet Server, Google Cloud load balancers"},
	{"X-Client-Verify", certificateField, "Puppet Server"},
	{"X-Client-DN", certificateField, "Puppet Server"},
	{"SSL-Client-*", certificateField, "ingress-nginx, Keycloak"},
	{"CERT_CHAIN*", certificateField, "Keycloak"},
	{"X-SSL-*", certificateField, "ASP.NET Core certificate forwarding (X-SSL-CERT), HAProxy's examples (X-SSL-Client-Verify)"},
	{"X-TLS-Client-*", certificateField, "MinIO KES"},
	{"X-ARR-ClientCert", certificateField, "IIS Application Request Routing, Azure App Service"},
	{"X-Amzn-Mtls-*", certificateField, "AWS Application Load Balancer"},
	{"CF-Cert-*", certificateField, "Cloudflare"},
	{"CF-Client-Cert-*", certificateField, "Cloudflare"},
}

var fieldsByName = indexFields(fieldTable)

// fieldIndex finds rows of a table by the name of a field: a tree with one node for
// each character that a name can have next. The first node is the root. Most names
// of a request leave the tree after a few characters.
type fieldIndex []fieldNode

// fieldNode is reached by the same characters in every spelling ([foldByte]).
type fieldNode struct {
	next  [foldedBytes]uint16 // the node after one more character; 0: none
	exact *field              // of this name; nil: none
	open  *field              // of each name that starts so; nil: none
}

func indexFields(table []field) fieldIndex {
	index := fieldIndex{{}}
	for i := range table {
		f := &table[i]
		name, open := strings.CutSuffix(f.name, "*")
		at := 0
		for j := range len(name) {
			c := foldByte(name[j])
			if index[at].next[c] == 0 {
				index[at].next[c] = uint16(len(index)) //nolint:gosec // the table has a few thousand characters
				index = append(index, fieldNode{})
			}
			at = int(index[at].next[c])
		}
		if open {
			index[at].open = f
		} else {
			index[at].exact = f
		}
	}
	return index
}

// find returns the row that matches a field name in any spelling, or nil. A row
// with the whole name comes before one with a * at its end.
func (index fieldIndex) find(name string) *field {
	var open *field
	at := &index[0]
	for i := range len(name) {
		next := at.next[foldByte(name[i])]
		if next == 0 {
			return open
		}
		if at = &index[next]; at.open != nil {
			open = at.open
		}
	}
	if at.exact != nil {
		return at.exact
	}
	return open
}

// foldedBytes is the number of results of foldByte: letters, digits and separator.
const foldedBytes = 26 + 10 + 1

// foldByte returns a number for c, from 0 to foldedBytes-1. It is the same for a
// letter in both cases, and the same for all separators, because CGI and its
// successors read every separator as _.
func foldByte(c byte) byte {
	switch {
	case c >= 'a' && c <= 'z':
		return c - 'a'
	case c >= 'A' && c <= 'Z':
		return c - 'A'
	case c >= '0' && c <= '9':
		return 26 + c - '0'
	default:
		return foldedBytes - 1
	}
}

// spells reports whether name is spelled as products spell the field: with its
// separator only, which is - or _, and with a $ at the beginning if the field has one.
func (f *field) spells(name string) bool {
	separator := byte('-')
	if strings.Contains(f.name, "_") {
		separator = '_'
	}
	if f.name[0] == '$' {
		var ok bool
		if name, ok = strings.CutPrefix(name, "$"); !ok {
			return false
		}
	}
	for i := range len(name) {
		if !isAlphanumeric(name[i]) && name[i] != separator {
			return false
		}
	}
	return true
}
