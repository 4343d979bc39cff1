package providers

import (
	"strings"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// Kubernetes returns the issuer of the service account tokens of one cluster. issuer is
// the service-account-issuer of its API server. Many clusters have the same, so keys has
// to say where the keys of this cluster are: a URL, a file, a document, or
// jwkscache.Discovered() if the issuer is one that only this cluster has. audiences are
// what the projected tokens of the pods are for, and only for this API. The
// audience of the API server itself is a fault.
//
// A token must have the claim kubernetes.io, an object with serviceaccount. Tokens of
// Secrets have flat claims, no aud and no exp, and are refused. Token.ClientOnly is
// always true, and there is neither a client nor scopes nor roles. Token.Subject is
// system:serviceaccount:{namespace}:{name}: let policies ask for it, because every service
// account of the cluster can get a token for any audience. Tokens of deleted pods hold
// until they expire.
//
// By default, the API server does not let just anybody read its metadata and keys. Bind
// the ClusterRole system:service-account-issuer-discovery, or copy the keys.
//
// It rests on pkg/serviceaccount of github.com/kubernetes/kubernetes (read 2026-08), on
// kubernetes.io/docs/tasks/configure-pod-container/configure-service-account, and on
// github.com/kubernetes/apiserver (2026-07-23).
func Kubernetes(issuer string, keys jwkscache.Source, audiences ...string) validator.Issuer {
	f := faultsOf()
	if issuer == "" {
		f.At("URL").Add("is empty", "give the service-account-issuer of the cluster")
	}
	if keys == nil {
		f.At("Keys").Add("is missing, and many clusters have the same issuer", "say where the keys of this cluster are, such as with jwkscache.File")
	}
	checkAudiences(audiences, f)
	for i, audience := range audiences {
		if audience != "" && (audience == issuer || strings.HasPrefix(audience, "https://kubernetes.default.svc")) {
			f.At("Audiences").Atf("[%d]", i).Addf("give one of your own, and set it in the projected volume", "%q is the API server of the cluster", audience)
		}
	}
	return validator.Issuer{
		URL:        issuer,
		Audiences:  audiences,
		Keys:       keys,
		Algorithms: []jose.Algorithm{jose.RS256, jose.ES256, jose.ES384, jose.ES512},
		Profile:    validator.ProfileLegacy,
		Marker:     []validator.ClaimRule{hasMember("kubernetes.io", "serviceaccount")},
		ClientOnly: hasMember("kubernetes.io", "serviceaccount"),
		Err:        f.Err(),
	}
}
