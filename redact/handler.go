// Package redact keeps credentials out of logs that others write: it wraps the
// slog.Handler of a program, and removes tokens, secrets and cookies from what passes.
//
// The types of this module print redacted by themselves, whatever writes them. This package
// is for the rest of a program, such as a line that logs the header of a request.
package redact

import (
	"context"
	"log/slog"
	"slices"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// Config is the configuration of a [Handler].
type Config struct {
	// Handler gets the redacted records. Required.
	Handler slog.Handler
	// Names are further names of attributes, map entries, header fields, metadata and struct
	// fields whose values are credentials, such as "session". Case does not count. They are
	// not looked for in texts and URLs. Those that are known anyway end like token, secret,
	// password, authorization, cookie, assertion or API key.
	Names []string
}

// Handler is a [slog.Handler] that redacts records and passes them on. It redacts:
//
//   - in the message and in every text, what [Text] finds
//   - the texts of attributes, groups, map entries, struct fields, header fields and metadata
//     whose name is that of a credential. Numbers, times and booleans stay, and so does what
//     a LogValue method shows as a group.
//   - user information and credentials in the query and the fragment of a url.URL
//   - values of cookies, and private keys: what has a method Public, as those of package
//     crypto have
//
// It looks into groups, attributes given by With, errors, values with a String
// or Marshal method, bytes as text, pointers, lists, maps and exported struct fields. Such
// a value becomes a text, or a map or list of what it holds. So the next handler gets no
// error or Stringer. What is deeper than 8 levels, or 64 groups, or comes after 1000 parts,
// is left out.
//
// It cannot find what [Text] does not find, and a credential without a known name. It sees
// nothing of what does not pass slog.
type Handler struct {
	next   slog.Handler
	names  []string
	secret bool // a group that is open has the name of a credential
}

// New checks config and makes a Handler.
func New(config Config) (*Handler, error) {
	faults := fault.In("redact")
	if config.Handler == nil {
		faults.At("Handler").Add("is nil", "give the handler that writes the records")
	}
	h := &Handler{next: config.Handler, names: slices.Clone(config.Names)}
	for i, name := range config.Names {
		if name == "" {
			faults.Atf("Names[%d]", i).Add("is empty", "remove it")
		}
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return h, nil
}

// Enabled asks the next handler. It is false for a zero Handler.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.made() && h.next.Enabled(ctx, level)
}

// Handle passes on a redacted copy of record.
func (h *Handler) Handle(ctx context.Context, record slog.Record) error {
	if !h.made() {
		return nil
	}
	redacted := slog.NewRecord(record.Time, record.Level, Text(record.Message), record.PC)
	record.Attrs(func(attr slog.Attr) bool {
		redacted.AddAttrs(h.attr(attr))
		return true
	})
	return h.next.Handle(ctx, redacted)
}

// WithAttrs redacts the attributes now.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if !h.made() {
		return h
	}
	redacted := make([]slog.Attr, len(attrs))
	for i, attr := range attrs {
		redacted[i] = h.attr(attr)
	}
	return &Handler{next: h.next.WithAttrs(redacted), names: h.names, secret: h.secret}
}

// WithGroup opens a group in the next handler.
func (h *Handler) WithGroup(name string) slog.Handler {
	if !h.made() {
		return h
	}
	return &Handler{next: h.next.WithGroup(Text(name)), names: h.names, secret: h.secret || h.isSecret(name)}
}

func (h *Handler) made() bool { return h != nil && h.next != nil }

// attr returns a redacted copy of attr.
func (h *Handler) attr(attr slog.Attr) slog.Attr {
	w := walk{handler: h, left: maxParts}
	return w.attr(attr, h.secret)
}
