package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

const (
	// opaquePrefix is how the opaque tokens of the demo start.
	opaquePrefix = "demo_"
	// answerLife is how long the API uses an answer of the issuer about a token.
	answerLife = 2 * time.Second
)

// opaqueClient is the API as a client of the issuer that introspects tokens.
func opaqueClient() *introspect.Client {
	return &introspect.Client{
		ID:             testissuer.ClientID,
		Authentication: introspect.ClientSecretBasic{Secret: introspect.SecretText(testissuer.ClientSecret)},
		Prefix:         opaquePrefix,
		Cache:          introspect.Cache{TTL: answerLife},
	}
}

// opaqueRows returns the rows with introspection.
func (d *demo) opaqueRows() []row {
	read := testissuer.Token{Scope: readScope, Prefix: opaquePrefix}
	refresh := read
	refresh.Fault = testissuer.RefreshToken
	token, revoked, jwt := d.issuer.Opaque(read), d.issuer.Opaque(read), d.issuer.Sign(testissuer.Token{Scope: "orders:delete"})
	return []row{
		{"opaque token, new", d.asking(1, d.opaque(token)), http.StatusOK, ""},
		{"opaque token, cached", d.asking(0, d.opaque(token)), http.StatusOK, ""},
		{"opaque token, not revoked", d.asking(1, d.opaque(revoked)), http.StatusOK, ""},
		{"opaque, revoked 2 s ago", d.asking(1, d.revokedBefore(revoked)), http.StatusUnauthorized, validator.Inactive},
		{"refresh token called active", d.asking(1, d.opaque(d.issuer.Opaque(refresh))), http.StatusUnauthorized, validator.WrongType},
		{"introspection down, cached", d.asking(1, d.answeredBefore(d.issuer.Opaque(read))), http.StatusOK, ""},
		{"introspection down, new", d.unanswered(d.issuer.Opaque(read)), http.StatusServiceUnavailable, validator.Unavailable},
		{"JWT, asked about", d.asking(1, d.remove(jwt)), http.StatusNoContent, ""},
		{"JWT, asked about, revoked", d.asking(1, d.removeRevoked(jwt)), http.StatusUnauthorized, validator.Inactive},
	}
}

func (d *demo) opaque(token string) func(context.Context) answer {
	return func(ctx context.Context) answer { return d.send(ctx, http.MethodGet, order, "Bearer "+token) }
}

// asking returns send with an error if the issuer did not get want introspection
// requests meanwhile.
func (d *demo) asking(want int, send func(context.Context) answer) func(context.Context) answer {
	return func(ctx context.Context) answer {
		before := d.issuer.Requests(testissuer.Introspection)
		got := send(ctx)
		if asked := d.issuer.Requests(testissuer.Introspection) - before; asked != want && got.err == nil {
			got.err = fmt.Errorf("the issuer was asked %d times, not %d", asked, want)
		}
		return got
	}
}

// revokedBefore returns a request with a token that was revoked, and whose last answer
// is too old.
func (d *demo) revokedBefore(token string) func(context.Context) answer {
	return func(ctx context.Context) answer {
		d.issuer.Revoke(token)
		pause(ctx, answerLife)
		return d.opaque(token)(ctx)
	}
}

// answeredBefore returns a request with a token that the issuer was asked about before
// its introspection endpoint went down.
func (d *demo) answeredBefore(token string) func(context.Context) answer {
	return func(ctx context.Context) answer {
		if first := d.opaque(token)(ctx); first.err != nil || first.status != http.StatusOK {
			return first
		}
		d.issuer.Behave(testissuer.Introspection, testissuer.Behaviour{Status: http.StatusBadGateway})
		return d.opaque(token)(ctx)
	}
}

var errNoRetryAfter = errors.New("the answer has no Retry-After")

// unanswered returns a request with a token that the issuer cannot be asked about. The
// endpoint is up again after it.
func (d *demo) unanswered(token string) func(context.Context) answer {
	return func(ctx context.Context) answer {
		got := d.opaque(token)(ctx)
		d.issuer.Behave(testissuer.Introspection, testissuer.Behaviour{})
		if got.retryAfter == "" && got.err == nil {
			got.err = errNoRetryAfter
		}
		return got
	}
}

func (d *demo) remove(token string) func(context.Context) answer {
	return func(ctx context.Context) answer { return d.send(ctx, http.MethodDelete, order, "Bearer "+token) }
}

func (d *demo) removeRevoked(token string) func(context.Context) answer {
	return func(ctx context.Context) answer {
		d.issuer.Revoke(token)
		return d.remove(token)(ctx)
	}
}
