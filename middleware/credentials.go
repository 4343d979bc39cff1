package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/validator"
)

var (
	errSeveral = validator.Refuse(validator.MalformedRequest,
		described("middleware: more than one credentials in one Authorization field (RFC 9110 §11.6.2)", cause.Details{
			Found: "a comma and a second scheme", Wanted: "one credential", Mend: "let the client send one Authorization field with one token",
		}))
	errTokenInURL = validator.Refuse(validator.MalformedRequest,
		described("middleware: a token in the URL beside the one in the Authorization field (RFC 6750 §2)", cause.Details{
			Found: "the query parameter access_token", Wanted: "none", Mend: "let the client send the token in the Authorization field alone: URLs are logged",
		}))
)

// credentials reads the credentials of a request: the Authorization field and
// nothing else. Query, body, cookies and other fields are no places for a
// token (OAuth 2.1 §5.1).
func credentials(header http.Header) (validator.Presentation, error) {
	return Credentials(values(header, "Authorization"), values(header, "Dpop"))
}

// values returns the values of a field, which are nil only if header does not have it.
func values(header http.Header, name string) []string {
	fields, ok := header[name]
	if ok && fields == nil {
		return []string{}
	}
	return fields
}

// Credentials reads the credentials of a request from the values of its Authorization
// and DPoP fields, for adapters of transports that have fields under these names. nil
// means that there is no such field. The rules are those of HTTP (RFC 9110 §11.6.2, RFC
// 6750 §2.1, RFC 9449 §7.1) for every transport, so no adapter has rules of its own.
//
// The zero Presentation means that there is neither field. Anything else that is not a
// token for this API has another Scheme, so that it does not count as anonymous. The
// error is a MalformedRequest for [Route.Refuse]. The result has the token as it was
// received; nothing is verified.
func Credentials(authorization, dpopProofs []string) (validator.Presentation, error) {
	p := validator.Presentation{Proofs: dpopProofs}
	switch {
	case len(authorization) > 1:
		return validator.Presentation{Scheme: validator.OtherScheme}, errValues(len(authorization))
	case len(authorization) == 0:
		if authorization != nil || dpopProofs != nil {
			p.Scheme = validator.OtherScheme
		}
		return p, nil
	}
	p.Scheme = validator.OtherScheme
	scheme, rest := cutScheme(authorization[0])
	switch {
	case scheme == "":
		return p, noScheme(authorization[0])
	case strings.EqualFold(scheme, bearer):
		p.Scheme = validator.Bearer
	case strings.EqualFold(scheme, dpop):
		p.Scheme = validator.DPoP
	case hidesOurs(rest):
		return p, errSeveral
	default:
		return p, nil
	}
	if p.Token = strings.TrimLeft(rest, " "); p.Token == rest {
		return validator.Presentation{Scheme: p.Scheme}, noSeparator(rest)
	}
	return p, nil
}

// described returns an error with that text and details.
func described(text string, d cause.Details) error {
	return cause.New(errors.New(text), func() cause.Details { return d })
}

var (
	errNoScheme  = errors.New("middleware: the Authorization field does not start with a scheme (RFC 9110 §11.4)")
	errSeparator = errors.New("middleware: the scheme is not followed by spaces and a token (RFC 6750 §2.1)")
)

// noScheme is the refusal of a request whose field does not start with a scheme.
func noScheme(field string) error {
	return validator.Refuse(validator.MalformedRequest, startsWrong(errNoScheme, strings.Trim(field, " \t"), "an empty field", "Bearer, a space and the token"))
}

// noSeparator is the refusal of a request whose scheme is followed by rest, which does not
// start with a space.
func noSeparator(rest string) error {
	return validator.Refuse(validator.MalformedRequest, startsWrong(errSeparator, rest, "a scheme and nothing behind it", "a space and the token"))
}

// startsWrong returns the cause of kind for text that starts with a wrong character, of
// which it shows only the kind.
func startsWrong(kind error, text, empty, wanted string) error {
	found := empty
	if text != "" {
		found = cause.Character(text[0])
	}
	return cause.New(kind, func() cause.Details { return cause.Details{Found: found, Wanted: wanted} })
}

// errValues is the refusal of a request with several Authorization fields. It says how
// many there are, because a client cannot see which program added the second one.
func errValues(count int) error {
	return validator.Refuse(validator.MalformedRequest, described("middleware: more than one Authorization field (RFC 9110 §11.6.2)", cause.Details{
		Found: fmt.Sprintf("%d Authorization fields", count), Wanted: "one",
		Mend: "a gateway that forwards the field, or a second credential plug-in of the client, usually adds the other",
	}))
}

// hidesOurs reports whether rest has credentials of Bearer or DPoP after a comma,
// which makes two credentials in one field.
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
