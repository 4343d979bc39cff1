package introspection

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
)

const (
	signedType = "token-introspection+jwt" // typ, and the media type below application/ (RFC 9701 §5)
	signedJSON = "application/" + signedType
	otherJWT   = "application/jwt"

	// signedSkew is how far iat may differ from the time here, either way.
	signedSkew = time.Minute
)

var (
	errUnsigned = errors.New("the answer is unsigned, and Client.Signed refuses it: register this API for signed answers at the server (introspection_signed_response_alg, RFC 9701 §6)")
	errOlderJWT = errors.New("the answer is " + otherJWT + ", which is not RFC 9701: it demands " + signedJSON)
	errSealed   = errors.New("the answer is encrypted, which is not supported: register this API without introspection_encrypted_response_alg")
	errNoInner  = errors.New("the signed answer has no object token_introspection (RFC 9701 §5)")
)

// signedAnswers verifies signed answers.
type signedAnswers struct {
	jwt claims.JWT
}

// keysError is an error of Binding.AnswerKeys that says nothing about the answer.
type keysError struct{ err error }

func (e *keysError) Error() string { return e.err.Error() }
func (e *keysError) Unwrap() error { return e.err }

// newSignedAnswers returns the verifier of the answers of b.Issuer to one of audiences.
func newSignedAnswers(b Binding, audiences []string) *signedAnswers {
	s := &signedAnswers{jwt: claims.JWT{
		Type: signedType, Issuer: b.Issuer, Audiences: audiences, Algorithms: b.Algorithms,
		Leeway: claims.Leeway{Expiry: signedSkew, Future: signedSkew}, NoExpiry: true, MaxAge: signedSkew, Limits: b.Limits,
	}}
	if b.AnswerKeys != nil {
		s.jwt.Keys = func(ctx context.Context, header jose.Header) ([]*jose.Key, error) {
			keys, err := b.AnswerKeys(ctx, header)
			if err == nil || errors.Is(err, jose.ErrUnknownKey) || errors.Is(err, jose.ErrAlgorithm) {
				return keys, err
			}
			return nil, &keysError{err}
		}
	}
	return s
}

// read verifies a signed answer and returns what its token_introspection says. Nothing
// else in it counts (RFC 9701 §5). The kind is that of the error.
func (s *signedAnswers) read(ctx context.Context, d *fetch.Document) (Answer, introspect.Kind, error) {
	if d.MediaType != signedJSON {
		err := errUnsigned
		if d.MediaType == otherJWT {
			err = errOlderJWT
		}
		return Answer{}, introspect.UntrustedAnswer, err
	}
	token := string(d.Body)
	if strings.Count(token, ".") == 4 { //nolint:mnd // a compact JWE has five segments (RFC 7516 §7.1)
		return Answer{}, introspect.UntrustedAnswer, errSealed
	}
	verified, err := s.jwt.Verify(ctx, token)
	if keys, ok := errors.AsType[*keysError](err); ok {
		return Answer{}, introspect.AnswerKeysMissing, fmt.Errorf("the keys of signed answers cannot be had: %w", keys)
	}
	if err != nil {
		return Answer{}, introspect.UntrustedAnswer, fmt.Errorf("the signed answer is not trusted: %w", cause.Settled(err))
	}
	inner := claims.Lookup(verified.Members, "token_introspection")
	if inner.Kind() != strictjson.Object {
		return Answer{}, introspect.UntrustedAnswer, errNoInner
	}
	answer, err := readAnswer(strings.Clone(inner.Raw()), s.jwt.Limits) // a copy, so that the rest of the JWT is freed
	if err != nil {
		return Answer{}, introspect.UntrustedAnswer, err
	}
	return answer, "", nil
}
