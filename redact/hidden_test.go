package redact_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/redact"
)

// hidden is a token that only its place tells.
const hidden = "Zq7-9fKcanary41XyTW0"

// shown is a value that shows itself by LogValue.
type shown struct{ value slog.Value }

func (s shown) LogValue() slog.Value { return s.value }

// inJSON returns an object in JSON with a text.
func inJSON(tb testing.TB, name, text string) string {
	tb.Helper()
	b, err := json.Marshal(map[string]string{name: text})
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// TestHidden (R-OB-01, A1, A3): tokens in encoded texts and in values that have a form of their own.
func TestHidden(t *testing.T) {
	callback := "https://login.example/?redirect_uri=" + url.QueryEscape("https://app.example/cb?q=1&access_token="+hidden+"&x=1")
	parsed, err := url.Parse(callback)
	if err != nil {
		t.Fatal(err)
	}
	once := inJSON(t, "access_token", hidden)
	for name, value := range map[string]any{
		"JSON in JSON":           inJSON(t, "body", once),
		"JSON in JSON in JSON":   inJSON(t, "body", inJSON(t, "body", once)),
		"4 times JSON":           inJSON(t, "body", inJSON(t, "body", inJSON(t, "body", once))),
		"URL in URL":             parsed,
		"text of URL in URL":     callback,
		"URL in URL in URL":      "https://a.example/?u=" + url.QueryEscape(callback),
		"JSON in URL":            url.QueryEscape(once),
		"scheme in URL":          "a=" + url.PathEscape("Bearer "+hidden),
		"scheme after %20":       url.PathEscape("x Bearer " + hidden),
		"scheme in form":         "a=Bearer+" + hidden,
		"option of curl":         "curl --oauth2-bearer " + hidden,
		"arrow":                  "token => " + hidden,
		"assignment":             "token := " + hidden,
		"comparison":             "token == " + hidden,
		"password in URL":        "postgres://user:" + hidden + "@db.example/x",
		"user in URL":            `Get "https://` + hidden + `@api.example/": EOF`,
		"password with @":        "https://u:a@" + hidden + "@api.example/",
		"cookie":                 &http.Cookie{Name: "sid", Value: hidden},
		"cookies":                []*http.Cookie{{Name: "sid", Value: hidden}},
		"cookie value":           http.Cookie{Name: "sid", Value: hidden},
		"group":                  slog.GroupValue(slog.Group("client_secret", "value", hidden)),
		"group in group":         slog.GroupValue(slog.Group("password", slog.Group("a", "b", hidden))),
		"values":                 []slog.Value{slog.GroupValue(slog.String("token", hidden))},
		"struct in a value":      []slog.Value{slog.AnyValue(struct{ hidden string }{hidden})},
		"LogValuer in a value":   []slog.Value{slog.AnyValue(shown{slog.GroupValue(slog.String("token", hidden))})},
		"LogValuer in LogValuer": shown{slog.AnyValue(shown{slog.GroupValue(slog.String("token", hidden))})},
	} {
		var log bytes.Buffer
		slog.New(newHandler(t, slog.NewTextHandler(&log, nil))).Info("m", "v", value)
		if piece := pieces(log.String(), hidden); piece != "" {
			t.Errorf("%s: %s", name, log.String())
		}
	}
	var log bytes.Buffer
	logger := slog.New(newHandler(t, slog.NewTextHandler(&log, nil)))
	logger.WithGroup("client_secret").With("a", hidden).WithGroup("b").Info("m", "v", hidden)
	logger.Info("m", jwt, 1)
	logger.WithGroup(jwt).Info("m", "a", 1)
	logger.Info("m", slog.Group("a", slog.Int(jwt, 1)))
	for _, secret := range []string{hidden, jwt} {
		if piece := pieces(log.String(), secret); piece != "" {
			t.Errorf("names and groups: %q in %s", piece, log.String())
		}
	}
}

// TestPrivateKeys (R-OB-01): private keys come through in no form that is known.
func TestPrivateKeys(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	cut, _, _ := strings.Cut(text, "-----END")
	for name, value := range map[string]any{
		"pointer": key, "value": *key, "struct": struct{ Signer any }{key}, "PEM": text, "PEM in JSON": inJSON(t, "a", text), "PEM without an end": "x " + cut,
		"EC": strings.ReplaceAll(text, "PRIVATE", "EC PRIVATE"), "bytes": []byte(text),
	} {
		var log bytes.Buffer
		slog.New(newHandler(t, slog.NewTextHandler(&log, nil))).Info("m", "v", value, "after", "stays")
		d := key.D.String() //nolint:staticcheck // what printers show
		for _, secret := range append(strings.Split(text, "\n")[1:3], d) {
			if piece := pieces(log.String(), secret); piece != "" {
				t.Errorf("%s: %q in %s", name, piece, log.String())
			}
		}
		if !strings.Contains(log.String(), "after=stays") {
			t.Errorf("%s: %s", name, log.String())
		}
	}
	const public = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYI\n-----END PUBLIC KEY-----"
	if got := redact.Text(public); got != public {
		t.Errorf("a public key became %q", got)
	}
}

// endless shows itself as a group that it is in, twice.
type endless struct{}

func (e endless) LogValue() slog.Value {
	return slog.GroupValue(slog.Any("a", e), slog.Any("b", e))
}

// TestEndless (A3): values whose methods return themselves have an end.
func TestEndless(t *testing.T) {
	members := make([]slog.Attr, 100_000)
	for i := range members {
		members[i] = slog.Int(strconv.Itoa(i), i)
	}
	wide := shown{slog.GroupValue(members...)}
	for name, value := range map[string]any{"group": endless{}, "list": []any{endless{}}, "wide list": []any{wide, "stays"}, "wide group": slog.GroupValue(slog.Any("a", wide), slog.Int("b", 1))} {
		var log bytes.Buffer
		slog.New(newHandler(t, slog.NewTextHandler(&log, nil))).Info("m", "v", value)
		if log.Len() > 500_000 || !strings.Contains(log.String(), "[left out]") {
			t.Errorf("%s: %d bytes: %.200s", name, log.Len(), log.String())
		}
	}
}

// TestKeptGroups: what a type shows of itself stays, also under the name of a credential, and so do URLs without user information.
func TestKeptGroups(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(newHandler(t, slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})))
	logger.Info("at https://api.example/a@b and a://b, c@d; 100%token is bad", "token", shown{slog.GroupValue(slog.String("issuer", "a"))})
	if got, want := log.String(), `level=INFO msg="at https://api.example/a@b and a://b, c@d; 100%token is bad" token.issuer=a`+"\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := redact.URL(&url.URL{Scheme: "https", User: url.UserPassword("a", "b"), Host: "api.example"}), "https://redacted@api.example"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := redact.Text("x%20Basic%20abc"), "x%20Basic%20abc"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
