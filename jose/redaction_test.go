package jose_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/jose"
)

// TestRedaction covers R-OB-02 for parsed tokens: printing one writes neither a
// usable token nor text that its sender chose.
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

// TestRedactionInside covers R-OB-02 for an Unverified in another struct, also in a
// field whose methods fmt cannot call.
func TestRedactionInside(t *testing.T) {
	const canary = "CANARY"
	compact := token(t, jose.EdDSA, keyFor(jose.EdDSA), `{"alg":"EdDSA","kid":"`+canary+`"}`, `{"sub":"`+canary+`"}`)
	u := *parse(t, compact)
	type exported struct{ U jose.Unverified }
	type pointed struct{ U *jose.Unverified }
	type hidden struct{ u jose.Unverified }
	type hiddenPointer struct{ u *jose.Unverified }
	type embedded struct{ jose.Unverified }
	type nested struct{ inner []hidden }
	type boxed struct{ v any }
	for name, v := range map[string]any{
		"value": u, "pointer": &u, "exported field": exported{u}, "pointer in an exported field": pointed{&u},
		"unexported field": hidden{u}, "pointed struct": &hidden{u}, "pointer in an unexported field": hiddenPointer{&u},
		"embedded": embedded{u}, "slice": []jose.Unverified{u}, "slice of structs": []hidden{{u}}, "map": map[string]hidden{"a": {u}},
		"nested": nested{[]hidden{{u}}}, "any in an unexported field": boxed{u}, "array of pointers": [1]*hidden{{u}},
	} {
		for writer, text := range writings(v) {
			plain := strings.ToLower(strings.ReplaceAll(text, " ", ""))
			for secret := range strings.SplitSeq(compact, ".") {
				raw, err := base64.RawURLEncoding.DecodeString(secret)
				if err != nil {
					t.Fatal(err)
				}
				decimal := strings.Trim(fmt.Sprintf("%d", raw[:8]), "[]")
				if strings.Contains(text, secret) || strings.Contains(text, string(raw)) || strings.Contains(text, decimal) ||
					strings.Contains(plain, hex.EncodeToString([]byte(secret))) || strings.Contains(plain, hex.EncodeToString(raw)) {
					t.Errorf("%s: %s shows a segment: %.200s", name, writer, text)
				}
			}
			if strings.Contains(text, canary) {
				t.Errorf("%s: %s shows the canary: %.200s", name, writer, text)
			}
		}
	}
}

// writings returns the texts of v under every verb and from every writer. A writer
// that returns an error has no text.
func writings(v any) map[string]string {
	texts := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%t", "%b", "%e", "%U", "%c", "%p", "%w", "%!", "%10.3v"} {
		texts[verb] = fmt.Sprintf(verb, v)
	}
	var text, structured, binary bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("seen", "value", v)
	slog.New(slog.NewJSONHandler(&structured, nil)).Info("seen", "value", v)
	_ = gob.NewEncoder(&binary).Encode(v)
	texts["slog text"], texts["slog JSON"], texts["gob"] = text.String(), structured.String(), binary.String()
	if b, err := json.Marshal(v); err == nil {
		texts["json"] = string(b)
	}
	if b, err := xml.Marshal(v); err == nil {
		texts["xml"] = string(b)
	}
	return texts
}
