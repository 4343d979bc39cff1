// Package secretnames knows the names under which credentials travel: header fields,
// metadata of gRPC, parameters of queries and forms, claims, and attributes of logs. Every
// room that removes or redacts credentials by their name asks this one.
package secretnames

import "strings"

// presented are the header fields with which a caller of an API presents credentials, in
// lower case.
var presented = []string{"authorization", "proxy-authorization", "dpop"}

// prefixes are what gateways put before the name of a field that they pass on as
// metadata.
var prefixes = []string{"", "grpcgateway-", "grpc-metadata-"}

// BinarySuffix is the end of a metadata key whose values are binary.
const BinarySuffix = "-bin"

// Presented returns the keys of metadata that may hold what a caller presents: the header
// fields for credentials, as they are and as gateways pass them on, in lower case.
func Presented() []string {
	var all []string
	for _, name := range presented {
		for _, prefix := range prefixes {
			all = append(all, prefix+name, prefix+name+BinarySuffix)
		}
	}
	return all
}

// endings are ends of names for credentials, in lower case without separators. access_token,
// X-Auth-Token, id_token_hint, clientSecret and Proxy-Authorization have such names.
var endings = []string{
	"authorization", "dpop", "dpopnonce", "token", "tokenhint", "secret", "password", "passwd", "passphrase", "cookie", "cookies", "credential",
	"credentials", "assertion", "apikey", "privatekey", "secretkey", "accesskey", "clientcert", "clientcertchain", "codeverifier", "jwt", "tokens",
	"secrets", "samlresponse", "oidcdata",
}

// maxName is the longest name that is looked at, in bytes.
const maxName = 128

// Is reports whether name is that of a credential. Case and separators do not count, and
// neither do the prefixes of gateways and the end -bin.
func Is(name string) bool {
	if len(name) > maxName {
		name = name[len(name)-maxName:]
	}
	if cut := len(name) - len(BinarySuffix); cut > 0 && strings.EqualFold(name[cut:], BinarySuffix) {
		name = name[:cut]
	}
	var squeezed [maxName]byte
	n := 0
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'A' && c <= 'Z':
			squeezed[n] = c + 'a' - 'A'
			n++
		case c == '-' || c == '_' || c == '.' || c == ' ':
		default:
			squeezed[n] = c
			n++
		}
	}
	return endsLikeSecret(string(squeezed[:n]))
}

func endsLikeSecret(name string) bool {
	for _, ending := range endings {
		if strings.HasSuffix(name, ending) {
			return true
		}
	}
	return false
}

// IsParameter reports whether a parameter of a query or a form holds a credential: those of
// Is, and the authorization code (RFC 6749 §4.1.2).
func IsParameter(name string) bool { return strings.EqualFold(name, "code") || Is(name) }
