package gatewayauth_test

import (
	"bufio"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/middleware/gatewayauth"
	"github.com/sallyport-auth/sallyport/validator"
)

// program builds and starts a program of testdata in front of b, and returns its URL.
func (b *backend) program(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if text, err := exec.CommandContext(t.Context(), "go", "build", "-o", file, "./testdata/"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	command := exec.CommandContext(t.Context(), file, b.addr)
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = input.Close()
		_ = command.Wait()
	})
	address, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + strings.TrimSpace(address)
}

// TestPrograms covers R-GR-06 for gateways in programs of their own, which link nothing of
// Sallyport or nothing but this package: with it, refusals are answered as by the HTTP
// guard. Without it, grpc-gateway cannot render the details and answers 500, which
// docs/grpc-gateway.md says.
func TestPrograms(t *testing.T) {
	b := newBackend(t)
	all := b.refusals(t)
	with, without := b.program(t, "with"), b.program(t, "without")
	for _, name := range []string{string(validator.NoCredentials), string(validator.Expired), `All("a", "b")`, "outage"} {
		denial := all[name]
		b.gate.forced.Store(denial)
		for _, path := range []string{"/v1/orders/1", "/v1/orders/1/watch"} {
			got := call(t, http.MethodGet, with+path, "")
			if got.status != denial.Status || !slices.Equal(got.header["Www-Authenticate"], denial.Challenges) || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("with the package, %s, %s: %+v", name, path, got)
			}
		}
		if got := call(t, http.MethodGet, without+"/v1/orders/1", ""); got.status != http.StatusInternalServerError || !strings.Contains(got.body, "failed to marshal error message") {
			t.Errorf("without the package, %s: %+v", name, got)
		}
	}
}

// smoke returns what a gateway does wrong, or "" if it answers refusals as package
// gatewayauth does. gateway is its URL, and path one that needs a token.
func smoke(t *testing.T, gateway, path string) string {
	t.Helper()
	response, err := client.Get(gateway + path) // without a token
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	challenge := response.Header.Get("WWW-Authenticate")
	switch {
	case response.StatusCode != http.StatusUnauthorized:
		return "the status is " + response.Status
	case !strings.HasPrefix(challenge, "Bearer realm="), response.Header.Get("Cache-Control") != "no-store":
		return "the gateway has another error handler than that of gatewayauth"
	}
	return ""
}

// TestSmoke shows that the smoke test of docs/grpc-gateway.md notices a gateway that keeps the
// default handlers.
func TestSmoke(t *testing.T) {
	b := newBackend(t)
	for _, path := range []string{"/v1/orders/1", "/v1/orders/1/watch"} {
		if wrong := smoke(t, b.front(t, gatewayauth.Config{}), path); wrong != "" {
			t.Errorf("%s: %s", path, wrong)
		}
		if smoke(t, b.bare(t), path) == "" {
			t.Errorf("%s: the default handlers are not noticed", path)
		}
	}
}
