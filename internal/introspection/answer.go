package introspection

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// Causes of answers that count as inactive although they do not say so (RFC 7662 §2.2).
var (
	errNoActive   = errors.New("the answer has no active: the endpoint does not look like one of RFC 7662; check Client.Endpoint")
	errMiscased   = errors.New("the answer has no active, but a member whose name differs from it in case only, which RFC 7662 §2.2 does not know")
	errActiveType = errors.New("active is not true or false (RFC 7662 §2.2)")
	errTooMuch    = errors.New("the answer exceeds the limits of claims")
	errTwice      = errors.New("a member name occurs twice in the answer, so that it can be read in two ways")
)

// readAnswer reads an introspection response within limits. An error says that document is none. An
// answer that is neither active nor inactive counts as inactive and has Odd.
func readAnswer(document string, limits strictjson.Limits) (Answer, error) {
	members, err := strictjson.ParseObject(document, limits, nil)
	if errors.Is(err, strictjson.ErrDuplicate) {
		return Answer{Odd: cause.New(errTwice, func() cause.Details {
			return cause.Details{Found: "a member name that occurs twice", Wanted: "unique names"}
		})}, nil
	}
	if errors.Is(err, strictjson.ErrLimits) {
		return Answer{}, cause.New(errTooMuch, func() cause.Details { return claims.Exceeded(err, limits) })
	}
	if err != nil {
		found := strictjson.Describe(document, limits, claims.KnownNames...)
		return Answer{}, cause.New(fmt.Errorf("the answer is no introspection response: %w", err), func() cause.Details {
			return cause.Details{Found: found, Wanted: "one JSON object with active"}
		})
	}
	active := claims.Lookup(members, "active")
	switch {
	case active.Raw() == "true":
		return Answer{Active: true, Document: document, Members: members}, nil
	case active.Raw() == "false":
		return Answer{}, nil
	case active.Kind() == strictjson.Absent:
		return Answer{Odd: missing(members)}, nil
	default:
		found := "active, which is " + active.Kind().String()
		return Answer{Odd: cause.New(errActiveType, func() cause.Details { return cause.Details{Found: found, Wanted: "true or false"} })}, nil
	}
}

// missing returns why an answer has no active.
func missing(members []strictjson.Member) error {
	for _, m := range members {
		if strings.EqualFold(m.Name, "active") {
			return cause.New(errMiscased, func() cause.Details { return cause.Details{Found: "active in other letters", Wanted: "active"} })
		}
	}
	return cause.New(errNoActive, func() cause.Details { return cause.Details{Found: "no active", Wanted: "active true or false"} })
}

// Withheld returns the names of the standard members of an active answer that are
// absent, such as "aud scope sub". Servers leave them out for callers that they do not
// know as an audience of the token, so an operator should see them in the cause of a
// refusal.
func Withheld(members []strictjson.Member) string {
	var absent []string
	for _, name := range [...]string{"aud", "client_id", "exp", "iss", "scope", "sub"} {
		if claims.Lookup(members, name).Kind() == strictjson.Absent {
			absent = append(absent, name)
		}
	}
	return strings.Join(absent, " ")
}
