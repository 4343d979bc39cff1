package validator_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/validator"
)

// printed are the texts that v has under every verb and writer (R-OB-02).
func printed(t *testing.T, v any) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%t", "%b", "%e", "%U", "%c", "%10.3v", "%!"} {
		texts[verb] = fmt.Sprintf(verb, v)
	}
	texts["Print"] = fmt.Sprint(v)
	texts["Errorf"] = fmt.Errorf("refused: %v", v).Error() //nolint:err113 // the text is the point

	var encoded, text, structured bytes.Buffer
	if err := json.NewEncoder(&encoded).Encode(v); err != nil {
		t.Fatal(err)
	}
	texts["json"] = encoded.String()
	if b, err := xml.Marshal(v); err == nil { // maps cannot be written
		texts["xml"] = string(b)
	}
	if pointer := reflect.ValueOf(v); pointer.Kind() != reflect.Pointer || !pointer.IsNil() { // which gob panics on
		var binary bytes.Buffer
		if err := gob.NewEncoder(&binary).Encode(v); err == nil { // nor what has no exported field
			texts["gob"] = binary.String()
		}
	}
	for _, logger := range []*slog.Logger{slog.New(slog.NewTextHandler(&text, nil)), slog.New(slog.NewJSONHandler(&structured, nil))} {
		logger.Info("seen", "value", v)
		logger.With("value", v).WithGroup("g").Info("seen", slog.Group("nested", slog.Any("value", v)))
	}
	texts["slog text"], texts["slog JSON"] = text.String(), structured.String()
	return texts
}

// noCanary fails for each text that shows the canary, plain or in hexadecimal.
func noCanary(t *testing.T, texts map[string]string) {
	t.Helper()
	hidden := hex.EncodeToString([]byte(canary))
	for writer, text := range texts {
		plain := strings.ToLower(strings.ReplaceAll(text, " ", ""))
		if strings.Contains(text, canary) || strings.Contains(plain, hidden) || strings.Contains(text, b64(canary)) {
			t.Errorf("%s shows the canary: %.200s", writer, text)
		}
	}
}

// TestTokenRedaction (R-OB-02): a printed Token shows neither subject nor
// claims, however it is held.
func TestTokenRedaction(t *testing.T) {
	claims := baseClaims
	for _, name := range []string{"sub", "acr", "scope", "azp", "email"} {
		claims = claims.with(name, `"`+canary+`"`)
	}
	claims = claims.with("amr", `["`+canary+`"]`).with("act", `{"sub":"`+canary+`"}`).with("aud", `["`+testAudience+`","`+canary+`"]`)
	token := expect(t, issuertest.Validator(t, baseConfig()), bearer(testKey.token(claims)), 0, "", "")
	if token.Subject() != canary {
		t.Fatal("the canary is not in the token")
	}
	type holder struct{ Token *validator.Token }
	type copied struct{ Token validator.Token }
	type hidden struct{ token *validator.Token }
	type hiddenCopy struct{ token validator.Token }
	for name, v := range map[string]any{
		"pointer": token, "in a struct": holder{token}, "in a pointed struct": &holder{token},
		"in a slice": []*validator.Token{token}, "in a map": map[string]*validator.Token{"a": token}, "in any": []any{token},
		"value": *token, "value in a struct": copied{*token}, "value in a slice": []validator.Token{*token},
		"in an unexported field": hidden{token}, "in a pointed unexported field": &hidden{token}, "value in an unexported field": hiddenCopy{*token},
		"verdict": validator.ValidateDone{Issuer: testIssuer, Token: token},
	} {
		t.Run(name, func(t *testing.T) {
			noCanary(t, printed(t, v))
			for _, verb := range []string{"%w", "%p"} { // mistakes, which fmt answers with a dump of the value
				noCanary(t, map[string]string{verb: fmt.Sprintf(verb, v)})
			}
		})
	}
	const want = `Token(iss="https://as.example.com" client_id="client-1" jti="jti-0001" exp=1700003600)`
	texts := printed(t, token)
	for _, writer := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "Print"} {
		if texts[writer] != want {
			t.Errorf("%s writes %s", writer, texts[writer])
		}
	}
	if got := strings.TrimSpace(texts["json"]); got != fmt.Sprintf("%q", want) {
		t.Errorf("json writes %s", got)
	}
	for writer, want := range map[string]string{
		"slog text": `value.iss=https://as.example.com value.client_id=client-1 value.jti=jti-0001 value.exp=2023-11-14T`,
		"slog JSON": `"value":{"iss":"https://as.example.com","client_id":"client-1","jti":"jti-0001","exp":"2023-11-14T`,
	} {
		if !strings.Contains(texts[writer], want) {
			t.Errorf("%s writes %s", writer, texts[writer])
		}
	}
	for name, worthless := range map[string]*validator.Token{"nil": nil, "zero": {}} {
		if got := printed(t, worthless)["%v"]; got != "<nil>" && !strings.HasPrefix(got, `Token(iss="" client_id="" jti=""`) {
			t.Errorf("%s prints as %s", name, got)
		}
	}
}

