package connectauth

import (
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// credentialFields are the fields that hold the caller's credentials. Programs that
// translate HTTP to gRPC pass Authorization on under the last name, too.
var credentialFields = []string{"Authorization", "Dpop", "Grpcgateway-Authorization", "Authorization-Bin", "Dpop-Bin"}

// removedFields returns the names of the fields that handlers do not get, and adds the
// faults of RemoveFields.
func removedFields(config *Config, faults fault.List) []string {
	var removed []string
	if !config.InsecureKeepCredentials {
		removed = slices.Clone(credentialFields)
	}
	for i, name := range config.RemoveFields {
		at := faults.Atf("RemoveFields[%d]", i)
		switch canonical := textproto.CanonicalMIMEHeaderKey(name); {
		case name == "" || strings.ContainsAny(name, " :\r\n"):
			at.Addf("give the name of a field, such as X-Api-Key", "%.64q is no name of a field", name)
		case config.InsecureKeepCredentials && slices.Contains(credentialFields, canonical):
			at.Addf("leave one out", "removes %s, and InsecureKeepCredentials keeps it", canonical)
		case isProtocolField(canonical):
			at.Addf("leave it out", "%s belongs to the protocol; handlers would misread the request", canonical)
		default:
			removed = append(removed, canonical)
		}
	}
	return removed
}

// isProtocolField reports whether Connect handlers read the field.
func isProtocolField(name string) bool {
	return slices.Contains([]string{"Content-Type", "Content-Encoding", "Accept-Encoding", "Content-Length", "Te", "Host"}, name) ||
		strings.HasPrefix(name, "Connect-") || strings.HasPrefix(name, "Grpc-")
}

// withoutCredentials returns header without the fields that handlers do not get. It does
// not change header, which handlers in front of the Gate may read later. The result is
// always a copy, because Connect handlers write to it.
func (g *Gate) withoutCredentials(header http.Header) http.Header {
	header = maps.Clone(header)
	for _, name := range g.removed {
		delete(header, name)
	}
	return header
}
