package middleware

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
)

// challenger writes the challenges of a Guard.
type challenger struct {
	realm      string
	metadata   string // URL of RFC 9728 §5.1; empty: none
	hideScopes bool
	constant   map[Class]*challenge // challenges to which no policy adds anything
}

// challenge is one challenge of RFC 9110 §11.3. A nil challenge is none.
type challenge struct {
	params challengeParams
	fields []string // the challenge, as the only value of WWW-Authenticate
}

// challengeParams are the parameters of a challenge that do not follow from its Class. An
// empty one is left out.
type challengeParams struct {
	realm, scope, acrValues, maxAge, metadata string
}

func newChallenger(realm, metadata string, hideScopes bool) *challenger {
	c := &challenger{realm: realm, metadata: metadata, hideScopes: hideScopes, constant: make(map[Class]*challenge, len(classes))}
	for class, row := range classes {
		if row.scheme != "" {
			c.constant[class] = c.challenge(row, nil)
		}
	}
	return c
}

// withoutCredentials returns the challenge for a request without credentials on a
// route of policy: where to get a token, and for which scopes.
func (c *challenger) withoutCredentials(policy scopes.Policy) *challenge {
	needs := policy.Needs()
	if c.hideScopes || len(needs) == 0 {
		return c.constant[ClassNoCredentials]
	}
	return c.challenge(classes[ClassNoCredentials], &scopes.Refusal{Scopes: needs})
}

// of returns the challenge of class. refusal is what the policy adds and may be nil.
func (c *challenger) of(class Class, refusal *scopes.Refusal) *challenge {
	if row := class.row(); refusal != nil && row.scheme != "" {
		return c.challenge(row, refusal)
	}
	return c.constant[class]
}

// challenge returns the challenge of row. refusal is what the policy adds and may be
// nil.
func (c *challenger) challenge(row *classRow, refusal *scopes.Refusal) *challenge {
	params := challengeParams{realm: c.realm}
	if refusal != nil {
		params.scope = withoutOffline(refusal.Scopes)
		params.acrValues = strings.Join(refusal.ACRValues, " ")
		if refusal.MaxAuthAge > 0 {
			params.maxAge = strconv.FormatInt(int64(refusal.MaxAuthAge/time.Second), 10)
		}
	}
	if row.status != http.StatusBadRequest { // another token would not help
		params.metadata = c.metadata
	}
	return newChallenge(row, params)
}

// newChallenge writes the challenge of row with params. It leaves out a parameter that
// is not printable, so that no value can start another field.
func newChallenge(row *classRow, params challengeParams) *challenge {
	for _, param := range params.keyed() {
		if !isPrintable(*param.value) {
			*param.value = ""
		}
	}
	var b strings.Builder
	b.WriteString(row.scheme)
	writeParam(&b, " ", "realm", params.realm)
	writeParam(&b, ", ", "error", row.code)
	writeParam(&b, ", ", "error_description", row.description)
	writeParam(&b, ", ", "scope", params.scope)
	writeParam(&b, ", ", "acr_values", params.acrValues)
	writeParam(&b, ", ", "max_age", params.maxAge)
	writeParam(&b, ", ", "resource_metadata", params.metadata)
	return &challenge{params: params, fields: []string{b.String()}}
}

// writeParam writes a parameter with its value, which is printable, as a
// quoted-string (RFC 9110 §5.6.4), so that no value can start another parameter. It
// leaves out an empty value.
func writeParam(b *strings.Builder, separator, name, value string) {
	if value == "" {
		return
	}
	b.WriteString(separator)
	b.WriteString(name)
	b.WriteString(`="`)
	for i := range len(value) {
		if value[i] == '"' || value[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(value[i])
	}
	b.WriteByte('"')
}

// withoutOffline joins scopes, except for offline_access: it asks the
// authorization server for a refresh token and means nothing to an API.
func withoutOffline(all []string) string {
	var b strings.Builder
	for _, scope := range all {
		if scope == "offline_access" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(scope)
	}
	return b.String()
}

// isPrintable reports whether text can stand in a quoted-string.
func isPrintable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}
