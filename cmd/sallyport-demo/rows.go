package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// row is one line of the table: a request and the expected answer.
type row struct {
	name   string
	send   func(context.Context) answer
	status int              // of HTTP, or the code of a gRPC call, which is less than 100
	reason validator.Reason // "" if it should pass
}

// cooldown is longer than the interval of one second between fetches for unknown kids.
const cooldown = 1100 * time.Millisecond

// flood is how many tokens with made-up kids are sent at once.
const flood = 500

func (d *demo) rows() []row {
	read := testissuer.Token{Scope: readScope}
	return slices.Concat([]row{
		d.get("good token", read, http.StatusOK, ""),
		{"no token", d.bare(), http.StatusUnauthorized, validator.NoCredentials},
		d.get("expired", changed(read, testissuer.Token{Lifetime: -time.Hour}), http.StatusUnauthorized, validator.Expired),
		d.get("for another audience", withClaims(read, "aud", "https://other.demo"), http.StatusUnauthorized, validator.WrongAudience),
		d.get("from another issuer", withClaims(read, "iss", "https://evil.example"), http.StatusUnauthorized, validator.UnknownIssuer),
		d.get("an ID token", withHeader(read, "typ", "JWT"), http.StatusUnauthorized, validator.WrongType),
		d.get("tampered claims", changed(read, testissuer.Token{Forgery: testissuer.Tampered}), http.StatusUnauthorized, validator.BadSignature),
		d.get("signed by another key", changed(read, testissuer.Token{Forgery: testissuer.ForeignKey}), http.StatusUnauthorized, validator.BadSignature),
		d.get("alg none", withHeader(read, "alg", "none"), http.StatusUnauthorized, validator.AlgorithmNotAllowed),
		d.get("HS256 with the public key", changed(read, testissuer.Token{Forgery: testissuer.HMACWithPublicKey}), http.StatusUnauthorized, validator.AlgorithmNotAllowed),
		d.get("bound to a sender's key", withClaims(read, "cnf", map[string]any{"jkt": "0ZcOCORZNYy"}), http.StatusUnauthorized, validator.BindingMismatch),
		d.get("no client_id", withClaims(read, "client_id", nil), http.StatusUnauthorized, validator.BadClaims),
		{"two Authorization fields", d.twice(read), http.StatusBadRequest, validator.MalformedRequest},
		{"not a token", d.literal("Bearer swordfish"), http.StatusUnauthorized, validator.UnknownIssuer},
		d.get("scope missing", testissuer.Token{Scope: "orders:list"}, http.StatusForbidden, validator.InsufficientScope),
		{"read scope on a write", d.post(read), http.StatusForbidden, validator.InsufficientScope},
		{"path that is not listed", d.at("/admin", read), http.StatusNotFound, validator.Forbidden},
		{"path with dot segments", d.at("/health/../orders/42", read), http.StatusBadRequest, validator.MalformedRequest},
		{"key rotated mid-way", d.rotated(read), http.StatusOK, ""},
		{fmt.Sprintf("%d unknown kids at once", flood), d.flooded(read), http.StatusUnauthorized, validator.UnknownKey},
		d.get("good token after the flood", read, http.StatusOK, ""),
		{"issuer down, known key", d.down(read), http.StatusOK, ""},
		{"issuer down, unknown kid", d.later(withHeader(read, "kid", "new")), http.StatusServiceUnavailable, validator.Unavailable},
		{"issuer back, key rotated", d.back(read), http.StatusOK, ""},
	}, d.opaqueRows(), d.callRows())
}

// changed returns base with the lifetime and the forgery of change.
func changed(base, change testissuer.Token) testissuer.Token {
	base.Lifetime, base.Forgery = change.Lifetime, change.Forgery
	return base
}

func withClaims(base testissuer.Token, name string, value any) testissuer.Token {
	base.Claims = map[string]any{name: value}
	return base
}

func withHeader(base testissuer.Token, name string, value any) testissuer.Token {
	base.Header = map[string]any{name: value}
	return base
}

// bearer signs a token and returns it as an Authorization field.
func (d *demo) bearer(token testissuer.Token) string { return "Bearer " + d.issuer.Sign(token) }

const order = "/orders/42"

func (d *demo) get(name string, token testissuer.Token, status int, reason validator.Reason) row {
	return row{name, d.at(order, token), status, reason}
}

func (d *demo) at(path string, token testissuer.Token) func(context.Context) answer {
	return func(ctx context.Context) answer { return d.send(ctx, http.MethodGet, path, d.bearer(token)) }
}

func (d *demo) bare() func(context.Context) answer {
	return func(ctx context.Context) answer { return d.send(ctx, http.MethodGet, order) }
}

func (d *demo) literal(field string) func(context.Context) answer {
	return func(ctx context.Context) answer { return d.send(ctx, http.MethodGet, order, field) }
}

func (d *demo) twice(token testissuer.Token) func(context.Context) answer {
	return func(ctx context.Context) answer {
		return d.send(ctx, http.MethodGet, order, d.bearer(token), d.bearer(token))
	}
}

func (d *demo) post(token testissuer.Token) func(context.Context) answer {
	return func(ctx context.Context) answer { return d.send(ctx, http.MethodPost, "/orders", d.bearer(token)) }
}

// later returns a row that is sent when a fetch for an unknown kid is allowed again.
func (d *demo) later(token testissuer.Token) func(context.Context) answer {
	return func(ctx context.Context) answer {
		pause(ctx, cooldown)
		return d.send(ctx, http.MethodGet, order, d.bearer(token))
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (d *demo) rotated(token testissuer.Token) func(context.Context) answer {
	return func(ctx context.Context) answer {
		pause(ctx, cooldown)
		d.issuer.Rotate()
		return d.send(ctx, http.MethodGet, order, d.bearer(token))
	}
}

func (d *demo) down(token testissuer.Token) func(context.Context) answer {
	return func(ctx context.Context) answer {
		d.issuer.Down(true)
		return d.send(ctx, http.MethodGet, order, d.bearer(token))
	}
}

func (d *demo) back(token testissuer.Token) func(context.Context) answer {
	return func(ctx context.Context) answer {
		d.issuer.Down(false)
		d.issuer.Rotate()
		return d.later(token)(ctx)
	}
}

// flooded sends tokens with made-up kids at once, which wait for the next fetch. It
// returns the slowest answer if all are the same, and otherwise one that differs. It
// returns an error if the issuer got more than one request a second.
func (d *demo) flooded(token testissuer.Token) func(context.Context) answer {
	return func(ctx context.Context) answer {
		pause(ctx, cooldown)
		before, begun := d.issuer.Requests(testissuer.JWKS), time.Now()
		answers := make(chan answer, flood)
		for i := range flood {
			go func() {
				answers <- d.send(ctx, http.MethodGet, order, d.bearer(withHeader(token, "kid", fmt.Sprint("made-up-", i))))
			}()
		}
		all := <-answers
		for range flood - 1 {
			next := <-answers
			switch {
			case all.err != nil:
			case next.err != nil || next.status != all.status || next.reason != all.reason:
				all = next
			case next.took > all.took:
				all = next
			}
		}
		took := time.Since(begun)
		if asked := d.issuer.Requests(testissuer.JWKS) - before; asked > 1+int(took/time.Second) && all.err == nil {
			all.err = fmt.Errorf("the issuer got %d requests in %v", asked, took)
		}
		return all
	}
}
