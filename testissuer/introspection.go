package testissuer

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// introspect answers a question about a token (RFC 7662 §2.2).
func (s *site) introspect(c *Client, r *http.Request, form url.Values) reply {
	f := s.tokens.ask(form.Get("token"), time.Now())
	if f.fault == StatusRedirect && r.URL.RawQuery == redirected {
		f.fault = 0
	}
	answer := reply{body: f.document()}
	if c.Signed && accepts(r, signedType) {
		s.sign(&answer, c, f.fault)
	}
	f.fault.spoil(&answer, f.use, s.below(introspectionPath))
	return answer
}

// document returns the introspection response, with the faults that change it.
func (f *finding) document() []byte {
	active := f.active && !f.fault.inactive(f.use)
	if f.exact && active && f.fault != ActiveAnyway {
		return f.fault.reshape([]byte(f.claims), true)
	}
	members := map[string]any{activeMember: active, tokenTypeMember: "Bearer"}
	for name, value := range membersOf(f.claims) {
		members[name] = value
	}
	switch {
	case f.fault == ActiveAnyway:
		members = map[string]any{activeMember: true}
	case active:
		f.fault.change(members)
	case f.fault == InactiveWithClaims:
		members[activeMember] = false
	default:
		members = map[string]any{activeMember: false}
	}
	return f.fault.reshape(encode(members), active)
}

// change applies the faults that change the members of an active answer.
func (f Fault) change(members map[string]any) {
	override(members, changes[f])
	switch f {
	case ScopeArray:
		members["scope"] = scopeList(members["scope"])
	case ExpiryString:
		if number, ok := members["exp"].(json.RawMessage); ok {
			members["exp"] = string(number)
		}
	case Stripped:
		maps.DeleteFunc(members, func(name string, _ any) bool {
			return name != activeMember && name != "iss" && name != tokenTypeMember
		})
	default:
	}
}

// changes holds what faults change in an active answer, as [override] takes it.
var changes = map[Fault]map[string]any{
	ActiveString:  {activeMember: "true"},
	ActiveNumber:  {activeMember: 1},
	ActiveNull:    {activeMember: json.RawMessage("null")},
	ActiveMissing: {activeMember: nil},
	ActiveCapital: {activeMember: nil, "Active": true},

	AudienceEmpty:   {"aud": []string{}},
	AudienceNull:    {"aud": json.RawMessage("null")},
	AudienceNumber:  {"aud": 1},
	AudienceOther:   {"aud": "https://other.test"},
	AudienceMissing: {"aud": nil},

	IssuerOther:    {"iss": "https://other.test"},
	IssuerMissing:  {"iss": nil},
	SubjectMissing: {"sub": nil},
	ExpiryMissing:  {"exp": nil},

	TokenTypeMissing: {tokenTypeMember: nil},
	TokenTypeLower:   {tokenTypeMember: "bearer"},
	TokenTypeDPoP:    {tokenTypeMember: "DPoP"},
	TokenTypeAccess:  {tokenTypeMember: "access_token"},
	TokenTypeRefresh: {tokenTypeMember: "refresh_token"},
	TokenTypeID:      {tokenTypeMember: "id_token"},
	TokenTypeNumber:  {tokenTypeMember: 1},

	RefreshToken:       {tokenTypeMember: nil, "jti": nil},
	RefreshTokenBearer: {"token_use": "refresh_token", "jti": nil},

	BoundToKey:         {tokenTypeMember: "DPoP", "cnf": map[string]string{"jkt": thumbprint}},
	BoundToKeyBearer:   {"cnf": map[string]string{"jkt": thumbprint}},
	BoundToCertificate: {"cnf": map[string]string{"x5t#S256": thumbprint}},
}

// The names of members that are used often.
const (
	activeMember    = "active"
	tokenTypeMember = "token_type"
)

// thumbprint is a SHA-256 digest of nothing in particular.
const thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

// scopeList returns the scope of an answer as an array.
func scopeList(scope any) []string {
	var text string
	if raw, ok := scope.(json.RawMessage); ok && json.Unmarshal(raw, &text) == nil {
		return strings.Fields(text)
	}
	return []string{}
}
