// Package snippets contains the code of the documentation that configures validation.
// Its tests run each snippet with a token that must be accepted and with tokens that
// must be refused.
package snippets
