package scopes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/validator"
)

var errDenied = errors.New("scopes: the policy permits nothing")

// For returns r with a cause that says what the token has, beside what the policy wants:
// its scopes, its acr and auth_time, or its issuer and client. token is the one that was
// refused. Adapters call it before they report a refusal; a decision itself allocates
// nothing. A nil r is returned as it is.
func (r *Refusal) For(ctx context.Context, token *validator.Token) *Refusal {
	if r == nil {
		return nil
	}
	if _, said := cause.Of(r.cause); said || r.reason() == validator.Unavailable {
		return r
	}
	refused, kind := *r, r.cause
	if kind == nil {
		kind = errDenied
	}
	now := clock.Now(ctx)
	refused.cause = cause.New(kind, func() cause.Details { return r.found(token, now) })
	return &refused
}

// found says what of token the policy looked at.
func (r *Refusal) found(token *validator.Token, now time.Time) cause.Details {
	switch {
	case len(r.ACRValues) > 0 || r.MaxAuthAge > 0:
		return r.foundAuthentication(token, now)
	case r.Reason == validator.InsufficientScope:
		return cause.Details{
			Found: "scope " + cause.Quotes(slices.Values(token.Scopes())), Wanted: "scope " + cause.Quotes(slices.Values(r.Scopes)),
			Mend: token.ScopeMend(r.Scopes),
		}
	default:
		d := cause.Details{Found: "iss " + cause.Quote(token.Issuer())}
		if id := token.ClientID(); id != "" {
			d.Found += ", client_id " + cause.Quote(id)
		}
		d.Found += fmt.Sprintf(", %d roles", len(token.Roles()))
		return d
	}
}

// mendTypes is the mend for claims that cannot be read.
const mendTypes = "let the issuer send acr as a string, amr as an array of strings and auth_time as a number (OpenID Connect Core §2)"

// foundAuthentication says how the user of token authenticated.
func (r *Refusal) foundAuthentication(token *validator.Token, now time.Time) cause.Details {
	var found, wanted []string
	d := cause.Details{Mend: "let the client send the user to the issuer again with acr_values and max_age of the challenge"}
	if len(r.ACRValues) > 0 {
		wanted = append(wanted, "acr "+cause.OneOf(r.ACRValues))
		switch acr, unreadable := token.ACR(), token.Unreadable("acr"); {
		case acr != "":
			found = append(found, "acr "+cause.Quote(acr))
		case unreadable != "":
			found = append(found, unreadable)
			d.Mend = mendTypes
		default:
			found = append(found, "no acr that counts")
			d.Mend += "; acr values count that Issuer.ACRs has"
		}
		if unreadable := token.Unreadable("amr"); unreadable != "" {
			found = append(found, unreadable)
			d.Mend = mendTypes
		}
	}
	if r.MaxAuthAge > 0 {
		wanted = append(wanted, "auth_time at most "+cause.Seconds(r.MaxAuthAge)+" ago")
		switch at, unreadable := token.AuthTime(), token.Unreadable("auth_time"); {
		case !at.IsZero():
			found = append(found, fmt.Sprintf("auth_time %d, %s ago", at.Unix(), cause.Seconds(now.Sub(at))))
		case unreadable != "":
			found = append(found, unreadable)
			d.Mend = mendTypes
		default:
			found = append(found, "no auth_time")
		}
	}
	d.Found, d.Wanted = strings.Join(found, ", "), strings.Join(wanted, ", ")
	return d
}
