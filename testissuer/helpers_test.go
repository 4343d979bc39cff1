package testissuer_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

const audience = "https://api.test"

// inMemory returns an issuer in memory that is closed when the test ends.
func inMemory(tb testing.TB, c testissuer.Config) *testissuer.Issuer {
	tb.Helper()
	c.InMemory = true
	return start(tb, c)
}

func start(tb testing.TB, c testissuer.Config) *testissuer.Issuer {
	tb.Helper()
	issuer, err := testissuer.Start(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(issuer.Close)
	return issuer
}

// validate validates token with the current keys of the issuer, and with these
// algorithms or the default ones.
func validate(tb testing.TB, issuer *testissuer.Issuer, token string, algorithms ...jose.Algorithm) (*validator.Token, error) {
	tb.Helper()
	v := issuertest.Validator(tb, validator.Config{Issuers: []validator.Issuer{{
		URL:        issuer.URL(),
		Audiences:  []string{audience},
		Algorithms: algorithms,
		Keys:       jwkscache.Static(issuer.JWKS()),
	}}})
	return v.Validate(context.Background(), issuertest.Bearer(token))
}

// expect validates token and compares the reason; "" means accepted.
func expect(tb testing.TB, issuer *testissuer.Issuer, token string, want validator.Reason, algorithms ...jose.Algorithm) {
	tb.Helper()
	if _, err := validate(tb, issuer, token, algorithms...); validator.ReasonOf(err) != want {
		tb.Errorf("reason %q (cause: %v), want %q", string(validator.ReasonOf(err)), errors.Unwrap(err), string(want))
	}
}

// answer is the answer that a client got.
type answer struct {
	status int
	header http.Header
	body   string
}

func fetch(ctx context.Context, client *http.Client, url string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return answer{}, err
	}
	return do(client, request)
}

func do(client *http.Client, request *http.Request) (answer, error) {
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	_ = response.Body.Close()
	return answer{response.StatusCode, response.Header, string(body)}, err
}

// get fetches url and fails the test if that fails.
func get(tb testing.TB, issuer *testissuer.Issuer, url string) answer {
	tb.Helper()
	a, err := fetch(context.Background(), issuer.Client(), url)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func object(tb testing.TB, text string) map[string]any {
	tb.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		tb.Fatalf("%q: %v", text, err)
	}
	return members
}

// parts returns the header and the claims of a token.
func parts(tb testing.TB, token string) (header, claims map[string]any) {
	tb.Helper()
	segments := strings.Split(token, ".")
	if len(segments) != 3 {
		tb.Fatalf("the token has %d segments", len(segments))
	}
	return object(tb, decoded(tb, segments[0])), object(tb, decoded(tb, segments[1]))
}

// panics runs f and returns the value of its panic.
func panics(tb testing.TB, f func()) (text string) {
	tb.Helper()
	defer func() {
		switch v := recover().(type) {
		case nil:
			tb.Error("did not panic")
		case string:
			text = v
		default:
			panic(v)
		}
	}()
	f()
	return ""
}

// TestPackageComment checks that example_test.go contains the code of the package
// comment, which therefore compiles and runs.
func TestPackageComment(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for line := range strings.Lines(string(example)) {
		have = append(have, squeezed(line))
	}
	compiled := strings.Join(have, "\n")
	lines := 0
	for block := range strings.SplitSeq(string(doc), "\n//\n") {
		if !strings.HasPrefix(block, "//\t") {
			continue
		}
		var want []string
		for line := range strings.Lines(block) {
			if line != "package testissuer\n" {
				want = append(want, squeezed(strings.TrimPrefix(line, "//\t")))
				lines++
			}
		}
		if text := strings.Join(want, "\n"); !strings.Contains(compiled, text) {
			t.Errorf("is not in example_test.go:\n%s", block)
		}
	}
	if lines < 20 {
		t.Errorf("only %d lines of code found in doc.go", lines)
	}
}

// squeezed returns a line without indentation and alignment, and without the comma
// behind an element of a list.
func squeezed(line string) string {
	return strings.Replace(strings.Join(strings.Fields(line), " "), "), //", ") //", 1)
}
