// Package cause has the errors that tell operators why something was refused: what
// was found, what was wanted, and what mends it. They are never sent to a client.
//
// A cause shows values of a closed list of fields, and of no other: the header's alg,
// typ and kid; iss, aud, client_id, acr, scope and the claims that are mapped to
// scopes; exp, nbf, iat and auth_time; and of a published key kid, kty, crv, use, alg and
// issuer. None of them is a secret (docs/adr/0042). Of
// every other field a cause may say whether it is there, its JSON type and its length.
// A value is written by [Quote] or [Quotes]. The text of another package's error is not
// written, because it may quote the token.
package cause

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
)

// Details are what a [Cause] says beside its kind. Each may be empty.
type Details struct {
	Found  string // what there was
	Wanted string // what there should have been
	Mend   string // what the operator can do, as an imperative
}

// Cause is an error of a kind, which is a constant error, with details. [errors.Is]
// finds the kind.
type Cause struct {
	kind error
	// details is a function because most refusals are never printed, and because no
	// printer of fields can show what it refers to.
	details func() Details
}

// New returns a Cause of a kind. details is called whenever the Cause is printed, from
// any goroutine, so it must refer only to what does not change. What it refers to stays
// in memory as long as the Cause; see [Settled].
func New(kind error, details func() Details) *Cause { return &Cause{kind, details} }

// Error returns the kind and the details on one line.
func (c *Cause) Error() string {
	text, d := c.kind.Error(), c.Details()
	if d.Found != "" {
		text += "; found " + d.Found
	}
	if d.Wanted != "" {
		text += "; wanted " + d.Wanted
	}
	if d.Mend != "" {
		text += "; " + d.Mend
	}
	return text
}

// Unwrap returns the kind.
func (c *Cause) Unwrap() error { return c.kind }

// Details returns what was found and wanted, and the mend.
func (c *Cause) Details() Details { return c.details() }

// LogValue returns the kind and the details as a group.
func (c *Cause) LogValue() slog.Value {
	attributes, d := []slog.Attr{slog.String("error", c.kind.Error())}, c.Details()
	for _, a := range [...]slog.Attr{slog.String("found", d.Found), slog.String("wanted", d.Wanted), slog.String("mend", d.Mend)} {
		if a.Value.String() != "" {
			attributes = append(attributes, a)
		}
	}
	return slog.GroupValue(attributes...)
}

// Settled returns err with its details written, if it is a Cause, so that it refers to
// nothing else. It is for errors that are kept. Details that repeat a part of one of the
// secrets are replaced by a note that they do: what a server answers may have the token
// in any place.
func Settled(err error, secrets ...string) error {
	c, ok := err.(*Cause) //nolint:errorlint // only err itself can be replaced
	if !ok {
		return err
	}
	d := c.Details()
	for _, text := range [...]*string{&d.Found, &d.Wanted, &d.Mend} {
		if slices.ContainsFunc(secrets, func(secret string) bool { return repeats(*text, secret) }) {
			*text = "a value that repeats a part of the token"
		}
	}
	return New(c.kind, func() Details { return d })
}

// sharedPiece is the length of the shortest piece of a secret that must not be shown.
const sharedPiece = 12

// repeats reports whether text has a piece of secret.
func repeats(text, secret string) bool {
	for i := 0; i+sharedPiece <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+sharedPiece]) {
			return true
		}
	}
	return false
}

// Amend returns err, a Cause, with a further mend.
func Amend(err error, mend string) error {
	c, ok := err.(*Cause) //nolint:errorlint // only err itself can be replaced
	if !ok {
		return err
	}
	return New(c.kind, func() Details {
		d := c.Details()
		if d.Mend == "" {
			d.Mend = mend
		} else {
			d.Mend += "; " + mend
		}
		return d
	})
}

// Of returns the first Cause in the chain of err, and whether there is one.
func Of(err error) (*Cause, bool) { return errors.AsType[*Cause](err) }
