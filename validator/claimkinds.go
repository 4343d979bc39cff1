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
var jsonTypesOf = map[string]jsonTypes{
	// RFC 7519 §4.1, RFC 8693 §4, RFC 7800 §3.1, RFC 8417 §2.2, RFC 9396 §9.1, RFC 7662 §2.2.
	"iss": aString, "sub": aString, "jti": aString, "aud": aString | anArray, "exp": aNumber, "nbf": aNumber, "iat": aNumber,
	"client_id": aString, "scope": aString | anArray, "act": anObject, "may_act": anObject, "cnf": anObject, "events": anObject,
	"authorization_details": someObjects, "active": aBoolean, "username": aString, "token_type": aString,
	// OpenID Connect Core §2, §3 and §5.1, Session Management and Front-Channel Logout. AD FS
	// and Auth0 write times as strings, Amazon Cognito booleans.
	"azp": aString, "acr": aString, "amr": aString | anArray | someObjects, "nonce": aString, "at_hash": aString, "c_hash": aString, "s_hash": aString,
	"auth_time": aNumber | aString, "updated_at": aNumber | aString, "email_verified": aBoolean | aString, "phone_number_verified": aBoolean | aString,
	"name": aString, "given_name": aString, "family_name": aString, "preferred_username": aString, "email": aString, "sub_jwk": anObject,
	"sid": aString, "session_state": aString, "_claim_names": anObject, "_claim_sources": anObject,
	// Large providers.
	"typ": aString, "token_use": aString, "cid": aString, "uid": aString | anArray | aNumber, "gty": aString | anArray, "ver": aString | aNumber,
	"appid": aString, "appidacr": aString, "azpacr": aString, "idtyp": aString, "tid": aString, "oid": aString, "scp": aString | anArray,
	"permissions": aString | anArray, "realm_access": anObject, "resource_access": anObject, "cognito:groups": anArray, "sub_profile": aString,
	"session_id": aString, "is_anonymous": aBoolean, "app_metadata": anObject, "user_metadata": anObject,
	"kubernetes.io": anObject, "firebase": anObject,
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
