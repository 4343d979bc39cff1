package issuerkeys_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/jose"
)

// mediaTypes are Content-Type fields with which real issuers serve key sets.
var mediaTypes = map[string]http.Header{
	"JSON":                 typed("application/json"),
	"JSON with a charset":  typed("application/json; charset=utf-8"),
	"a key set":            typed("application/jwk-set+json"),
	"other structured":     typed("application/vnd.example+json"),
	"plain text":           typed("text/plain; charset=utf-8"),
	"bytes":                typed("application/octet-stream"),
	"binary":               typed("binary/octet-stream"),
	"JSON as text":         typed("text/json"),
	"JavaScript":           typed("application/javascript"),
	"HTML":                 typed("text/html; charset=utf-8"),
	"unreadable":           typed("/;;"),
	"empty":                typed(""),
	"none":                 {"Content-Type": nil},
	"two":                  {"Content-Type": {"text/plain", "application/json"}},
	"with bad parameters":  typed(`application/json; charset="`),
	"in capitals":          typed("APPLICATION/JSON"),
	"longer than is shown": typed("text/" + strings.Repeat("x", 200)),
}

// jsonTypes are those of mediaTypes that say that the document is JSON.
var jsonTypes = []string{"JSON", "JSON with a charset", "a key set", "other structured", "with bad parameters", "in capitals"}

// typedSite returns a site that answers with body and a Content-Type.
func typedSite(body string, header http.Header) *site {
	s := new(site)
	s.answersBy(func(*http.Request) *http.Response {
		response := reply(200, body)
		response.Header["Content-Type"] = header["Content-Type"]
		return response
	})
	return s
}

// TestMediaTypes covers R-JK-04: what is a JWK Set is used, whatever its Content-Type, also
// with white space and a byte order mark around it. What is none is told with its type.
func TestMediaTypes(t *testing.T) {
	for name, header := range mediaTypes {
		synctest.Test(t, func(t *testing.T) {
			set := setOf(jwk(t, "a"))
			for what, body := range map[string]string{"as it is": set, "with a newline": "\r\n\t " + set + "\n", "with a byte order mark": "\ufeff" + set} {
				s := typedSite(body, header)
				keys := openSite(t, s)
				must(t, keys.Warm(t.Context()))
				wants(t, name+", "+what, find(t, keys, "a"), nil)
			}
			err := openSite(t, typedSite("<!doctype html><title>Sign in</title>", header)).Warm(t.Context())
			if !errors.Is(err, jose.ErrNotJWKS) || !strings.Contains(err.Error(), "found HTML or XML (37 bytes)") || strings.Contains(err.Error(), "Sign in") {
				t.Errorf("%s: %v", name, err)
			}
			want := map[string]string{"HTML": "is not JSON but text/html: ", "none": "is not JSON but absent or unreadable: ", "bytes": "is not JSON but application/octet-stream: "}[name]
			if isJSON := slices.Contains(jsonTypes, name); !strings.Contains(err.Error(), want) || errors.Is(err, fetch.ErrNotJSON) == isJSON {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		})
	}
}
