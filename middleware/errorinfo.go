package middleware

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// ErrorDomain is the domain of the google.rpc.ErrorInfo of every [Denial].
const ErrorDomain = "github.com/sallyport-auth/sallyport"

// Keys of the metadata of an ErrorInfo.
const (
	metadataScope            = "scope"
	metadataACRValues        = "acrValues"
	metadataMaxAge           = "maxAge"
	metadataResourceMetadata = "resourceMetadata"
	metadataRealm            = "realm"
	metadataAllow            = "allow"
)

// errElsewhere is the cause of a Denial that ParseErrorInfo made.
var errElsewhere = errors.New("middleware: another program refused the request and does not say why")

// ErrorInfo returns d as the reason and metadata of a google.rpc.ErrorInfo, for
// transports that carry error details. The domain is [ErrorDomain]. The reason
// depends on the Class only; it is the OAuth error code in upper case where the
// Class has one, and EXPIRED_TOKEN for a token that expired. The metadata has the
// parameters of the challenge that the policy and the configuration determine, under
// the keys scope, acrValues, maxAge, resourceMetadata and realm, and for
// ClassMethodNotAllowed the methods under allow. It is nil if there are none.
//
// The result says what the HTTP answer says and no more; [ParseErrorInfo] is the way
// back. A change of d.Challenges does not show in it. The retry delay is RetryAfter.
func (d *Denial) ErrorInfo() (reason string, metadata map[string]string) {
	d = d.answerable()
	add := func(key, value string) {
		if value == "" {
			return
		}
		if metadata == nil {
			metadata = make(map[string]string)
		}
		metadata[key] = value
	}
	if d.params != nil {
		for _, param := range d.params.keyed() {
			add(param.key, *param.value)
		}
	}
	add(metadataAllow, d.allow)
	return d.Class.row().reason, metadata
}

// keyedParam is a parameter of a challenge with its key in the metadata of an
// ErrorInfo.
type keyedParam struct {
	key   string
	value *string
}

// keyed returns the parameters of p with their keys.
func (p *challengeParams) keyed() [5]keyedParam {
	return [...]keyedParam{
		{metadataScope, &p.scope},
		{metadataACRValues, &p.acrValues},
		{metadataMaxAge, &p.maxAge},
		{metadataResourceMetadata, &p.metadata},
		{metadataRealm, &p.realm},
	}
}

// ParseErrorInfo returns the Denial that another program sent as the reason and
// metadata of a google.rpc.ErrorInfo, such as a gRPC server behind a gateway. The
// caller has checked that the domain is [ErrorDomain]. Status, Challenges and the
// answer that ServeHTTP writes are those of the original, except for what the
// original's Guard configures of the body (Config.NoBody, Config.DenialBody) and of
// Access-Control-Expose-Headers. retryAfter is the delay of google.rpc.RetryInfo, or
// 0 if there is none. It is rounded and bounded as in [Denial], and counts for
// ClassUnavailable only.
//
// ok is false if the reason is none of [Denial.ErrorInfo], or if the metadata cannot
// be of such a Denial: a value is malformed, or the realm is missing where a
// challenge is needed. Unknown keys are ignored. The Denial has no Reason, because the
// original's does not leave the other program.
func ParseErrorInfo(reason string, metadata map[string]string, retryAfter time.Duration) (d *Denial, ok bool) {
	class, row := classOfErrorInfo(reason)
	if row == nil {
		return nil, false
	}
	d = &Denial{Class: class, Status: row.status, RetryAfter: row.retryAfter, cause: errElsewhere}
	if class == ClassUnavailable && retryAfter > 0 {
		d.RetryAfter = inSeconds(retryAfter)
	}
	if class == ClassMethodNotAllowed {
		if d.allow = metadata[metadataAllow]; !isPrintable(d.allow) {
			return nil, false
		}
	}
	if row.scheme == "" || class == ClassInvalidRequest && metadata[metadataRealm] == "" { // the path was ambiguous: there was no route to ask for a realm
		return d, true
	}
	var params challengeParams
	for _, param := range params.keyed() {
		*param.value = metadata[param.key]
	}
	if !params.valid() {
		return nil, false
	}
	d.challenge(newChallenge(row, params))
	return d, true
}

// classOfErrorInfo returns the Class with this reason of an ErrorInfo, or nil if there
// is none.
func classOfErrorInfo(reason string) (Class, *classRow) {
	for class, row := range classes {
		if row.reason == reason {
			return class, row
		}
	}
	return "", nil
}

// valid reports whether a Guard can have written p.
func (p *challengeParams) valid() bool {
	for _, param := range p.keyed() {
		if !isPrintable(*param.value) {
			return false
		}
	}
	if p.maxAge != "" {
		if _, err := strconv.ParseUint(p.maxAge, 10, 63); err != nil || strings.HasPrefix(p.maxAge, "0") {
			return false
		}
	}
	if p.metadata != "" {
		if _, ok := absolute(p.metadata); !ok {
			return false
		}
	}
	return p.realm != ""
}
