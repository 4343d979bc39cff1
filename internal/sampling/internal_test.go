package sampling

import (
	"testing"
	"time"
)

// TestEndTwice checks that a window which an event of another goroutine has begun is not
// ended by one that tells what was dropped before.
func TestEndTwice(t *testing.T) {
	var c cell
	c.add(1)
	c.add(2)
	if ended := c.end(2); ended != 0 {
		t.Errorf("window %d was ended", ended.window())
	}
	if n, _ := c.add(2); n != 2 {
		t.Errorf("event %d of the window, want 2", n)
	}
}

// TestAddTwice checks that a key that two goroutines add at once has one cell, and that
// they do not add more keys than there may be.
func TestAddTwice(t *testing.T) {
	s := New(Limits{First: 1, Keys: 2}, "other", time.Time{})
	first := s.add("a")["a"]
	if first == nil || s.add("a")["a"] != first {
		t.Error("the cell was replaced, and its count is lost")
	}
	if s.add("b")["b"] == nil || s.add("c")["c"] != nil {
		t.Error("not as many keys as there may be")
	}
}
