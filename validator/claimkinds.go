package validator

import (
	"strings"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// jsonTypes is a set of types that a claim can have.
type jsonTypes uint8

const (
	aString jsonTypes = 1 << iota
	anArray           // of strings
	aBoolean
	anObject
	aNumber
	someObjects // an array of objects
)

// jsonTypeNames are the types in the order of their bits, as faults show them.
var jsonTypeNames = [...]string{"a string", "an array of strings", "a boolean", "an object", "a number", "an array of objects"}

// String returns the types, joined by or.
func (t jsonTypes) String() string {
	var all []string
	for i, name := range jsonTypeNames {
		if t&(1<<i) != 0 {
			all = append(all, name)
		}
	}
	return strings.Join(all, " or ")
}

// jsonTypesOf are the JSON types that a claim can have in a token or an answer that is
// accepted: those of a specification, and those that servers are known to send. A claim that
// is not listed can have any. Libraries of .NET write a list of one value as a string.
var jsonTypesOf = namesOf(map[jsonTypes]string{
	// RFC 7519 §4.1, RFC 8693 §4, RFC 7800 §3.1, RFC 8417 §2.2, RFC 9396 §9.1, RFC 7662 §2.2;
	// OpenID Connect Core §2, §3 and §5.1, Session Management and Front-Channel Logout; and
	// large providers.
	aString: "iss sub jti client_id username token_type " +
		"azp acr nonce at_hash c_hash s_hash sid session_state name given_name family_name preferred_username email " +
		"typ token_use cid appid appidacr azpacr idtyp tid oid sub_profile session_id",
	anArray:  "cognito:groups",
	aNumber:  "exp nbf iat",
	aBoolean: "active is_anonymous",
	anObject: "act may_act cnf address events sub_jwk _claim_names _claim_sources " +
		"realm_access resource_access app_metadata user_metadata kubernetes.io firebase",
	someObjects:                     "authorization_details",
	aString | anArray:               "aud scope scp gty permissions",
	aString | anArray | someObjects: "amr",                                  // Supabase Auth sends objects
	aString | anArray | aNumber:     "uid",                                  // of Okta, and of directories
	aString | aNumber:               "auth_time updated_at ver",             // AD FS and Auth0 send times as strings, Okta a number as ver
	aString | aBoolean:              "email_verified phone_number_verified", // Amazon Cognito sends strings
})

// namesOf returns the types of each name. names are separated by spaces.
func namesOf(names map[jsonTypes]string) map[string]jsonTypes {
	all := make(map[string]jsonTypes)
	for types, list := range names {
		for name := range strings.FieldsSeq(list) {
			all[name] |= types
		}
	}
	return all
}

// jsonType returns the type that the rule asks for, which exists.
func (t ClaimType) jsonType() jsonTypes { return 1 << t }

// checkType adds the fault of a rule that asks for a type which its claim never has.
func (r ClaimRule) checkType(f fault.List) {
	if !canHaveType(r.Name, r.Type) {
		f.At("Type").Addf("ask for the type that it has, or name another claim", "is %s, and the claim %q is %s in every token", r.Type.jsonType(), r.Name, jsonTypesOf[r.Name])
	}
}

// canHaveType reports whether the claim called name can have the type.
func canHaveType(name string, asked ClaimType) bool {
	has, listed := jsonTypesOf[name]
	return !listed || has&asked.jsonType() != 0
}
