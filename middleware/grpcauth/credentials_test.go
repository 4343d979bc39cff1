package grpcauth_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
)

// sourceFunc is a token source.
type sourceFunc func() (*oauth2.Token, error)

func (f sourceFunc) Token() (*oauth2.Token, error) { return f() }

// secretCanary is a text that no error may have.
const secretCanary = "canary-eyJhbGciOi"

// TestCredentials covers A16 of the situations: what a client gets if its token source
// fails, without the answer of the token endpoint.
func TestCredentials(t *testing.T) {
	certificate, _ := certificates(t)
	a := start(t, setup{before: []grpc.ServerOption{grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}))}, dial: trusting(certificate)})
	endpoint := func(status int, body string, delay time.Duration) oauth2.TokenSource {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(delay):
			case <-r.Context().Done():
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(server.Close)
		config := clientcredentials.Config{ClientID: "c", ClientSecret: "s", TokenURL: server.URL, AuthStyle: oauth2.AuthStyleInHeader}
		return config.TokenSource(context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Timeout: 200 * time.Millisecond}))
	}
	good := strings.TrimPrefix(a.bearer("read"), "Bearer ")
	down := clientcredentials.Config{ClientID: "c", TokenURL: "http://127.0.0.1:1/token?" + secretCanary}
	fixed := func(token *oauth2.Token, err error) oauth2.TokenSource {
		return sourceFunc(func() (*oauth2.Token, error) { return token, err })
	}
	for name, row := range map[string]struct {
		source oauth2.TokenSource
		code   codes.Code
	}{
		"a good token":     {fixed(&oauth2.Token{AccessToken: good}, nil), codes.OK},
		"a bearer token":   {endpoint(200, `{"access_token":"`+good+`","token_type":"bearer"}`, 0), codes.OK},
		"down":             {down.TokenSource(t.Context()), codes.Unavailable},
		"slow":             {endpoint(200, `{}`, time.Second), codes.Unavailable},
		"500":              {endpoint(500, secretCanary, 0), codes.Unavailable},
		"429":              {endpoint(429, secretCanary, 0), codes.Unavailable},
		"400":              {endpoint(400, `{"error":"invalid_grant","error_description":"`+secretCanary+`"}`, 0), codes.Unauthenticated},
		"400 without JSON": {endpoint(400, secretCanary, 0), codes.Unauthenticated},
		"401":              {endpoint(401, `{"error":"`+secretCanary+`"}`, 0), codes.Unauthenticated},
		"another error":    {fixed(nil, errors.New(secretCanary)), codes.Unavailable},
		"a status":         {fixed(nil, status.Error(codes.OK, secretCanary)), codes.Unauthenticated},
		"nothing":          {fixed(nil, nil), codes.Unauthenticated},
		"no token":         {fixed(&oauth2.Token{}, nil), codes.Unauthenticated},
		"DPoP":             {fixed(&oauth2.Token{AccessToken: good, TokenType: "DPoP"}, nil), codes.Unauthenticated},
		"MAC":              {fixed(&oauth2.Token{AccessToken: good, TokenType: "MAC"}, nil), codes.Unauthenticated},
		"no source":        {nil, codes.Unauthenticated},
		"panics":           {sourceFunc(func() (*oauth2.Token, error) { panic(secretCanary) }), codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			err := a.get2(grpc.PerRPCCredentials(grpcauth.Credentials(row.source)))
			if status.Code(err) != row.code {
				t.Errorf("%v, want %v", err, row.code)
			}
			if text := fmt.Sprintf("%v %+v %#v", err, err, status.Convert(err).Proto()); strings.Contains(text, secretCanary) || strings.Contains(text, "invalid_grant") {
				t.Errorf("the error has the answer: %s", text)
			}
		})
	}
}

// TestCredentialsNeedTLS covers A16 of the situations: no token leaves over plain text.
func TestCredentialsNeedTLS(t *testing.T) {
	asked := false
	source := grpcauth.Credentials(sourceFunc(func() (*oauth2.Token, error) {
		asked = true
		return &oauth2.Token{AccessToken: secretCanary}, nil
	}))
	if _, err := grpc.NewClient("passthrough:///127.0.0.1:1", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(source)); err == nil {
		t.Error("a client without TLS was made")
	}
	a := start(t, setup{})
	if err := a.get2(grpc.PerRPCCredentials(source)); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a call without TLS: %v", err)
	}
	if _, err := source.GetRequestMetadata(t.Context()); status.Code(err) != codes.Unauthenticated {
		t.Errorf("without a connection: %v", err)
	}
	if asked {
		t.Error("a token was asked for")
	}
}
