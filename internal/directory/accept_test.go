package directory

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// failingNames is a memory of accepted names that cannot be loaded.
type failingNames struct {
	names

	err   error
	added int
}

func (n *failingNames) Load(context.Context) error { return n.err }

func (n *failingNames) Add(name string) {
	n.added++
	n.names.Add(name)
}

// TestAcceptedNamesAreLoaded shows that a name is not looked up before the accepted
// names are loaded, unless it is known.
func TestAcceptedNamesAreLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newTest(3)
		accepted := &failingNames{names: names{}}
		d.config.Accepted = accepted
		want(t, d, "a", nil)
		accepted.err = errors.New("not loaded")
		want(t, d, "b", accepted.err)
		s.set(func() { s.text = "second" })
		<-time.After(freshAge)
		if value := want(t, d, "a", nil); value.text != "second" {
			t.Errorf("the known name was not looked up: %v", value)
		}
	})
}

// TestAcceptedTwice shows that a name is added to the memory once, and only with the
// value that it has.
func TestAcceptedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := newTest(3)
		accepted := &failingNames{names: names{}}
		d.config.Accepted = accepted
		value := want(t, d, "a", nil)
		if d.Accept("a", &thing{}) || accepted.added != 0 {
			t.Error("another value was accepted")
		}
		for range 2 {
			if !d.Accept("a", value) || d.Accept("a", &thing{}) || accepted.added != 1 {
				t.Errorf("the name was added %d times", accepted.added)
			}
		}
	})
}

// TestWithoutMemory shows that a Directory works without a memory of accepted names.
func TestWithoutMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newTest(3)
		d.config.Accepted = nil
		if value := want(t, d, "a", nil); !d.Accept("a", value) {
			t.Error("the value is not accepted")
		}
		s.set(func() { s.err = errUnknown })
		<-time.After(freshAge)
		want(t, d, "a", errUnknown)
	})
}

// TestAcceptDisplaced shows that only the value which was displaced enters again.
func TestAcceptDisplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := newTest(1)
		value := want(t, d, "a", nil)
		want(t, d, "b", nil)
		if d.Accept("a", &thing{"a", "first"}) || d.Accept("never", nil) || d.Known("b") == nil {
			t.Error("a value that was not displaced enters")
		}
		if !d.Accept("a", value) || d.Known("a") != value {
			t.Error("the displaced value does not enter again")
		}
	})
}

// TestAllStops shows that All ends with the loop over it.
func TestAllStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := newTest(3)
		want(t, d, "a", nil)
		want(t, d, "b", nil)
		n := 0
		for range d.All() {
			n++
			break
		}
		if n != 1 {
			t.Errorf("%d values after a break", n)
		}
	})
}

// TestRemoveTwice shows that an entry leaves once.
func TestRemoveTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newTest(3)
		want(t, d, "a", nil)
		e := d.table.get("a")
		d.remove(e)
		d.remove(e)
		if s.entered != 0 || d.table.size != 0 {
			t.Errorf("%d values have entered and not left, size %d", s.entered, d.table.size)
		}
	})
}
