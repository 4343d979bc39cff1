// Package zero has what careless callers do, for tests: it calls methods of
// values that no constructor made, and makes contexts and errors that panic.
package zero

import (
	"fmt"
	"io"
	"reflect"
	"slices"
)

// Panics calls every exported method of each value and returns one line for
// each that panics. A parameter gets the first of args that is assignable to
// it, and its zero value if there is none: without a context among args, every
// context is nil. A [fmt.State] is there in any case.
//
// On a nil pointer, methods with a value receiver are not called: those panic
// before they begin.
func Panics(args []any, values ...any) []string {
	var panics []string
	args = append(slices.Clone(args), state{io.Discard})
	for _, value := range values {
		v := reflect.ValueOf(value)
		for i := range v.NumMethod() {
			method := v.Type().Method(i)
			if v.Kind() == reflect.Pointer && v.IsNil() && onValue(v.Type(), method.Name) {
				continue
			}
			if cause := call(v.Method(i), args); cause != nil {
				panics = append(panics, fmt.Sprintf("%s.%s: %v", shown(v), method.Name, cause))
			}
		}
	}
	return panics
}

// state is a fmt.State that drops what is written.
type state struct{ io.Writer }

func (state) Width() (int, bool)     { return 0, false }
func (state) Precision() (int, bool) { return 0, false }
func (state) Flag(int) bool          { return false }

// onValue reports whether a method of a pointer type has a value receiver.
func onValue(pointer reflect.Type, name string) bool {
	_, found := pointer.Elem().MethodByName(name)
	return found
}

// shown writes a value as Go code for a nil pointer and a zero value would.
func shown(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
		return fmt.Sprintf("(%s)(nil)", v.Type())
	case v.Kind() == reflect.Pointer:
		return "&" + v.Type().Elem().String()
	default:
		return v.Type().String()
	}
}

// call calls a method and returns what it panics with.
func call(method reflect.Value, args []any) (cause any) {
	defer func() { cause = recover() }()
	t := method.Type()
	parameters := t.NumIn()
	if t.IsVariadic() {
		parameters--
	}
	in := make([]reflect.Value, parameters)
	for i := range in {
		in[i] = argument(t.In(i), args)
	}
	method.Call(in)
	return nil
}

func argument(parameter reflect.Type, args []any) reflect.Value {
	for _, arg := range args {
		if v := reflect.ValueOf(arg); v.Type().AssignableTo(parameter) {
			return v
		}
	}
	return reflect.Zero(parameter)
}
