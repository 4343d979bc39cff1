package jose_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-auth/sallyport/jose"
)

// TestHeadersAnswerAsParsing checks that a Headers returns what parsing returns,
// whatever it has stored.
func TestHeadersAnswerAsParsing(t *testing.T) {
	known := new(jose.Headers)
	headers := []string{
		`{"alg":"RS256","kid":"a","typ":"at+jwt"}`, `{"alg":"RS256","kid":"b","typ":"at+jwt"}`, `{"alg":"ES256","kid":"a"}`,
		`{"kid":"a","alg":"RS256","typ":"at+jwt"}`, `{"alg":"RS256","kid":"a","typ":"at+jwt" }`, `{"alg":"RS256","typ":"at+jwt"}`,
		`{"alg":"RS256","kid":"a","iss":"x"}`, `{"alg":"RS256","kid":"a","sub":"x"}`, `{"alg":"RS256","kid":"a","aud":"x"}`,
		`{"alg":"RS256","kid":"a","crit":["x"]}`, `{"alg":"RS256","kid":"a","b64":false}`, `{"alg":"RS256","kid":1}`, `{`, `{"alg":"x","kid":"a","typ":1}`,
		`{"alg":"RS256","kid":"` + strings.Repeat("k", 600) + `"}`,
	}
	for range 3 {
		for i, header := range headers {
			token := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." +
				base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"n":%d}`, i)) + ".AAAA"
			want, wantErr := jose.ParseCompact(token)
			got, err := known.ParseCompact(token)
			if fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Fatalf("%s: %v, want %v", header, err, wantErr)
			}
			if got.UnverifiedHeader() != want.UnverifiedHeader() || got.UnverifiedPayload() != want.UnverifiedPayload() {
				t.Errorf("%s: %+v, want %+v", header, got.UnverifiedHeader(), want.UnverifiedHeader())
			}
			if err == nil {
				known.Remember(&got)
			}
		}
	}
}

// TestHeadersKeep checks which headers are stored, and that the other segments of a
// token with a stored header are still checked.
func TestHeadersKeep(t *testing.T) {
	for header, want := range map[string]bool{
		`{"alg":"RS256","kid":"a","typ":"at+jwt"}`:                 true,
		`{"alg":"RS256","typ":"at+jwt"}`:                           false,
		`{"alg":"RS256","kid":"a","iss":"x"}`:                      false,
		`{"alg":"RS256","kid":"a","sub":"x"}`:                      false,
		`{"alg":"RS256","kid":"a","aud":"x"}`:                      false,
		`{"alg":"RS256","kid":"` + strings.Repeat("k", 358) + `"}`: true,
		`{"alg":"RS256","kid":"` + strings.Repeat("k", 362) + `"}`: false,
	} {
		known, segment := new(jose.Headers), base64.RawURLEncoding.EncodeToString([]byte(header))
		first, err := known.ParseCompact(segment + ".e30.AAAA")
		if err != nil {
			t.Fatal(err)
		}
		if first.Retained() != len(header)+2 {
			t.Errorf("%s: known before it was remembered", header)
		}
		known.Remember(&first)
		second, err := known.ParseCompact(segment + ".e30.AAAA")
		if err != nil || (second.Retained() == 2) != want {
			t.Errorf("%s: %d bytes retained, %v", header, second.Retained(), err)
		}
		for _, rest := range []string{".e3.AAAA", ".e.AAAA", ".e30.A", ".e30.AB", ".e31.AAAA"} {
			if _, err := known.ParseCompact(segment + rest); !errors.Is(err, jose.ErrMalformed) {
				t.Errorf("%s%s: %v", segment, rest, err)
			}
		}
		var none *jose.Headers
		none.Remember(&first)
		if got, err := none.ParseCompact(segment + ".e30.AAAA"); err != nil || got.Retained() != len(header)+2 {
			t.Errorf("%s: without memory: %v", header, err)
		}
	}
}

// TestHeadersTogether checks that concurrent calls with more headers than there are
// slots never return one header for another.
func TestHeadersTogether(t *testing.T) {
	known := new(jose.Headers)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for n := range 2000 {
				kid := fmt.Sprintf("k%d", (n*7+g)%700)
				token := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"`+kid+`"}`)) + ".e30.AAAA"
				u, err := known.ParseCompact(token)
				if got, _ := u.UnverifiedHeader().KeyID(); err != nil || got != kid {
					t.Errorf("%q for %q, %v", got, kid, err)
				}
				known.Remember(&u)
			}
		})
	}
	all.Wait()
}
