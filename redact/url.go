package redact

import (
	"net/url"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/secretnames"
)

// hiddenUser stands for the user information of a URL.
const hiddenUser = "redacted"

// URL returns u as text without user information, and with a mark in place of the values of
// parameters for credentials in the query and the fragment: access_token, token,
// logout_token, code and the like (RFC 6750 §5.3). It returns "" for nil.
func URL(u *url.URL) string {
	if u == nil {
		return ""
	}
	plain := *u
	if plain.User != nil {
		plain.User = url.User(hiddenUser)
	}
	plain.RawQuery = parameters(plain.RawQuery)
	fragment := parameters(plain.EscapedFragment())
	plain.Fragment, plain.RawFragment = "", ""
	text := plain.String()
	if fragment != "" {
		text += "#" + fragment
	}
	return Text(text)
}

// parameters redacts the values of a query.
func parameters(query string) string {
	parts := strings.FieldsFunc(query, func(c rune) bool { return c == '&' || c == ';' })
	for i, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil && secretnames.IsParameter(plain) && value != "" {
			parts[i] = name + "=" + mark
		}
	}
	return strings.Join(parts, "&")
}
