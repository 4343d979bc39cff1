// Package issuertest gives a test an issuer, a Validator that accepts its tokens, and
// a Guard:
//
//	is := issuertest.New(t)
//	v := is.Validator(t)
//	guard := is.Guard(t, middleware.Config{})
//	good, bad := is.Token(nil), is.Token(issuertest.Claims{"aud": "https://other.test"})
//
// [New] opens no socket, so it also works in a testing/synctest bubble. The Validator
// has a copy of the keys and fetches nothing; [Issuer.Fetched] makes it fetch them.
// Every other difference is a change of the [validator.Issuer]:
//
//	v := is.Validator(t, is.Fetched, func(c *validator.Issuer) { c.Grants = []string{"read"} })
//
// [Issuer.OpaqueConfig] and [Issuer.HybridConfig] are configurations for introspection,
// and [Issuer.OpaqueToken] and [Issuer.OpaqueBearer] return opaque tokens.
//
// [Validator] and [Guard] take a whole configuration, for several issuers or a
// Trace. Both fail the test if the configuration has faults, so a test of faults
// calls validator.New or middleware.New itself.
//
// Tests inside packages validator and middleware cannot import this package. They use
// testissuer, or internal/testkey, which signs any text.
package issuertest
