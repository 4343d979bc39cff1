package testissuer_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/testissuer"
)

// TestPrinting (R-OB-02): an Issuer does not print the secrets of its clients.
func TestPrinting(t *testing.T) {
	const secret = "canary-secret-5f1c9e"
	is, err := testissuer.Start(testissuer.Config{InMemory: true, Clients: []testissuer.Client{{ID: "api", Secret: secret}}})
	if err != nil {
		t.Fatal(err)
	}
	defer is.Close()
	text := fmt.Sprintf("%v %+v %#v %s %x %v", is, is, is, is, is, struct{ Issuer *testissuer.Issuer }{is}) + fmt.Sprint((*testissuer.Issuer)(nil))
	if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) || !strings.Contains(text, is.URL()) {
		t.Error(text)
	}
}
