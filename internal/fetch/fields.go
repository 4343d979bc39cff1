package fetch

import (
	"fmt"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Media types for [Request.MediaTypes].
const (
	JSON           = "application/json"
	StructuredJSON = "application/*+json" // RFC 6839 §3.1
	// AnyMediaType stands for every media type, and for none: the caller finds out by
	// reading what the document is.
	AnyMediaType = "*/*"
)

const (
	// maxTagBytes bounds an entity tag, which the server chooses and we send back.
	maxTagBytes = 256
	// maxMediaType bounds a media type in an error text.
	maxMediaType = 100
	// otherMediaType is what errors of private calls call a media type that they do
	// not name.
	otherMediaType = "another media type"
)

// commonMediaTypes are the media types that errors of private calls name besides
// those that the caller accepts. Any other one may be the token or the credentials
// of the request, which the server sends back.
var commonMediaTypes = []string{
	JSON, "application/problem+json", "application/jwt", "application/token-introspection+jwt", "application/jwk-set+json",
	"application/x-www-form-urlencoded", "application/xml", "application/octet-stream", "text/html", "text/plain", "text/xml",
}

// validTag reports whether tag is one entity tag (RFC 9110 §8.8.3) that may be
// sent back.
func validTag(tag string) bool {
	opaque := strings.TrimPrefix(tag, "W/")
	if len(tag) > maxTagBytes || len(opaque) < 2 || opaque[0] != '"' || opaque[len(opaque)-1] != '"' {
		return false
	}
	for _, c := range []byte(opaque[1 : len(opaque)-1]) {
		if c <= ' ' || c == '"' || c == 0x7f {
			return false
		}
	}
	return true
}

// checkFields returns the media type of a document, or "" if it cannot be read. It must be
// an accepted one, and the document must not be encoded.
func (c call) checkFields(header http.Header) (string, error) {
	found, accepted := mediaType(header), c.request.MediaTypes
	if !slices.Contains(accepted, AnyMediaType) && !isAccepted(found, accepted) {
		return "", fmt.Errorf("%w: it is %s; serve the document as %s",
			ErrMediaType, orUnknown(c.nameable(found), "absent, unreadable or given twice"), strings.Join(accepted, " or "))
	}
	for _, field := range header.Values("Content-Encoding") {
		for coding := range strings.SplitSeq(field, ",") {
			if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "identity") {
				return "", ErrEncoding
			}
		}
	}
	return found, nil
}

// mediaType returns the media type of the Content-Type field in lower case and
// without parameters. It returns "" if there is not exactly one that can be read
// and is short enough for an error text.
func mediaType(header http.Header) string {
	types := header.Values("Content-Type")
	if len(types) != 1 {
		return ""
	}
	field, _, _ := strings.Cut(types[0], ";")
	found, _, _ := mime.ParseMediaType(field) // empty if there is none
	if len(found) > maxMediaType {
		return ""
	}
	return found
}

// nameable returns found, or [otherMediaType] if an error of c must not name it.
func (c call) nameable(found string) string {
	if found == "" || !c.private || slices.Contains(commonMediaTypes, found) || slices.Contains(c.request.MediaTypes, found) {
		return found
	}
	return otherMediaType
}

// isAccepted reports whether found is one of accepted. A * in an accepted media
// type stands for one character or more.
func isAccepted(found string, accepted []string) bool {
	for _, pattern := range accepted {
		before, after, wild := strings.Cut(strings.ToLower(pattern), "*")
		if !wild && found == before && found != "" {
			return true
		}
		if wild && len(found) > len(before)+len(after) && strings.HasPrefix(found, before) && strings.HasSuffix(found, after) {
			return true
		}
	}
	return false
}

// retryAfter reads the Retry-After field (RFC 9110 §10.2.3).
func retryAfter(header http.Header) time.Duration {
	field := header.Get("Retry-After")
	if strings.Trim(field, "0123456789") == "" {
		seconds, _ := strconv.ParseInt(field, 10, 64) // 0 if empty, the largest number if too large
		return time.Duration(min(seconds, math.MaxInt64/int64(time.Second))) * time.Second
	}
	date, _ := http.ParseTime(field) // the zero time, which is past, if it is not a date
	return max(0, time.Until(date))
}
