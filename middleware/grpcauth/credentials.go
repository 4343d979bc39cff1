package grpcauth

import (
	"context"
	"errors"

	"golang.org/x/oauth2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/sallyport-auth/sallyport/internal/hook"
)

// Credentials returns credentials of a client that send the tokens of source with every
// call, for examples, tests and simple clients. They are never sent over a connection
// without TLS: a client that is configured so cannot be made.
//
// If source has no token, the call fails with Unavailable, which retry policies may retry:
// the token endpoint cannot be reached, or answers with 5xx or 429. It fails with Unauthenticated
// if the endpoint refuses, or gives a token of another type than Bearer. The error has
// neither the answer of the endpoint nor the token. source should keep its token, as
// that of [oauth2.ReuseTokenSource] does; it is asked for every call, and its time limit is
// its own.
func Credentials(source oauth2.TokenSource) credentials.PerRPCCredentials {
	return &tokenCredentials{source: source}
}

type tokenCredentials struct{ source oauth2.TokenSource }

// RequireTransportSecurity makes grpc refuse connections without TLS.
func (c *tokenCredentials) RequireTransportSecurity() bool { return true }

// Errors of a client without a token. Their texts are constant.
var (
	errNoConfidentiality = status.Error(codes.Unauthenticated, "grpcauth: the connection is not encrypted, so no token is sent")
	errTokenRefused      = status.Error(codes.Unauthenticated, "grpcauth: the authorization server gave no token")
	errTokenType         = status.Error(codes.Unauthenticated, "grpcauth: the authorization server gave a token that is not a bearer token")
	errTokenUnavailable  = status.Error(codes.Unavailable, "grpcauth: the authorization server could not be asked for a token")
)

// GetRequestMetadata returns the metadata with the token.
func (c *tokenCredentials) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	info, _ := credentials.RequestInfoFromContext(ctx)
	if err := credentials.CheckSecurityLevel(info.AuthInfo, credentials.PrivacyAndIntegrity); err != nil {
		return nil, errNoConfidentiality
	}
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	return map[string]string{keyAuthorization: "Bearer " + token.AccessToken}, nil
}

// token returns a bearer token of the source. A source that panics is like one that
// cannot be reached.
func (c *tokenCredentials) token() (token *oauth2.Token, err error) {
	defer func() {
		if recover() != nil {
			token, err = nil, errTokenUnavailable
		}
	}()
	if c.source == nil {
		return nil, errTokenRefused
	}
	token, err = c.source.Token()
	switch {
	case err != nil:
		return nil, tokenError(hook.CheckError(err))
	case token == nil || token.AccessToken == "":
		return nil, errTokenRefused
	case token.Type() != "Bearer":
		return nil, errTokenType
	default:
		return token, nil
	}
}

// tokenError returns the error of a call for which the source had no token.
func tokenError(err error) error {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok || refused.Response == nil {
		return errTokenUnavailable
	}
	const tooManyRequests, firstServerError = 429, 500
	if code := refused.Response.StatusCode; code == tooManyRequests || code >= firstServerError {
		return errTokenUnavailable
	}
	return errTokenRefused
}
