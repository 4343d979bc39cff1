package jose_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/jose"
)

// TestRedaction covers R-OB-02 for what was parsed: whoever prints it by mistake
// does not print a usable token, nor what its sender chose.
func TestRedaction(t *testing.T) {
	const canary = "CANARY"
	compact := unsigned(`{"alg":"ES256","kid":"` + canary + `","typ":"` + canary + `","iss":"` + canary + `"}`)
	u, err := jose.ParseCompact(compact)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{u, &u, u.UnverifiedHeader()} {
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("seen", "value", v)
		texts := []string{log.String()}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			texts = append(texts, fmt.Sprintf(verb, v))
		}
		for _, text := range texts {
			if strings.Contains(text, canary) || strings.Contains(text, compact[:20]) || !strings.Contains(text, "ES256") {
				t.Errorf("%T prints as %s", v, text)
			}
		}
	}
}
