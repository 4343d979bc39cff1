package fetch

import (
	"fmt"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxTagBytes bounds an entity tag, which the server chose and we repeat.
const maxTagBytes = 256

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

// checkFields reports whether a document comes as JSON, and as it is.
func checkFields(header http.Header) error {
	types := header.Values("Content-Type")
	if len(types) != 1 || !isJSON(types[0]) {
		return fmt.Errorf("%w: it is %.100q", ErrMediaType, strings.Join(types, ", "))
	}
	for _, field := range header.Values("Content-Encoding") {
		for coding := range strings.SplitSeq(field, ",") {
			if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "identity") {
				return fmt.Errorf("%w: it is %.100q", ErrEncoding, coding)
			}
		}
	}
	return nil
}

// isJSON reports whether field is a media type of JSON, whatever its parameters.
func isJSON(field string) bool {
	field, _, _ = strings.Cut(field, ";")
	mediaType, _, _ := mime.ParseMediaType(field) // empty if it is none
	subtype, ok := strings.CutPrefix(mediaType, "application/")
	name, structured := strings.CutSuffix(subtype, "+json")
	return ok && (subtype == "json" || structured && name != "")
}

// retryAfter reads the Retry-After field (RFC 9110 §10.2.3).
func retryAfter(header http.Header) time.Duration {
	field := header.Get("Retry-After")
	if strings.Trim(field, "0123456789") == "" {
		seconds, _ := strconv.ParseInt(field, 10, 64) // 0 of nothing, and the largest number of what is larger
		return time.Duration(min(seconds, math.MaxInt64/int64(time.Second))) * time.Second
	}
	date, _ := http.ParseTime(field) // the zero time, which is past, if it is none
	return max(0, time.Until(date))
}
