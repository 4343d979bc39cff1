package redact

import (
	"crypto"
	"fmt"
	"net/http"
	"reflect"
	"strings"
)

// keyType is what private keys implement.
var keyType = reflect.TypeFor[interface{ Public() crypto.PublicKey }]()

// privateKey returns the type of a key.
func privateKey(key any) string { return fmt.Sprintf("[%T]", key) }

// cookie returns the name of a cookie.
func cookie(c *http.Cookie) any {
	if c == nil {
		return nil
	}
	return Text(c.Name) + "=" + mark
}

// The lines before and after a key in PEM (RFC 7468 §2).
const (
	keyLine  = "PRIVATE KEY-----"
	endLine  = "-----END"
	maxLabel = 32 // of what may stand before keyLine, such as ENCRYPTED
)

// afterBegin cuts a private key in PEM. BEGIN ends here. It reports whether there is a key.
func (s *scanner) afterBegin() bool {
	rest := s.text[s.at:]
	at := strings.Index(rest[:min(len(rest), maxLabel+len(keyLine))], keyLine)
	if at < 0 {
		return false
	}
	begin := s.at + at + len(keyLine)
	end := strings.Index(s.text[begin:], endLine)
	if end < 0 {
		end = len(s.text) - begin
	}
	s.cut(begin, begin+end)
	return true
}
