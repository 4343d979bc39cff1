// Package fault holds faults of a configuration as values, so that a program
// which read the configuration from a file can tell the line of each one.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Fault is one fault of a configuration.
type Fault struct {
	// Path names the field, as Go code would write it below the configuration
	// that the constructor was given: "Issuers[1].Audiences". It is empty if the
	// fault is of the configuration as a whole.
	Path string
	// Problem says what is wrong: "is empty". It may name the value that was
	// found.
	Problem string
	// Mend says what to do about it: "list the identifiers this API answers to".
	// It may be empty where Problem says it already.
	Mend string

	room  string // the package that found the fault
	cause error
}

// Error returns "package: Path Problem; Mend".
func (f Fault) Error() string {
	var b strings.Builder
	if f.room != "" {
		b.WriteString(f.room + ": ")
	}
	if f.Path != "" {
		b.WriteString(f.Path + " ")
	}
	b.WriteString(f.Problem)
	if f.Mend != "" {
		b.WriteString("; " + f.Mend)
	}
	return b.String()
}

// Unwrap returns the error of another package that Problem was written from, or nil.
func (f Fault) Unwrap() error { return f.cause }

// List collects the faults of one configuration, so that a constructor reports
// all of them at once. It is made by [In].
type List struct {
	room   string
	path   string // of this part of the configuration
	faults *[]error
}

// In returns an empty List for faults that the named package finds.
func In(room string) List { return List{room: room, faults: new([]error)} }

// At returns a List that adds to the same faults, for the part of the
// configuration at path.
func (l List) At(path string) List {
	l.path = join(l.path, path)
	return l
}

// Atf is At with a formatted path.
func (l List) Atf(format string, args ...any) List { return l.At(fmt.Sprintf(format, args...)) }

// Add adds one fault of the field that l is at.
func (l List) Add(problem, mend string) {
	*l.faults = append(*l.faults, Fault{Path: l.path, Problem: problem, Mend: mend, room: l.room})
}

// Addf is Add with a formatted problem. An error among args is its cause if the
// verb is %w.
func (l List) Addf(mend, format string, args ...any) {
	err := fmt.Errorf(format, args...)
	*l.faults = append(*l.faults, Fault{Path: l.path, Problem: err.Error(), Mend: mend, room: l.room, cause: errors.Unwrap(err)})
}

// Merge adds the faults of err, which another constructor reported for the part
// of the configuration that l is at: their paths are put below it. An error in
// err that is no Fault becomes one with its text as the problem. A nil err adds
// nothing.
func (l List) Merge(err error) {
	for _, f := range All(err) {
		f.Path = join(l.path, f.Path)
		f.room = l.room
		*l.faults = append(*l.faults, f)
	}
}

// Err returns all faults joined into one error, or nil if there is none.
func (l List) Err() error { return errors.Join(*l.faults...) }

// All returns the faults that err joins, in order. An error among them that is
// no Fault is returned as one without Path, so that nothing is lost.
func All(err error) []Fault {
	if err == nil {
		return nil
	}
	if f, ok := err.(Fault); ok { //nolint:errorlint // wrapped ones are unwrapped below
		return []Fault{f}
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []Fault
		for _, part := range joined.Unwrap() {
			all = append(all, All(part)...)
		}
		return all
	}
	return []Fault{{Problem: err.Error(), cause: err}}
}

// join puts path below parent. An index follows its parent without a dot.
func join(parent, path string) string {
	if parent == "" || path == "" || strings.HasPrefix(path, "[") {
		return parent + path
	}
	return parent + "." + path
}
