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

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

const audience = "https://api.test"

// inMemory is an issuer that ends with the test.
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

// judge is the verdict of a validator with the issuer's current keys, and with
// the algorithms given or the default ones.
func judge(tb testing.TB, issuer *testissuer.Issuer, token string, algorithms ...jose.Algorithm) (*validator.Token, error) {
	tb.Helper()
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{{
		URL:        issuer.URL(),
		Audiences:  []string{audience},
		Algorithms: algorithms,
		Keys:       jwkscache.Static(issuer.JWKS()),
	}}})
	if err != nil {
		tb.Fatal(err)
	}
	return v.Validate(context.Background(), validator.Presentation{Scheme: validator.Bearer, Token: token})
}

// expect judges token and compares the reason; "" means accepted.
func expect(tb testing.TB, issuer *testissuer.Issuer, token string, want validator.Reason, algorithms ...jose.Algorithm) {
	tb.Helper()
	if _, err := judge(tb, issuer, token, algorithms...); validator.ReasonOf(err) != want {
		tb.Errorf("reason %q (cause: %v), want %q", string(validator.ReasonOf(err)), errors.Unwrap(err), string(want))
	}
}

// answer is what a client got.
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

// get fetches what must be there.
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

// parts are the header and the claims of a token.
func parts(tb testing.TB, token string) (header, claims map[string]any) {
	tb.Helper()
	segments := strings.Split(token, ".")
	if len(segments) != 3 {
		tb.Fatalf("the token has %d segments", len(segments))
	}
	return object(tb, decoded(tb, segments[0])), object(tb, decoded(tb, segments[1]))
}

// panics runs f and answers with what it panicked with.
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

// TestPackageComment: the code of the package comment stands in
// example_test.go, and therefore compiles and runs.
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
			t.Errorf("does not stand in example_test.go:\n%s", block)
		}
	}
	if lines < 20 {
		t.Errorf("only %d lines of code found in doc.go", lines)
	}
}

// squeezed is a line without indentation and alignment, and without the comma
// that ends an element of a list.
func squeezed(line string) string {
	return strings.Replace(strings.Join(strings.Fields(line), " "), "), //", ") //", 1)
}
