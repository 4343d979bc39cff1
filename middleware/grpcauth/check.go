package grpcauth

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Keys of metadata.
const (
	keyAuthorization = "authorization"
	keyProof         = "dpop"
	keyAuthority     = ":authority"
	binarySuffix     = "-bin"
)

// errBinary is the refusal of credentials in a key whose values are binary.
var errBinary = validator.Refuse(validator.MalformedRequest,
	errors.New("grpcauth: credentials in a binary key; send the token as text in the key authorization"))

// checked is a call that the gate has decided on.
type checked struct {
	method       *method
	presentation validator.Presentation
	operation    scopes.Operation
	verdict      middleware.Verdict
	denial       *middleware.Denial // nil if the call may pass
}

// check decides on a call, and writes to c. message is that of a unary call, and nil for a
// stream.
func (g *Gate) check(ctx context.Context, fullMethod string, message any, c *checked) {
	fullMethod = received(ctx, fullMethod)
	c.method = g.find(fullMethod)
	c.operation = g.operation(c.method, fullMethod, message)
	if !c.method.public {
		if err := g.present(ctx, fullMethod, &c.presentation); err != nil {
			c.denial = c.method.route.Refuse(ctx, err)
			return
		}
	}
	c.verdict = c.method.route.Check(ctx, c.presentation, c.operation)
	c.denial = c.verdict.Denial()
}

// received returns the full method as the client sent it. The one that generated code
// gives to unary interceptors is a constant, which differs if a service was registered
// under another name.
func received(ctx context.Context, fullMethod string) string {
	if stream := grpc.ServerTransportStreamFromContext(ctx); stream != nil {
		return stream.Method()
	}
	return fullMethod
}

// present reads what the caller presents.
func (g *Gate) present(ctx context.Context, fullMethod string, p *validator.Presentation) (err error) {
	md := g.incoming(ctx)
	var authorization, proofs []string
	for key, values := range md {
		switch { // by length first: most keys are others
		case len(key) == len(keyAuthorization) && strings.EqualFold(key, keyAuthorization):
			authorization = joined(authorization, values)
		case len(key) == len(keyProof) && strings.EqualFold(key, keyProof):
			proofs = joined(proofs, values)
		case len(key) == len(keyAuthorization+binarySuffix) && strings.EqualFold(key, keyAuthorization+binarySuffix),
			len(key) == len(keyProof+binarySuffix) && strings.EqualFold(key, keyProof+binarySuffix):
			return errBinary
		}
	}
	if *p, err = middleware.Credentials(authorization, proofs); err != nil {
		return err
	}
	from, _ := peer.FromContext(ctx)
	if from != nil && from.AuthInfo != nil {
		p.Certificate = verified(from)
	}
	if p.Scheme == validator.DPoP && g != nil { // without a gate, the call is refused in any case
		return g.locate(p, md, from, fullMethod)
	}
	return nil
}

// joined returns all values of a key that is there in several spellings, which only
// transports other than HTTP/2 can send. It is never nil.
func joined(before, values []string) []string {
	if before == nil && len(values) > 0 {
		return values
	}
	return append(append([]string{}, before...), values...)
}

// tlsOf returns the state of the TLS connection of a peer. ok is false if there is none.
func tlsOf(from *peer.Peer) (info credentials.TLSInfo, ok bool) {
	if from == nil {
		return info, false
	}
	info, ok = from.AuthInfo.(credentials.TLSInfo)
	return info, ok
}

// verified returns the certificate of the client, or nil if TLS verified none. It is not
// inlined, because its large variables would be on the stack of each call.
//
//go:noinline
func verified(from *peer.Peer) *x509.Certificate {
	info, _ := tlsOf(from)
	if len(info.State.VerifiedChains) == 0 || len(info.State.PeerCertificates) == 0 {
		return nil
	}
	return info.State.PeerCertificates[0]
}

// locate adds what a proof is for (RFC 9449 §4.2) to p: every call of gRPC is a POST of
// the full method.
func (g *Gate) locate(p *validator.Presentation, md metadata.MD, from *peer.Peer, fullMethod string) error {
	r := &http.Request{Method: http.MethodPost, Header: make(http.Header, len(md))}
	for key, values := range md {
		if key == keyAuthority && len(values) == 1 {
			r.Host = values[0]
		} else if !strings.HasPrefix(key, ":") {
			r.Header[http.CanonicalHeaderKey(key)] = values
		}
	}
	if from != nil && from.Addr != nil {
		r.RemoteAddr = from.Addr.String()
	}
	if info, ok := tlsOf(from); ok {
		r.TLS = &info.State
	}
	arrival, err := g.guard.Arrival(r)
	if err != nil {
		return err
	}
	p.Method, p.URL = http.MethodPost, &url.URL{Scheme: arrival.Scheme, Host: arrival.Host, Path: fullMethod}
	return nil
}
