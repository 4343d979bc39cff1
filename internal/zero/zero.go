// Package zero helps to test what careless callers do. It calls the methods of
// values that no constructor made, and makes contexts and errors whose methods
// panic.
package zero

import (
	"fmt"
	"io"
	"reflect"
	"slices"
)

// Panics calls every exported method of each value and returns a line for each
// method that panics. The argument for a parameter is the first of args that is
// assignable to it, and otherwise its zero value: without a context in args, every
// context is nil. A [fmt.State] need not be in args.
//
// Panics does not call methods with a value receiver on a nil pointer: such a call
// panics before the method begins.
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

// state is a fmt.State that discards what is written.
type state struct{ io.Writer }

func (state) Width() (int, bool)     { return 0, false }
func (state) Precision() (int, bool) { return 0, false }
func (state) Flag(int) bool          { return false }

// onValue reports whether a method of a pointer type has a value receiver.
func onValue(pointer reflect.Type, name string) bool {
	_, found := pointer.Elem().MethodByName(name)
	return found
}

// shown returns the Go code for a nil pointer or a zero value of the type of v.
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

// call calls a method and returns the value of its panic, or nil.
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

// argument returns the first of args that can be passed, or the zero value.
func argument(parameter reflect.Type, args []any) reflect.Value {
	for _, arg := range args {
		if v := reflect.ValueOf(arg); v.Type().AssignableTo(parameter) {
			return v
		}
	}
	return reflect.Zero(parameter)
}
