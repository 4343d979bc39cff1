package zero

import "context"

// Contexts returns contexts that no call can use: nil, and others whose methods
// panic.
func Contexts() map[string]context.Context {
	return map[string]context.Context{"nil": nil, "a nil pointer": (*hollow)(nil), "no context inside": hollow{}}
}

// hollow is a context that embeds none.
type hollow struct{ context.Context } //nolint:containedctx // it is one itself

// Error returns an error whose methods panic, as those of many nil pointers do.
func Error() error { return (*silent)(nil) }

type silent struct{ text string }

func (s *silent) Error() string { return s.text }

func (s *silent) Is(error) bool { return s.text == "" }

func (s *silent) Unwrap() []error { return make([]error, len(s.text)) }
