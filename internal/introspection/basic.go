package introspection

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
)

// basic sends ID and secret in the Authorization field (RFC 6749 §2.3.1).
type basic struct {
	id     string
	raw    bool
	secret *secretCache[string]
}

func (b *basic) authenticate(ctx context.Context, m *message) (int, error) {
	secret, err := b.secret.get(ctx)
	if err != nil {
		return 0, fmt.Errorf("the client secret cannot be read: %w", err)
	}
	id, password := b.id, secret.value
	if !b.raw {
		id, password = formEncoded(id), formEncoded(password)
	}
	m.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(id+":"+password)))
	return secret.version, nil
}

func (b *basic) renew(ctx context.Context, version int) bool { return b.secret.renew(ctx, version) }
func (b *basic) methods() []string                           { return []string{"client_secret_basic"} }

// hint tells of the other form if it differs for this ID and secret.
func (b *basic) hint() string {
	b.secret.mu.Lock()
	secret := b.secret.current.value
	b.secret.mu.Unlock()
	if formEncoded(b.id) == b.id && formEncoded(secret) == secret {
		return ""
	}
	if b.raw {
		return "ID or secret has characters that the form encoding of RFC 6749 §2.3.1 changes, and ClientSecretBasic.Raw leaves it out: unset Raw if the server decodes them"
	}
	return "ID or secret has characters that the form encoding of RFC 6749 §2.3.1 changes: set ClientSecretBasic.Raw if the server compares them as they come"
}

// formEncoded returns text in the encoding application/x-www-form-urlencoded, which
// leaves only letters, digits and -._* as they are.
func formEncoded(text string) string { return queryToForm.Replace(url.QueryEscape(text)) }

// queryToForm mends the two characters in which [url.QueryEscape] differs.
var queryToForm = strings.NewReplacer("%2A", "*", "~", "%7E")
