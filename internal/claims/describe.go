package claims

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/jose"
)

// Unreadable returns what a cause says about v, the claim called name, which one of the
// readers refused with err. Only dates and scopes are shown.
func Unreadable(err error, name string, v strictjson.Value) cause.Details {
	d := cause.Details{Found: name + ", which is " + v.Kind().String()}
	kind, _ := errors.AsType[Error](err)
	switch kind {
	case ErrDate:
		d.Wanted = "a number from 0 to 2^53"
		if v.Kind() == strictjson.Number {
			d.Found = name + " " + cause.Quote(v.Raw())
		}
	case ErrScope:
		d.Wanted = "scopes with single spaces between them"
		if text, ok := v.Text(); ok {
			d.Found = name + " " + cause.Quote(text)
		} else if wrong := wrongScope(v); wrong != "" {
			d.Found, d.Wanted = name+" with "+wrong, "scope tokens (RFC 6749 §3.3)"
		}
	case ErrControl:
		d.Found, d.Wanted = name+" with a control character", "text without control characters"
	case ErrAudienceType:
		d.Wanted = "a string or an array of strings"
	case ErrObject:
		d.Wanted = "an object"
	default:
		d.Wanted = "a string that is not empty"
		if wrong := wrongElement(v); wrong != "" {
			d.Found, d.Wanted = name+" with "+wrong, "strings that are not empty"
		} else if v.Kind() == strictjson.String {
			d.Found = name + ", which is empty"
		}
	}
	return d
}

// Exceeded returns what a cause says about claims that exceed limits, or an answer about a
// token that does. err is that of strictjson.
func Exceeded(err error, limits strictjson.Limits) cause.Details {
	if errors.Is(err, strictjson.ErrDepth) {
		return cause.Details{
			Found: fmt.Sprintf("claims nested deeper than %d levels", limits.Depth), Wanted: fmt.Sprintf("at most %d", limits.Depth),
			Mend: "let the issuer leave claims out, or raise Config.MaxTokenDepth",
		}
	}
	return cause.Details{
		Found: fmt.Sprintf("more than %d members in all objects of the claims together", limits.Members), Wanted: fmt.Sprintf("at most %d", limits.Members),
		Mend: "let the issuer leave claims out, such as the roles of other clients, or raise Config.MaxTokenMembers",
	}
}

// wrongScope returns the first element of v that is no scope token, or "" if there is none
// or v is no array.
func wrongScope(v strictjson.Value) string {
	index := 0
	for element := range v.Elements() {
		switch text, ok := element.Text(); {
		case !ok:
			return fmt.Sprintf("%s as element %d", element.Kind(), index)
		case !IsScopeToken(text):
			return fmt.Sprintf("%s as element %d", cause.Quote(text), index)
		}
		index++
	}
	return ""
}

// wrongElement returns the type of the first element of v that is no identifier, or "" if
// there is none or v is no array.
func wrongElement(v strictjson.Value) string {
	index := 0
	for element := range v.Elements() {
		if _, err := Text(element); err != nil {
			if element.Kind() == strictjson.String {
				return fmt.Sprintf("an empty string as element %d", index)
			}
			return fmt.Sprintf("%s as element %d", element.Kind(), index)
		}
		index++
	}
	return ""
}

// Passed returns what a cause says about an expiry that lies before now by more than the
// leeway.
func (l Leeway) Passed(now, expiry time.Time) cause.Details {
	return cause.Details{
		Found:  fmt.Sprintf("exp %d, %s", expiry.Unix(), ago(now.Sub(expiry))),
		Wanted: fmt.Sprintf("at most %s ago", cause.Seconds(l.Expiry)),
		Mend:   "let the client get a new token; if it is new, compare the clock of this host with that of the issuer",
	}
}

// ago says how long ago something was, or how far ahead it lies.
func ago(d time.Duration) string {
	if d < 0 {
		return cause.Seconds(-max(d, -math.MaxInt64)) + " ahead"
	}
	return cause.Seconds(d) + " ago"
}

// TooEarly returns what a cause says about the claim called name, whose time lies ahead
// by more than the leeway.
func (l Leeway) TooEarly(now, instant time.Time, name string) cause.Details {
	return cause.Details{
		Found:  fmt.Sprintf("%s %d, %s", name, instant.Unix(), ago(now.Sub(instant))),
		Wanted: fmt.Sprintf("at most %s ahead", cause.Seconds(l.Future)),
		Mend:   "compare the clock of this host with that of the issuer",
	}
}

// DescribeType returns the header's typ as a cause shows it.
func DescribeType(header jose.Header) string {
	switch typ, ok := header.Type(); {
	case ok:
		return "typ " + cause.Quote(typ)
	case header.HasType():
		return "typ, which is no string"
	default:
		return "no typ"
	}
}

// DescribeAlgorithm returns the header's alg as a cause shows it.
func DescribeAlgorithm(header jose.Header) string {
	if name, ok := header.AlgorithmName(); ok {
		return "alg " + cause.Quote(name)
	}
	return "no alg that is a string"
}

// DescribeAlgorithms returns a list of algorithms as a cause shows it.
func DescribeAlgorithms(list []jose.Algorithm) string {
	names := make([]string, len(list))
	for i, a := range list {
		names[i] = a.String()
	}
	return strings.Join(names, " ")
}

// KnownNames are the names of members that a cause may show: those of registered claims.
var KnownNames = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "auth_time", "nonce", "acr", "amr", "act", "cnf", "azp", "sid", "events",
	"scope", "scp", "client_id", "active", "username", "token_type", "typ", "roles", "groups", "permissions", "entitlements",
}

// DescribeAudience returns aud as a cause shows it.
func DescribeAudience(v strictjson.Value) string {
	if v.Kind() == strictjson.Absent {
		return "no aud"
	}
	return "aud " + cause.Quotes(Each(v))
}

// DescribeText returns the claim called name as a cause shows it, which must be one of
// the fields that causes show.
func DescribeText(name string, v strictjson.Value) string {
	text, ok := v.Text()
	switch {
	case ok:
		return name + " " + cause.Quote(text)
	case v.Kind() == strictjson.Absent:
		return "no " + name
	default:
		return name + ", which is " + v.Kind().String()
	}
}

// replicatedNames are the claims that a header may repeat.
var replicatedNames = [...]string{"iss", "sub", "aud"}

// DescribeReplica returns which claim [CheckReplicated] refuses.
func DescribeReplica(header jose.Header, members []strictjson.Member) cause.Details {
	issuer, subject, audience := header.ReplicatedClaims()
	for i, raw := range [...]string{issuer, subject, audience} {
		if v := Lookup(members, replicatedNames[i]); raw != "" && v.Raw() != raw {
			found := "another " + replicatedNames[i] + " in the header than in the claims"
			if v.Kind() == strictjson.Absent {
				found = replicatedNames[i] + " in the header and not in the claims"
			}
			return cause.Details{Found: found, Wanted: "the same text in both"}
		}
	}
	return cause.Details{}
}