// canaryPresentation has the canary in every field.
func canaryPresentation() validator.Presentation {
	return validator.Presentation{
		Scheme: validator.Bearer, Token: canary, Proofs: []string{canary}, Method: canary,
		URL:         &url.URL{Scheme: "https", Host: "api.example.com", RawQuery: "access_token=" + canary},
		Certificate: &x509.Certificate{Raw: []byte(canary), Subject: pkix.Name{CommonName: canary}},
		Demands:     validator.Demands{Audiences: []string{canary}},
	}
}

// TestPresentationVerbs (R-OB-02): a Presentation prints redacted under every verb
// but %w and %p, under which fmt asks no Formatter, as its documentation says. %T
// writes the type.
func TestPresentationVerbs(t *testing.T) {
	p := canaryPresentation()
	for verb := '!'; verb <= '~'; verb++ {
		if strings.ContainsRune("!#%*+-.0123456789[Tpw", verb) { // flags, and what is said above
			continue
		}
		for name, v := range map[string]any{"value": p, "pointer": &p, "exported field": struct{ P validator.Presentation }{p}, "slice": []validator.Presentation{p}} {
			text := fmt.Sprintf("%"+string(verb), v)
			noCanary(t, map[string]string{"%" + string(verb) + " of a " + name: text})
			if !strings.Contains(text, "Presentation(Bearer, 11 bytes)") {
				t.Errorf("%%%c of a %s writes %s", verb, name, text)
			}
		}
	}
	for _, verb := range []string{"%w", "%p"} {
		if text := fmt.Sprintf(verb, p); !strings.Contains(text, canary) {
			t.Errorf("%s writes %s: the documentation says otherwise", verb, text)
		}
	}
}

// TestSealedRedaction (R-OB-02): a Sealed shows no more than the scheme and a
// length wherever it stands, also where fmt can call no method.
func TestSealedRedaction(t *testing.T) {
	p := canaryPresentation()
	s := p.Sealed()
	type exported struct{ Sealed validator.Sealed }
	type hidden struct{ sealed validator.Sealed }
	type hiddenPointer struct{ sealed *validator.Sealed }
	type embedded struct{ validator.Sealed }
	type boxed struct{ v any }
	for name, v := range map[string]any{
		"value": s, "pointer": &s, "exported field": exported{s}, "unexported field": hidden{s}, "pointed struct": &hidden{s},
		"pointer in an unexported field": hiddenPointer{&s}, "embedded": embedded{s}, "slice": []hidden{{s}}, "map": map[string]hidden{"a": {s}},
		"any in an unexported field": boxed{s}, "nested": boxed{[]hidden{{s}}},
	} {
		t.Run(name, func(t *testing.T) {
			noCanary(t, printed(t, v))
			for _, verb := range []string{"%w", "%p"} { // mistakes, which fmt answers with a dump of the value
				noCanary(t, map[string]string{verb: fmt.Sprintf(verb, v)})
			}
		})
	}
	for writer, text := range printed(t, s) {
		if !strings.Contains(text, "Presentation(Bearer, 11 bytes)") {
			t.Errorf("%s writes %s", writer, text)
		}
	}
	if !reflect.DeepEqual(s.Presentation(), p) || !reflect.DeepEqual(validator.Sealed{}.Presentation(), validator.Presentation{}) {
		t.Errorf("what was sealed is not what comes out: %v", s.Presentation())
	}
}

// TestPresentationRedaction (R-OB-02): a printed Presentation shows the scheme
// and a length.
func TestPresentationRedaction(t *testing.T) {
	p := canaryPresentation()
	type embedded struct{ validator.Presentation }
	type holder struct{ Presentation validator.Presentation }
	for name, v := range map[string]any{
		"value": p, "pointer": &p, "in a struct": holder{p}, "in a pointed struct": &holder{p},
		"in a slice": []validator.Presentation{p}, "in a map": map[string]*validator.Presentation{"a": &p}, "in any": []any{p},
		"embedded": embedded{p}, "in a slice of structs": []holder{{p}}, "beside others": struct {
			Name string
			P    validator.Presentation
		}{"a", p},
	} {
		t.Run(name, func(t *testing.T) { noCanary(t, printed(t, v)) })
	}
	for writer, text := range printed(t, p) {
		if !strings.Contains(text, "Presentation(Bearer, 11 bytes)") {
			t.Errorf("%s writes %s", writer, text)
		}
	}
	if got := fmt.Sprint(validator.Presentation{}); got != "Presentation(none, 0 bytes)" {
		t.Errorf("the zero Presentation prints as %s", got)
	}
}

// TestVerdictRedaction: what the hooks get can be logged as it is (R-OB-02).
func TestVerdictRedaction(t *testing.T) {
	var dones []validator.ValidateDone
	config := baseConfig()
	config.Trace = recording(&dones)
	v := issuertest.Validator(t, config)
	for _, token := range canaryTokens() {
		if _, err := v.Validate(at(0), demanding(token)); err == nil {
			t.Fatal("accepted")
		}
	}
	if len(dones) != len(canaryTokens()) {
		t.Fatalf("%d verdicts", len(dones))
	}
	for _, done := range dones {
		noCanary(t, printed(t, done))
		noCanary(t, printed(t, done.Err))
	}
}
