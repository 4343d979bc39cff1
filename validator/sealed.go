package validator

import (
	"fmt"
	"io"
	"log/slog"
)

// Sealed holds a [Presentation] and prints redacted wherever it stands. A
// Presentation prints redacted too, except in an unexported field of another
// struct: fmt calls no methods of such a field and prints its text. Keep a Sealed
// there.
//
// The zero Sealed holds the zero Presentation.
type Sealed struct {
	// presentation is a double pointer, because fmt follows a single one under a wrong
	// verb.
	presentation **Presentation
}

// Sealed returns p in a form that can be kept in any struct.
func (p Presentation) Sealed() Sealed {
	pointer := &p
	return Sealed{&pointer}
}

// Presentation returns the Presentation that s holds.
func (s Sealed) Presentation() Presentation {
	if s.presentation == nil {
		return Presentation{}
	}
	return **s.presentation
}

// Format writes what [Presentation.Format] writes.
func (s Sealed) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.Presentation().redacted()) }

// LogValue returns what [Presentation.LogValue] returns.
func (s Sealed) LogValue() slog.Value { return s.Presentation().LogValue() }

// MarshalText returns what [Presentation.MarshalText] returns.
func (s Sealed) MarshalText() ([]byte, error) { return s.Presentation().MarshalText() }

// MarshalBinary returns what [Presentation.MarshalBinary] returns.
func (s Sealed) MarshalBinary() ([]byte, error) { return s.Presentation().MarshalBinary() }
