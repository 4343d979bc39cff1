package providers_test

import (
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/providers"
	"github.com/sallyport-auth/sallyport/validator"
)

// now is the time at which the tokens of this process were issued.
var now = time.Now().Unix()

// claims are the claims of a token.
type claims map[string]any

// with returns c with other values for some names; nil removes a claim.
func (c claims) with(pairs ...any) claims {
	all := maps.Clone(c)
	for i := 0; i < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		if all[name] = pairs[i+1]; pairs[i+1] == nil {
			delete(all, name)
		}
	}
	return all
}

// The kinds of tokens that most providers have. They are the columns of the first table
// in docs/issuers.md.
const (
	user    = "user"
	machine = "machine"
	idToken = "ID token"
	foreign = "another API's token"
	refresh = "refresh token"
	logout  = "logout token"
)

// shape is a token as a provider sends it, and what the preset makes of it.
type shape struct {
	kind   string
	typ    string         // of the header; "" means that there is none
	claims claims         // nil for a token that is no JWT
	alg    jose.Algorithm // 0 means RS256
	key    string         // label of the key; "" means that of the provider
	opaque string         // the token, if it is no JWT

	want    validator.Reason // "" means accepted
	subject string           // and the following: what Token answers
	client  string
	scopes  string // separated by spaces
	roles   string // separated by commas
	caller  string // "user", "client" or "unknown"
	permits string // the policies of the provider that permit it
}

// provider is a preset, the tokens of the provider, and the arguments of the policies
// that judge them.
type provider struct {
	title      string // in docs/issuers.md
	name       string // for providers.New
	parameters providers.Parameters
	issuer     validator.Issuer // of the function
	keys       string           // the JWK Set; "" means one RS256 key

	scope, role, client, acr string

	shapes []shape
}

// sign returns the token of a shape.
func (s *shape) sign(t *testing.T) string {
	t.Helper()
	if s.claims == nil {
		return s.opaque
	}
	payload, err := strictjson.Marshal(map[string]any(s.claims))
	if err != nil {
		t.Fatal(err)
	}
	algorithm, label := s.alg, s.key
	if algorithm == 0 {
		algorithm = jose.RS256
	}
	if label == "" {
		label = "provider"
	}
	header := `{"alg":` + strconv.Quote(algorithm.String()) + `,"kid":` + strconv.Quote(label)
	if s.typ != "" {
		header += `,"typ":` + strconv.Quote(s.typ)
	}
	return testkey.Of(algorithm, label).Sign(header+"}", payload)
}

// keySet returns a JWK Set with the keys of these labels. members are further members of
// each JWK, after its label.
func keySet(members map[string]string, labels ...string) string {
	var keys []string
	for _, label := range labels {
		jwk := testkey.Of(jose.RS256, label).JWK()
		keys = append(keys, strings.TrimSuffix(jwk, "}")+members[label]+"}")
	}
	return `{"keys":[` + strings.Join(keys, ",") + `]}`
}

// all returns the providers, in the order of docs/issuers.md.
func all() []provider {
	return []provider{
		entraID(), entraIDv1(), okta(), auth0(), keycloak(), cognito(), google(), duende(), zitadel(), adfs(), supabase(),
		gitHub(), kubernetes(), gitLab(), pingOne(), hydra(), fusionAuth(), firebase(),
	}
}
