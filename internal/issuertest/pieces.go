package issuertest

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// pieceBytes is the length of a piece of a secret that no text may have.
const pieceBytes = 12

// Shows returns a piece of 12 bytes of one of the secrets that text has, as it is, in
// hexadecimal or in base64, and "" if it has none. It is for tests that look for secrets
// in logs, errors and answers.
func Shows(text string, secrets ...string) string {
	plain := windows(text, pieceBytes)
	lower := windows(strings.ToLower(text), 2*pieceBytes)
	encoded := windows(strings.NewReplacer("+", "-", "/", "_").Replace(text), pieceBytes/3*4)
	for _, secret := range secrets {
		for i := 0; i+pieceBytes <= len(secret); i++ {
			piece := secret[i : i+pieceBytes]
			if plain[piece] || lower[hex.EncodeToString([]byte(piece))] || encoded[base64.RawURLEncoding.EncodeToString([]byte(piece))] {
				return piece
			}
		}
	}
	return ""
}

// windows returns all pieces of text that have that length.
func windows(text string, length int) map[string]bool {
	all := map[string]bool{}
	for i := 0; i+length <= len(text); i++ {
		all[text[i:i+length]] = true
	}
	return all
}

// SecretsOf returns what no text may show of a token: its segments as they are, and its
// signature decoded.
func SecretsOf(token string) []string {
	secrets := strings.Split(token, ".")
	if signature, err := base64.RawURLEncoding.DecodeString(secrets[len(secrets)-1]); err == nil {
		secrets = append(secrets, string(signature))
	}
	return secrets
}
