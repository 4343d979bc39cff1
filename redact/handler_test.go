package redact_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/sallyport-auth/sallyport/redact"
	"github.com/sallyport-auth/sallyport/validator"
)

// The credentials of the tests. No 12 bytes of them may be in a log.
const (
	jwt    = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJDQU5BUlktNWYxYzllIn0.U2lnbmF0dXJlLUNBTkFSWQ"
	opaque = "Canary+opaque/5f1c9e~token=="
)

func newHandler(tb testing.TB, next slog.Handler, names ...string) *redact.Handler {
	tb.Helper()
	h, err := redact.New(redact.Config{Handler: next, Names: names})
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

// TestSlog (A3): the Handler keeps the contract of slog.Handler.
func TestSlog(t *testing.T) {
	var log bytes.Buffer
	slogtest.Run(t, func(t *testing.T) slog.Handler {
		log.Reset()
		return newHandler(t, slog.NewJSONHandler(&log, nil))
	}, func(t *testing.T) map[string]any {
		var got map[string]any
		if err := json.Unmarshal(log.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		return got
	})
}

// printer is a handler that never resolves a value and prints it as it is.
type printer struct {
	log   *bytes.Buffer
	verb  string
	attrs []slog.Attr
}

func (p printer) Enabled(context.Context, slog.Level) bool { return true }
func (p printer) WithGroup(string) slog.Handler            { return p }
func (p printer) WithAttrs(attrs []slog.Attr) slog.Handler {
	p.attrs = append(slices.Clip(p.attrs), attrs...)
	return p
}

func (p printer) Handle(_ context.Context, record slog.Record) error {
	_, _ = fmt.Fprintf(p.log, p.verb+"\n", record.Message)
	for _, attr := range p.attrs {
		_, _ = fmt.Fprintf(p.log, p.verb+"\n", attr.Value.Any())
	}
	record.Attrs(func(attr slog.Attr) bool {
		_, _ = fmt.Fprintf(p.log, p.verb+"\n", attr.Value.Any())
		return true
	})
	return nil
}

type (
	stringer  struct{ hidden string }
	marshaler struct{ hidden string }
	valuer    struct{ hidden string }
	formatter struct{ hidden string }
	broken    struct{ hidden string }
	// nested has a token in fields of all kinds.
	nested struct {
		AccessToken  string
		RefreshToken string `json:"other"`
		Renamed      string `json:"client_secret"`
		Deep         map[string][]any
		Pointer      *string
		Bytes        []byte
		hidden       string
	}
)

func (s stringer) String() string { return "Bearer " + s.hidden }
func (m marshaler) MarshalJSON() ([]byte, error) {
	return []byte(`{"access_token":"` + m.hidden + `"}`), nil
}

func (v valuer) LogValue() slog.Value          { return slog.GroupValue(slog.String("token", v.hidden)) }
func (f formatter) Format(s fmt.State, _ rune) { _, _ = fmt.Fprintf(s, "Bearer %s", f.hidden) }
func (b broken) String() string                { panic(b.hidden) }

// places are attributes that hold a token, each in another way.
func places(token string) map[string]slog.Attr {
	header := http.Header{"Authorization": {"Bearer " + token}, "Dpop": {token}, "X-Auth-Token": {token}, "Cookie": {"a=" + token}, "Accept": {"*/*"}}
	metadata := map[string][]string{"authorization": {"bearer " + token}, "grpcgateway-authorization": {token}, "dpop-bin": {token}, "grpcgateway-cookie": {token}}
	u, err := url.Parse("https://user:" + url.QueryEscape(token) + "@api.example/x?access_token=" + url.QueryEscape(token) + "&logout_token=" + url.QueryEscape(token) + "&code=" + url.QueryEscape(token) + "&q=1#token=" + url.QueryEscape(token) + "&code=" + url.QueryEscape(token))
	if err != nil {
		panic(err)
	}
	form := url.Values{"token": {token}, "client_secret": {token}, "client_assertion": {token}}
	return map[string]slog.Attr{
		"name":          slog.String("access_token", token),
		"scheme":        slog.String("header", "Bearer "+token),
		"header":        slog.Any("header", header),
		"printed map":   slog.String("header", fmt.Sprintf("%v", header)),
		"quoted map":    slog.String("header", fmt.Sprintf("%q", header)),
		"go map":        slog.String("header", fmt.Sprintf("%#v", header)),
		"metadata":      slog.Any("md", metadata),
		"printed md":    slog.String("md", fmt.Sprintf("%v", metadata)),
		"form":          slog.Any("form", form),
		"encoded form":  slog.String("body", form.Encode()),
		"URL":           slog.Any("url", u),
		"URL value":     slog.Any("url", *u),
		"URL text":      slog.String("url", "/x?access_token="+url.QueryEscape(token)+"&q=1"),
		"error":         slog.Any("err", fmt.Errorf("got %w", errors.New("Bearer "+token))),
		"joined":        slog.Any("err", errors.Join(errors.New("a"), errors.New("token="+token))),
		"Stringer":      slog.Any("v", stringer{token}),
		"pointer":       slog.Any("v", &stringer{token}),
		"json":          slog.Any("v", marshaler{token}),
		"raw JSON":      slog.Any("v", json.RawMessage(`{"access_token": "`+token+`", "a": 1}`)),
		"JSON text":     slog.String("v", `{"access_token":"`+token+`"}`),
		"quoted JSON":   slog.String("v", fmt.Sprintf("%q", `{"access_token":"`+token+`"}`)),
		"bytes":         slog.Any("v", []byte("Authorization: Bearer "+token+"\r\nAccept: */*")),
		"named bytes":   slog.Any("password", []byte(token)),
		"LogValuer":     slog.Any("v", valuer{token}),
		"listed valuer": slog.Any("v", []any{valuer{token}}),
		"Formatter":     slog.Any("v", formatter{token}),
		"panic":         slog.Any("v", broken{token}),
		"struct":        slog.Any("v", nested{token, token, token, map[string][]any{"tokens": {token, 1, []string{token}}}, &[]string{"Bearer " + token}[0], []byte("DPoP " + token), token}),
		"any map":       slog.Any("v", map[string]any{"secret": map[string]any{"a": token}, "b": []any{map[string]string{"refresh_token": token}}}),
		"group":         slog.Group("a", slog.Group("b", slog.Group("c", slog.String("token", token)))),
		"attr":          slog.Any("v", slog.String("token", token)),
		"key":           slog.Int("Bearer "+token, 1),
		"group key":     slog.Group("Bearer "+token, "a", 1),
		"map key":       slog.Any("v", map[string]int{"Bearer " + token: 1}),
		"extra name":    slog.String("Session", token),
		"array":         slog.Any("cookies", [2]string{token, token}),
		"request":       slog.Any("request", &http.Request{Method: "GET", URL: u, Header: header}),
		"presentation":  slog.Any("p", validator.Presentation{Scheme: validator.Bearer, Token: token}),
	}
}

// pieces reports a piece of 12 bytes of the secret that is in text, or "".
func pieces(text, secret string) string {
	for i := 0; i+12 <= len(secret); i++ {
		if piece := secret[i : i+12]; strings.Contains(text, piece) || strings.Contains(text, url.QueryEscape(piece)) {
			return piece
		}
	}
	return ""
}

// TestPlaces (R-OB-01, R-OB-03, A1, A3): no piece of a token comes through, wherever it stands: given with a record, by With, in groups, and in the message; for
// handlers that write text and JSON, that do not resolve, and that print with other verbs.
func TestPlaces(t *testing.T) {
	for name, sink := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		"%v":   func(b *bytes.Buffer) slog.Handler { return printer{log: b, verb: "%v"} },
		"%+v":  func(b *bytes.Buffer) slog.Handler { return printer{log: b, verb: "%+v"} },
		"%#v":  func(b *bytes.Buffer) slog.Handler { return printer{log: b, verb: "%#v"} },
	} {
		for kind, token := range map[string]string{"JWT": jwt, "opaque": opaque} {
			for place, attr := range places(token) {
				for way, write := range map[string]func(*slog.Logger){
					"record":  func(l *slog.Logger) { l.Info("message", attr) },
					"With":    func(l *slog.Logger) { l.With(attr).Info("message") },
					"group":   func(l *slog.Logger) { l.WithGroup("g").With(attr).WithGroup("h").Info("message", attr) },
					"message": func(l *slog.Logger) { l.Info("token=" + token + " and Bearer " + token) },
				} {
					var log bytes.Buffer
					write(slog.New(newHandler(t, sink(&log), "session")))
					if piece := pieces(log.String(), token); piece != "" {
						t.Errorf("%s, %s, %s, %s: %q is in %s", name, kind, place, way, piece, log.String())
					}
					if log.Len() < 10 {
						t.Errorf("%s, %s: nothing was written", name, place)
					}
				}
			}
		}
	}
}

// TestKept: what is no credential stays.
func TestKept(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(newHandler(t, slog.NewJSONHandler(&log, nil), "session"))
	u, _ := url.Parse("https://api.example/a?q=1&access_token=x#f=2")
	logger.With("a", "b").WithGroup("g").Info("the token expired; Bearer token missing", "n", 1, "tokens", 5, "yes", true, "d", time.Second, "token", "", "err", errors.New("token: expired"),
		"list", []int{1, 2}, "map", map[int]string{1: "one"}, "url", u, "nil", nil, "struct", struct{ A, b int }{1, 2}, "time", time.Unix(0, 0).UTC(), "type", "at+jwt",
		"nilp", (*url.URL)(nil), "bin", []byte{0xff}, "f", func() {}, "token_hash", "0123456789abcdef")
	var got map[string]any
	if err := json.Unmarshal(log.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "time")
	delete(got, "level")
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"a":"b","g":{"bin":"[1 bytes]","d":1000000000,"err":"token: expired","f":"[func()]","list":[1,2],"map":{"1":"one"},"n":1,"nil":null,"nilp":"","struct":{"A":1},"time":"1970-01-01T00:00:00Z",` +
		`"token":"","token_hash":"0123456789abcdef","tokens":5,"type":"at+jwt","url":"https://api.example/a?q=1\u0026access_token=[redacted]#f=2","yes":true},"msg":"the token expired; Bearer token missing"}`
	if string(text) != want {
		t.Errorf("%s\nwant\n%s", text, want)
	}
}

// TestBounds: values without an end, deep ones and long ones are cut.
func TestBounds(t *testing.T) {
	type node struct{ Next *node }
	ring := &node{}
	ring.Next = ring
	var log bytes.Buffer
	logger := slog.New(newHandler(t, slog.NewTextHandler(&log, nil)))
	logger.Info("m", "ring", ring, "long", make([]string, 1_000_000))
	if log.Len() > 20_000 || !strings.Contains(log.String(), "[left out]") || strings.Count(log.String(), "Next") > 8 {
		t.Errorf("%d bytes: %.1000s", log.Len(), log.String())
	}
	log.Reset()
	many := make(map[int]int)
	for i := range 5000 {
		many[i] = i
	}
	logger.Info("m", "many", many)
	if n := strings.Count(log.String(), ":"); n > 600 || !strings.Contains(log.String(), "[left out]:[left out]") {
		t.Errorf("%d members: %.1000s", n, log.String())
	}
	log.Reset()
	logger.Info("m", "v", struct {
		Long  []struct{}
		After string
	}{make([]struct{}, 2000), "more parts"})
	if !strings.Contains(log.String(), "[left out]") || strings.Contains(log.String(), "more parts") {
		t.Errorf("%.1000s", log.String())
	}
}

// TestFaults: New reports all faults. The zero Handler writes nothing.
func TestFaults(t *testing.T) {
	_, err := redact.New(redact.Config{Names: []string{"a", ""}})
	if err == nil || !strings.Contains(err.Error(), "Handler") || !strings.Contains(err.Error(), "Names[1]") {
		t.Error(err)
	}
	for _, h := range []*redact.Handler{nil, {}} {
		logger := slog.New(h)
		logger.With("a", 1).WithGroup("b").Info("c")
		if err := h.Handle(t.Context(), slog.Record{}); err != nil || h.Enabled(t.Context(), slog.LevelError) {
			t.Error(err)
		}
	}
}

// FuzzText: what the text scan leaves has no JWT, and scanning again changes nothing that
// matters.
func FuzzText(f *testing.F) {
	f.Add("Bearer ", " x")
	f.Add(`{"access_token":"`, `"}`)
	f.Add(`token=\"`, `\"`)
	f.Add("DPoP: [", "]")
	f.Fuzz(func(t *testing.T, before, after string) {
		text := redact.Text(before + " " + jwt + " " + after)
		if strings.Contains(text, jwt[:40]) || strings.Contains(text, "DQU5BUlktNWYx") {
			t.Errorf("%q", text)
		}
	})
}
