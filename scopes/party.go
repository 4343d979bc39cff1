package scopes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/validator"
)

// Issuers permits a token of one of these issuers, which compare byte for byte.
func Issuers(urls ...string) Policy {
	if err := checkTexts("Issuers", "a URL", urls); err != nil {
		return faulty(err)
	}
	urls = slices.Clone(urls)
	return forbidding(call("Issuers", urls...), func(_ context.Context, q question) bool {
		return slices.Contains(urls, q.token.Issuer())
	})
}

// Clients permits a token that this issuer gave to one of these clients, by
// [validator.Token.ClientID]: a token whose client cannot be told is none of
// theirs. The same client_id means another client at another issuer: join
// those with Or.
func Clients(issuer string, ids ...string) Policy {
	faults := []error{checkTexts("Clients", "a client_id", ids)}
	if issuer == "" {
		faults = append(faults, errors.New("scopes: Clients without an issuer"))
	}
	if err := errors.Join(faults...); err != nil {
		return faulty(err)
	}
	ids = slices.Clone(ids)
	return forbidding(call("Clients", append([]string{issuer}, ids...)...), func(_ context.Context, q question) bool {
		return q.token.Issuer() == issuer && slices.Contains(ids, q.token.ClientID())
	})
}

// NotDelegated permits a token by which its subject acts itself: one without act
// (RFC 8693 §4.1).
func NotDelegated() Policy {
	return forbidding("NotDelegated()", func(_ context.Context, q question) bool {
		_, delegated := q.token.Actor()
		return !delegated
	})
}

// ActorName names a party that may act for others, as act has it (RFC 8693
// §4.1).
type ActorName struct {
	Issuer  string // iss; an act without it names a party of the token's issuer
	Subject string // sub
}

// Actors permits a token by which one of these acts for its subject: the
// outermost act, since those nested in it are history. The token's issuer
// vouches for the actor, whoever issued the actor's own token; add [Issuers]
// where issuers are trusted differently. To permit the subject itself as well,
// say Or(NotDelegated(), Actors(…)).
func Actors(names ...ActorName) Policy {
	var faults []error
	if len(names) == 0 {
		faults = append(faults, errors.New("scopes: Actors without an actor"))
	}
	texts := make([]string, len(names))
	for i, name := range names {
		if name.Issuer == "" || name.Subject == "" {
			faults = append(faults, fmt.Errorf("scopes: Actors: actor %d has no Issuer or no Subject", i+1))
		}
		if slices.Contains(names[:i], name) {
			faults = append(faults, fmt.Errorf("scopes: Actors: %q is listed twice", name))
		}
		texts[i] = fmt.Sprintf("ActorName{%q, %q}", name.Issuer, name.Subject)
	}
	if err := errors.Join(faults...); err != nil {
		return faulty(err)
	}
	names = slices.Clone(names)
	return forbidding("Actors("+strings.Join(texts, ", ")+")", func(_ context.Context, q question) bool {
		actor, _ := q.token.Actor() // without one, Subject is empty, and no name is
		if actor.Issuer == "" {
			actor.Issuer = q.token.Issuer()
		}
		return slices.Contains(names, ActorName{actor.Issuer, actor.Subject})
	})
}

// UserOnly permits a token that is known to have a user behind it
// ([validator.Token.HasUser]; RFC 9700 §4.15). It refuses one that a client got for
// itself, and one of which that cannot be told.
func UserOnly() Policy { return compiled(&rule{clause: userOnly{}}) }

// userOnly is the clause of UserOnly.
type userOnly struct{}

var (
	errNoUser      = errors.New("scopes: UserOnly() is not met: the client got the token for itself")
	errUnknownUser = errors.New("scopes: UserOnly() is not met: it cannot be told whether a user is behind the token; " +
		"set Issuer.ClientOnly to what only tokens without a user have, or Issuer.ClientClaim to the claim that names the client if none is set")

	noUser      = &Refusal{Reason: validator.Forbidden, cause: errNoUser}
	unknownUser = &Refusal{Reason: validator.Forbidden, cause: errUnknownUser}
)

func (userOnly) String() string { return "UserOnly()" }

func (userOnly) judge(_ context.Context, q question) *Refusal {
	switch {
	case q.token.HasUser():
		return nil
	case q.token.ClientOnly():
		return noUser
	default:
		return unknownUser
	}
}
