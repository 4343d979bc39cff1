package connectauth

import (
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// form is the form in which a request wants an error.
type form int

const (
	plainForm  form = iota // of HTTP
	statusForm             // of gRPC and gRPC-Web: the status in the header
	unaryForm              // of Connect: a status of HTTP and JSON
	streamForm             // of Connect: a message that ends the stream
)

// formOf returns the form in which r wants an error, and its Content-Type without
// parameters.
func formOf(r *http.Request) (form, string) {
	switch r.Method {
	case http.MethodPost:
	case http.MethodGet:
		if r.URL != nil && isConnectQuery(r.URL.RawQuery) {
			return unaryForm, ""
		}
		return plainForm, ""
	default:
		return plainForm, ""
	}
	field := r.Header["Content-Type"]
	if len(field) != 1 {
		return plainForm, ""
	}
	kind, _, err := mime.ParseMediaType(field[0])
	if err != nil {
		return plainForm, ""
	}
	switch subtype, _ := strings.CutPrefix(kind, "application/"); {
	case subtype == "grpc", subtype == "grpc-web", subtype == "grpc-web-text",
		strings.HasPrefix(subtype, "grpc+"), strings.HasPrefix(subtype, "grpc-web+"), strings.HasPrefix(subtype, "grpc-web-text+"):
		return statusForm, kind
	case strings.HasPrefix(subtype, "connect+"):
		return streamForm, kind
	case subtype == "json", subtype == "proto", subtype != kind && len(r.Header["Connect-Protocol-Version"]) > 0:
		return unaryForm, kind
	default:
		return plainForm, ""
	}
}

// isConnectQuery reports whether query is that of a GET request of Connect: it names the
// encoding and has a message.
func isConnectQuery(query string) bool {
	if !strings.Contains(query, "encoding=") || !strings.Contains(query, "message=") {
		return false
	}
	values, err := url.ParseQuery(query)
	return err == nil && values.Has("encoding") && values.Has("message")
}
