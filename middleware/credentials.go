package middleware

import (
	"errors"
	"net/http"
	"strings"

	"github.com/sallyport-auth/sallyport/validator"
)

var (
	errSeveral = validator.Refuse(validator.MalformedRequest,
		errors.New("middleware: more than one credentials, in one Authorization field or in several (RFC 9110 §11.6.2)"))
	errSeparator = validator.Refuse(validator.MalformedRequest,
		errors.New("middleware: the scheme is not followed by spaces and a token (RFC 6750 §2.1)"))
	errNoScheme = validator.Refuse(validator.MalformedRequest,
		errors.New("middleware: the Authorization field does not start with a scheme (RFC 9110 §11.4)"))
	errTokenInURL = validator.Refuse(validator.MalformedRequest,
		errors.New("middleware: a token in the URL beside the one in the Authorization field (RFC 6750 §2)"))
)

// credentials reads the credentials of a request: the Authorization field and
// nothing else. Query, body, cookies and other fields are no places for a
// token (OAuth 2.1 §5.1). A scheme that is not ours is no credentials.
func credentials(header http.Header) (validator.Presentation, error) {
	fields := header["Authorization"]
	switch len(fields) {
	case 0:
		return validator.Presentation{}, nil
	case 1:
	default:
		return validator.Presentation{}, errSeveral
	}
	scheme, rest := cutScheme(fields[0])
	p := validator.Presentation{Proofs: header["Dpop"]}
	switch {
	case scheme == "":
		return validator.Presentation{}, errNoScheme
	case strings.EqualFold(scheme, bearer):
		p.Scheme = validator.Bearer
	case strings.EqualFold(scheme, dpop):
		p.Scheme = validator.DPoP
	default:
		if hidesOurs(rest) {
			return validator.Presentation{}, errSeveral
		}
		return validator.Presentation{}, nil
	}
	if p.Token = strings.TrimLeft(rest, " "); p.Token == rest {
		return validator.Presentation{}, errSeparator
	}
	return p, nil
}

// hidesOurs reports whether credentials of a scheme of ours follow behind a
// comma: two credentials in one field.
func hidesOurs(rest string) bool {
	for rest != "" {
		_, rest, _ = strings.Cut(rest, ",")
		scheme, after := cutScheme(rest)
		if strings.HasPrefix(after, " ") && (strings.EqualFold(scheme, bearer) || strings.EqualFold(scheme, dpop)) {
			return true
		}
	}
	return false
}

// cutScheme splits a field value behind the token (RFC 9110 §5.6.2) that it
// starts with, after outer white space is taken off.
func cutScheme(field string) (scheme, rest string) { return cutToken(strings.Trim(field, " \t")) }

// cutToken is cutScheme where white space is not taken off.
func cutToken(text string) (token, rest string) {
	for i := range len(text) {
		if !isTokenChar(text[i]) {
			return text[:i], text[i:]
		}
	}
	return text, ""
}

// isTokenChar reports whether c is a tchar of RFC 9110 §5.6.2.
func isTokenChar(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func isAlphanumeric(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
}

// tokenInURL reports whether the query has an access_token parameter, which is
// never a credential and may already stand in somebody's log.
func tokenInURL(query string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, _, _ := strings.Cut(pair, "=")
		if parameterName(name) == "access_token" {
			return true
		}
	}
	return false
}
