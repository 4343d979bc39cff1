package validator

import (
	"fmt"
	"io"
	"log/slog"
)

// Sealed holds a [Presentation] and prints redacted wherever it stands. A
// Presentation does so by itself, but for one that stands in an unexported field
// of another struct: fmt calls no methods of such a field and prints its text.
// Keep a Sealed there.
//
// The zero Sealed holds the zero Presentation.
type Sealed struct {
	// A double pointer, because fmt follows a single one under a wrong verb.
	presentation **Presentation
}

// Sealed returns p in a form that can be kept in any struct.
func (p Presentation) Sealed() Sealed {
	pointer := &p
	return Sealed{&pointer}
}

// Presentation returns what was sealed.
func (s Sealed) Presentation() Presentation {
	if s.presentation == nil {
		return Presentation{}
	}
	return **s.presentation
}

// Format writes what [Presentation.Format] does.
func (s Sealed) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.Presentation().redacted()) }

// LogValue is that of the Presentation.
func (s Sealed) LogValue() slog.Value { return s.Presentation().LogValue() }

// MarshalText writes what [Presentation.MarshalText] does.
func (s Sealed) MarshalText() ([]byte, error) { return s.Presentation().MarshalText() }

// MarshalBinary writes what [Presentation.MarshalBinary] does.
func (s Sealed) MarshalBinary() ([]byte, error) { return s.Presentation().MarshalBinary() }
