package scopes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/validator"
)

// Issuers permits a token of one of these issuers, which are compared byte for byte.
func Issuers(urls ...string) Policy {
	if err := checkTexts("Issuers", "URLs", urls); err != nil {
		return faulty(err)
	}
	urls = slices.Clone(urls)
	return forbidding(call("Issuers", urls...), func(_ context.Context, q question) bool {
		return slices.Contains(urls, q.token.Issuer())
	})
}

// Clients permits a token that this issuer issued to one of these clients, by
// [validator.Token.ClientID]. A token whose client is not known is refused. The same
// client_id names another client at another issuer; join several issuers with Or.
func Clients(issuer string, ids ...string) Policy {
	faults := faultsOf("Clients")
	if issuer == "" {
		faults.Add("has no issuer", "give the URL of the issuer first")
	}
	addTexts(faults, "client_ids", ids)
	if err := faults.Err(); err != nil {
		return faulty(err)
	}
	ids = slices.Clone(ids)
	return forbidding(call("Clients", append([]string{issuer}, ids...)...), func(_ context.Context, q question) bool {
		return q.token.Issuer() == issuer && slices.Contains(ids, q.token.ClientID())
	})
}

// NotDelegated permits a token with which its subject acts itself: one without act
// (RFC 8693 §4.1).
func NotDelegated() Policy {
	return forbidding("NotDelegated()", func(_ context.Context, q question) bool {
		_, delegated := q.token.Actor()
		return !delegated
	})
}

// Actors permits a token with which one of these parties acts for its subject. They
// are named by Issuer and Subject; an act without iss names a party of the token's
// issuer. Only the outermost act counts, since those nested in it are history. The
// token's issuer vouches for the actor, whoever issued the actor's own token; add
// [Issuers] if you trust only some of them to do so. To permit the subject itself as
// well, use Or(NotDelegated(), Actors(…)).
func Actors(actors ...validator.Party) Policy {
	faults := faultsOf("Actors")
	if len(actors) == 0 {
		faults.Add("has no actors", "list at least one, or use NotDelegated")
	}
	texts := make([]string, len(actors))
	for i, actor := range actors {
		at := faults.Atf("[%d]", i)
		if actor.Issuer == "" {
			at.At("Issuer").Add("is empty", "name the issuer of the actor")
		}
		if actor.Subject == "" {
			at.At("Subject").Add("is empty", "name the actor by its sub")
		}
		if actor.ClientID != "" {
			at.At("ClientID").Add("is set", "name the actor by its sub alone")
		}
		if slices.Contains(actors[:i], actor) {
			at.Addf("remove one of them", "%q is listed twice", actor)
		}
		texts[i] = fmt.Sprintf("validator.Party{Issuer: %q, Subject: %q}", actor.Issuer, actor.Subject)
	}
	if err := faults.Err(); err != nil {
		return faulty(err)
	}
	actors = slices.Clone(actors)
	return forbidding("Actors("+strings.Join(texts, ", ")+")", func(_ context.Context, q question) bool {
		actor, _ := q.token.Actor() // if there is none, Subject is empty, and no actor in the list is
		if actor.Issuer == "" {
			actor.Issuer = q.token.Issuer()
		}
		actor.ClientID = ""
		return slices.Contains(actors, actor)
	})
}

// UserOnly permits a token that is known to have a user behind it
// ([validator.Token.HasUser]; RFC 9700 §4.15). It refuses a token that a client got
// for itself, and a token of which that is not known.
func UserOnly() Policy { return compiled(&rule{clause: userOnly{}}) }

// userOnly is the clause of UserOnly.
type userOnly struct{ single }

var (
	errNoUser      = errors.New("scopes: UserOnly() is not met: the client got the token for itself")
	errUnknownUser = errors.New("scopes: UserOnly() is not met: it is not known whether a user is behind the token; " +
		"set Issuer.ClientOnly to what only tokens without a user have, or Issuer.User to what only tokens for a user have, or Issuer.ClientClaim to the claim that names the client if none is set")

	noUser      = &Refusal{Reason: validator.Forbidden, cause: errNoUser}
	unknownUser = &Refusal{Reason: validator.Forbidden, cause: errUnknownUser}
)

func (userOnly) String() string { return "UserOnly()" }

func (u userOnly) title() string { return u.String() }

func (userOnly) decide(_ context.Context, q question) *Refusal {
	switch {
	case q.token.HasUser():
		return nil
	case q.token.ClientOnly():
		return noUser
	default:
		return unknownUser
	}
}

func (u userOnly) requirement() Requirement { return Requirement{Others: []string{u.String()}} }

func (userOnly) everyWay(func(*Refusal) bool) bool { return false }
