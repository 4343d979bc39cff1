package jwkscache_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

// traceOf returns a Trace with every hook set. Each appends name to calls and then
// panics if panics is true.
func traceOf(name string, panics bool, calls *[]string) *jwkscache.Trace {
	trace := new(jwkscache.Trace)
	fields := reflect.ValueOf(trace).Elem()
	for _, field := range fields.Fields() {
		field.Set(reflect.MakeFunc(field.Type(), func([]reflect.Value) []reflect.Value {
			*calls = append(*calls, name)
			if panics {
				panic("injected")
			}
			return nil
		}))
	}
	return trace
}

// TestTraceJoin shows that Join joins every field of Trace, in order, also if a hook
// of the first panics, and that a hook of only one Trace stays.
func TestTraceJoin(t *testing.T) {
	var calls []string
	first, second := traceOf("first", true, &calls), traceOf("second", false, &calls)
	for name, row := range map[string]struct {
		joined *jwkscache.Trace
		want   []string
	}{
		"both":           {first.Join(second), []string{"first", "second"}},
		"without hooks":  {second.Join(new(jwkscache.Trace)), []string{"second"}},
		"to one without": {new(jwkscache.Trace).Join(second), []string{"second"}},
		"with nil":       {second.Join(nil), []string{"second"}},
		"to nil":         {(*jwkscache.Trace)(nil).Join(second), []string{"second"}},
		"three":          {first.Join(second).Join(second), []string{"first", "second", "second"}},
	} {
		for field, hook := range reflect.ValueOf(row.joined).Elem().Fields() {
			if hook.IsNil() {
				t.Errorf("%s: %s is not joined", name, field.Name)
				continue
			}
			var arguments []reflect.Value
			for in := range hook.Type().Ins() {
				arguments = append(arguments, reflect.Zero(in))
			}
			calls = nil
			hook.Call(arguments)
			if !slices.Equal(calls, row.want) {
				t.Errorf("%s: %s calls %q, want %q", name, field.Name, calls, row.want)
			}
		}
	}
	if joined := (*jwkscache.Trace)(nil).Join(nil); joined != nil {
		t.Errorf("nothing joined is %v", joined)
	}
}

// TestOutcomeFailed checks which outcomes of a fetch are failures.
func TestOutcomeFailed(t *testing.T) {
	for outcome, want := range map[jwkscache.Outcome]bool{jwkscache.Fetched: false, jwkscache.Unchanged: false, jwkscache.NotKeys: true, jwkscache.Overloaded: true} {
		if outcome.Failed() != want {
			t.Errorf("%s: failed %t", outcome, !want)
		}
	}
}
