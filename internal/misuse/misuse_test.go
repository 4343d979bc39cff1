package misuse_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/misuse"
)

// TestOf finds the mark in a chain of causes.
func TestOf(t *testing.T) {
	err := misuse.New(misuse.OtherTenant, "text")
	if err.Error() != "text" || misuse.Of(fmt.Errorf("more: %w", err)) != misuse.OtherTenant {
		t.Errorf("%v has no mark", err)
	}
	if misuse.Of(errors.New("text")) != "" || misuse.Of(nil) != "" {
		t.Error("an error without a mark has one")
	}
}
