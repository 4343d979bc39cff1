package gatewayauth

import (
	"context"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/metadata"
)

// Keys of credentials in the metadata of a call.
const (
	keyAuthorization = "authorization"
	keyDPoP          = "dpop"
)

// Annotate returns the Authorization and DPoP fields of r as metadata, each value
// once, for runtime.WithMetadata. It is the only source of these keys: what a
// client sends in fields such as Grpc-Metadata-Authorization is not forwarded.
// Characters that metadata cannot hold become quotes, which are not allowed in a token
// either, so that the server refuses such credentials and does not take the call for
// anonymous.
//
// Another annotator that returns one of these keys adds a second value, and the server
// refuses the call. If the client sent none, the annotator's value is the only one. In a gateway without Annotate, the value of a single annotator
// replaces the field that the client sent.
func (g *Gateway) Annotate(_ context.Context, r *http.Request) metadata.MD {
	md := metadata.MD{}
	for _, value := range r.Header["Authorization"] {
		md.Append(keyAuthorization, printable(value))
	}
	for _, value := range r.Header["Dpop"] {
		md.Append(keyDPoP, printable(value))
	}
	return md
}

// printable returns value with a quote for every byte that is not printable ASCII.
func printable(value string) string {
	bytes := []byte(value)
	for i, c := range bytes {
		if c < ' ' || c > '~' {
			bytes[i] = '"'
		}
	}
	return string(bytes)
}

// MatchHeader returns what Config.MatchHeader does, for
// runtime.WithIncomingHeaderMatcher, and false if that is a key of credentials.
func (g *Gateway) MatchHeader(field string) (key string, forward bool) {
	match := g.made().config.MatchHeader
	if match == nil {
		match = runtime.DefaultHeaderMatcher
	}
	key, forward = match(field)
	switch strings.ToLower(key) {
	case keyAuthorization, keyDPoP, runtime.MetadataPrefix + keyAuthorization, runtime.MetadataPrefix + keyDPoP:
		return "", false
	default:
		return key, forward
	}
}
