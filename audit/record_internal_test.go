package audit

import (
	"strings"
	"testing"
	"unsafe"
)

// TestPrintableCopies (A12): a record that waits does not keep the token in memory that a text is a part of.
func TestPrintableCopies(t *testing.T) {
	claims := strings.Repeat("client-1 ", 1000)
	part := claims[9:17]
	if got := printable(part); got != part || unsafe.StringData(got) == unsafe.StringData(part) {
		t.Errorf("%q is not a copy", got)
	}
}
