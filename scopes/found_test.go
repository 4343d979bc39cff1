package scopes_test

import (
	"testing"

	"github.com/sallyport-auth/sallyport/scopes"
)

// TestForTwice checks that a Refusal which says what the token has is not changed again.
func TestForTwice(t *testing.T) {
	token := minted(t, "read")
	first := scopes.All("write").Decide(at(0), token, scopes.Operation{}).For(at(0), token)
	if second := first.For(at(0), token); second != first {
		t.Errorf("%v, and then %v", first, second)
	}
	var none *scopes.Refusal
	if none.For(at(0), token) != nil {
		t.Error("a Refusal of nothing")
	}
}
