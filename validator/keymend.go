package validator

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"slices"
	"syscall"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/discovery"
	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/jose"
)

var (
	errNoUsableKey  = errors.New("the key set has no key that can be used")
	errForbidden    = errors.New("the key set has no key that can be used: it is empty, or its keys are forbidden")
	errNoFittingKey = errors.New("no key of the set is for an algorithm of Issuer.Algorithms")
)

// keyMend returns what an operator can do about keys that cannot be fetched or used.
func keyMend(err error, ignored []jose.IgnoredKey) string {
	for _, row := range keyMends {
		if !row.is(err) {
			continue
		}
		if mend := documentMend(err); mend != "" {
			return mend
		}
		return row.mend
	}
	switch {
	case len(ignored) > 0:
		return "see not_used for what is wrong with each key; an RSA key without alg is for the first RSA algorithm of Issuer.Algorithms"
	case errors.Is(err, errNoUsableKey):
		return "let the issuer publish its keys; if they are elsewhere, name that URL in Issuer.Keys (jwkscache.URL)"
	default:
		return "look at Issuer.URL and Issuer.Keys, and whether the issuer answers from this machine"
	}
}

// documentMend returns the mend that an error about a document has itself, or "".
func documentMend(err error) string {
	if c, ok := cause.Of(err); ok {
		return c.Details().Mend
	}
	return ""
}

// keyMends are the mends of which the first that fits counts. Several errors may be joined,
// one for each place where metadata was looked for: those that say most come first.
var keyMends = []struct {
	is   func(error) bool
	mend string
}{
	{is(errForbidden), "let the issuer publish a new key and sign with it: a forbidden key is never used, also if it is published"},
	{is(errNoFittingKey), "add the algorithm of the keys to Issuer.Algorithms, or let the issuer sign with one that is there"},
	{is(discovery.ErrOtherIssuer), "set Issuer.URL to the issuer of the metadata, byte for byte, if that is the issuer that is meant; if its metadata are elsewhere, name them in Issuer.MetadataURL"},
	{is(discovery.ErrDisagree), "let all documents name the same URL, or set Issuer.Keys to jwkscache.URL"},
	{is(discovery.ErrMissing), "if the issuer has no metadata with jwks_uri, set Issuer.Keys to jwkscache.URL; if they are elsewhere, name them in Issuer.MetadataURL"},
	{isAs[x509.UnknownAuthorityError], "set Issuer.HTTPClient to a client that trusts the private authority (tls.Config.RootCAs)"},
	{isRemoteError, "the server refused the handshake: if it wants a client certificate, give it one by Issuer.HTTPClient (tls.Config.Certificates)"},
	{isAs[*fetch.TLSError], "check that the URL names the host of the certificate, and the clock of this machine"},
	{is(fetch.ErrAddress), "name a host with an address that may be used: link-local and cloud metadata addresses are refused"},
	{isAs[*net.DNSError], "check the host in the URL, and whether this machine can resolve it"},
	{is(syscall.ECONNREFUSED), "check the port in the URL, and whether the issuer runs and may be reached from here"},
	{is(fetch.ErrRedirect), "redirects are not followed: name the URL itself, of the keys in Issuer.Keys (jwkscache.URL), of the metadata in Issuer.MetadataURL"},
	{is(fetch.ErrTooLarge), "if that is the key set, raise Issuer.KeyLimits.DocumentBytes; otherwise name the right URL in Issuer.Keys"},
	{is(fetch.ErrEncoding), "let the issuer answer without Content-Encoding, as it is asked to"},
	{is(fetch.ErrNotJSON), "that is no JSON, perhaps a page for people: check Issuer.URL and Issuer.MetadataURL, or set Issuer.Keys to jwkscache.URL"},
	{is(jose.ErrNotJWKS), "what is there is no JWK Set (RFC 7517 §5): name the URL of the key set in Issuer.Keys, which is jwks_uri of the metadata"},
	{hasStatus(http.StatusNotFound, http.StatusGone), "nothing is there: check Issuer.URL, or name the URL of the metadata in Issuer.MetadataURL, or that of the key set in Issuer.Keys (jwkscache.URL)"},
	{hasStatus(http.StatusUnauthorized, http.StatusForbidden), "metadata and keys are read without credentials: let the issuer, or what is in front of it, permit that, or add them in the transport of Issuer.HTTPClient"},
	{hasStatus(http.StatusTooManyRequests), "the issuer gets too many requests: it is asked again when it says so"},
	{isTimeout, "the issuer is too slow or cannot be reached: check the network from here; HTTPS_PROXY is not used unless Issuer.HTTPClient does"},
	{is(fetch.ErrStatus), "the issuer fails: it is asked again by itself; its own log says why"},
	{is(discovery.ErrDocument), "let the issuer mend its metadata, or check Issuer.URL and Issuer.MetadataURL, or set Issuer.Keys to jwkscache.URL"},
}

// is returns a function that reports whether an error is target.
func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func isAs[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// isRemoteError reports whether an error is a TLS alert that the server sent.
func isRemoteError(err error) bool {
	network, ok := errors.AsType[*net.OpError](err)
	return ok && network.Op == "remote error" && isAs[*fetch.TLSError](err)
}

// hasStatus returns a function that reports whether an error is an answer with one of these
// statuses.
func hasStatus(statuses ...int) func(error) bool {
	return func(err error) bool {
		answer, ok := errors.AsType[*fetch.StatusError](err)
		return ok && slices.Contains(statuses, answer.Code)
	}
}

func isTimeout(err error) bool {
	timed, ok := errors.AsType[net.Error](err)
	return ok && timed.Timeout() || errors.Is(err, context.DeadlineExceeded)
}
