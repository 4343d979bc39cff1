package zero

import "context"

// Contexts returns contexts that cannot be used: nil, and some whose methods panic.
func Contexts() map[string]context.Context {
	return map[string]context.Context{"nil": nil, "a nil pointer": (*hollow)(nil), "no context inside": hollow{}}
}

// hollow is a context whose methods panic, because it embeds nil.
type hollow struct{ context.Context } //nolint:containedctx // hollow is a context itself

// Error returns an error whose methods panic, as methods of a nil pointer often do.
func Error() error { return (*silent)(nil) }

type silent struct{ text string }

func (s *silent) Error() string { return s.text }

func (s *silent) Is(error) bool { return s.text == "" }

func (s *silent) Unwrap() []error { return make([]error, len(s.text)) }
