package adapters

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/metadata"

	"github.com/sallyport-auth/sallyport/audit"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/metrics"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/redact"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// pieceLength is the length of the shortest piece of a secret that is looked for.
const pieceLength = 12

// beginning is the beginning of a form of a piece, by which forms are found.
type beginning [8]byte

// pieces are all forms of all pieces of secrets, with the names of the secrets.
type pieces map[beginning]map[string]string

// add adds the forms of the pieces of a secret: as it is, escaped for URLs, in hex, in base64 and as lists of numbers.
func (p pieces) add(name string, secret []byte) {
	put := func(form string) {
		begin := beginning([]byte(form[:8]))
		if p[begin] == nil {
			p[begin] = map[string]string{}
		}
		p[begin][form] = name
	}
	for at := 0; at+pieceLength <= len(secret); at++ {
		piece := secret[at : at+pieceLength]
		put(string(piece))
		put(url.QueryEscape(string(piece)))
		put(hex.EncodeToString(piece))
		put(strings.ToUpper(hex.EncodeToString(piece)))
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			put(encoding.EncodeToString(piece)) // 12 bytes have no padding, and every third piece is at the right place
		}
		put(strings.Trim(fmt.Sprintf("%d", piece), "[]"))
		put(strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", piece), "[]byte{"), "}"))
	}
}

// find returns the secret of which a piece is in text, and where; "" if there is none.
func (p pieces) find(text string) (name string, at int) {
	for at := range max(0, len(text)-8) {
		for form, name := range p[beginning([]byte(text[at:at+8]))] {
			if strings.HasPrefix(text[at:], form) {
				return name, at
			}
		}
	}
	return "", 0
}

// sinks collects all that is written, told, returned and answered.
type sinks struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *sinks) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

// all writes values in every form in which a program may write them, with the chains of errors.
func (s *sinks) all(values ...any) {
	loggers := []*slog.Logger{
		slog.New(slog.NewJSONHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})),
		slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, value := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			_, _ = fmt.Fprintf(s, verb+"\n", value)
			_, _ = fmt.Fprintf(s, verb+"\n", struct{ v any }{value})
		}
		if text, err := json.Marshal(value); err == nil {
			_, _ = s.Write(text)
		}
		for _, logger := range loggers {
			logger = logger.With("with", value).WithGroup("g")
			for _, write := range []func(string, ...any){logger.Debug, logger.Info, logger.Warn, logger.Error} {
				write("m", "v", value, slog.Group("g", "v", value))
			}
		}
		err, _ := value.(error)
		for err = errors.Unwrap(err); err != nil; err = errors.Unwrap(err) {
			_, _ = fmt.Fprintf(s, "%v\n%+v\n%#v\n%q\n", err, err, err, err)
		}
	}
}

// panicking writes values and panics, as a hook with a fault would.
func (s *sinks) panicking(values ...any) {
	s.all(values...)
	panic("a hook with a fault")
}

// validatorTrace writes all that the hooks of package validator get.
func (s *sinks) validatorTrace() *validator.Trace {
	return &validator.Trace{
		ValidateDone: func(_ context.Context, done validator.ValidateDone) { s.panicking(done, done.Err, done.Token) },
		Keys: &jwkscache.Trace{
			FetchDone:  func(issuer string, done jwkscache.FetchDone) { s.panicking(issuer, done, done.Err) },
			UnknownKid: func(issuer string, asked jwkscache.UnknownKid) { s.panicking(issuer, asked) },
		},
		Introspection: &introspect.Trace{
			AskDone:      func(issuer string, done introspect.AskDone) { s.panicking(issuer, done, done.Err) },
			StateChanged: func(issuer string, state introspect.State) { s.panicking(issuer, state) },
		},
	}
}

// middlewareTrace does it for package middleware.
func (s *sinks) middlewareTrace() *middleware.Trace {
	told := func(ctx context.Context, d middleware.Decision) {
		s.all(ctx, d.TokenHash([]byte("key")))
		if d.Denial != nil {
			s.all(d.Denial, d.Denial.Cause())
		}
		s.panicking(d, d.Token)
	}
	return &middleware.Trace{Decided: told, HeldEnded: told, TokenInURL: func(context.Context) { s.panicking("token in URL") }}
}

// damaged returns a token damaged in many places: a byte replaced, removed and doubled, and the rest cut off.
func damaged(token string) []string {
	var all []string
	for at := 7; at < len(token); at += 50 {
		all = append(all, token[:at]+"!"+token[at+1:], token[:at]+"~"+token[at+1:], token[:at]+token[at+1:], token[:at]+token[at:at+1]+token[at:], token[:at])
	}
	return all
}

// secretPart returns a token without the header of a JWT, which is the same in many tokens and in key sets.
func secretPart(token string) string {
	if _, rest, ok := strings.Cut(token, "."); ok || strings.HasPrefix(token, "eyJ") {
		return rest
	}
	return token
}

// canary is a service for the canary test: secrets that its issuers know, and all sinks.
type canary struct {
	sinks   *sinks
	secrets pieces
	bearers []string // values of Authorization
	damaged []string // more of them
}

// addKey adds a private key.
func (c *canary) addKey(t *testing.T, name string, key *ecdsa.PrivateKey) {
	t.Helper()
	secret, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	c.secrets.add(name, secret)
	c.secrets.add(name+" as a number", []byte(key.D.String())) //nolint:staticcheck // what printers of structs show
}

// tokens presents good and bad tokens, and adds them to the secrets.
func (c *canary) tokens(jwt, opaque *issuertest.Issuer) {
	claims := func(name string, value any) string {
		return jwt.Sign(testissuer.Token{Scope: "read", Claims: map[string]any{name: value}})
	}
	good := jwt.Sign(testissuer.Token{Scope: "read"})
	tokens := []string{
		good, jwt.Sign(testissuer.Token{}), claims("aud", "other"), claims("iss", "https://evil.test"), claims("exp", 1), claims("sub", nil), claims("scope", 7),
		claims("cnf", map[string]any{"jkt": "x"}), claims("exp", json.RawMessage("1e999")), claims("aud", json.RawMessage(`{"a":"a"}`)),
		jwt.Sign(testissuer.Token{Header: map[string]any{"kid": "x"}}), jwt.Sign(testissuer.Token{Header: map[string]any{"typ": "JWT"}}),
		jwt.Sign(testissuer.Token{Forgery: testissuer.HMACWithPublicKey}), jwt.Sign(testissuer.Token{RawClaims: `{"iss":"a","iss":"b"}`}),
		"op_" + rand.Text() + rand.Text(), opaque.Opaque(testissuer.Token{Scope: "read", Prefix: "op_"}), "down_" + rand.Text() + rand.Text(),
	}
	for i, token := range tokens {
		c.secrets.add(fmt.Sprintf("token %d", i), []byte(secretPart(token)))
		c.bearers = append(c.bearers, "Bearer "+token)
	}
	for i, token := range damaged(good) { // the first row and one adapter are enough
		c.secrets.add(fmt.Sprintf("damaged token %d", i), []byte(secretPart(token)))
		c.damaged = append(c.damaged, "Bearer "+token)
	}
	c.bearers = append(c.bearers, "DPoP "+good, "Basic "+base64.StdEncoding.EncodeToString([]byte(good)), "Bearer "+good+" "+good, good, "Bearer\t"+good, "bearer "+good+"=")
}

// TestCanary (R-OB-01, R-OB-02, R-OB-04, A1, A2): tokens, a client secret and private keys go through every adapter, good and in every way refused, with endpoints that repeat
// them, with all hooks, logs, audit records, redacted logs of requests, and answers. No piece of 12 bytes of a secret is anywhere, in no encoding.
func TestCanary(t *testing.T) {
	c := &canary{sinks: &sinks{}, secrets: pieces{}}
	secret := rand.Text() + rand.Text()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.addKey(t, "client key", key)
	c.secrets.add("client secret", []byte(secret))
	jwt := issuertest.At(t, "https://jwt.test")
	opaque := issuertest.Start(t, testissuer.Config{URL: "https://opaque.test", Clients: []testissuer.Client{{ID: "api", Secret: secret}}})
	down := issuertest.Start(t, testissuer.Config{URL: "https://down.test", Clients: []testissuer.Client{{ID: "api", Key: key.Public()}}})
	c.tokens(jwt, opaque)
	redacting, err := redact.New(redact.Config{Handler: slog.NewJSONHandler(c.sinks, nil)})
	if err != nil {
		t.Fatal(err)
	}
	requests := slog.New(redacting)
	auditKey := []byte(rand.Text() + rand.Text())
	c.secrets.add("key of the audit log", auditKey)
	auditConfig := audit.Config{Logger: slog.New(slog.NewTextHandler(c.sinks, nil)), Key: audit.NewKey(auditKey), Sampling: audit.Sampling{Off: true}}
	log, err := audit.New(auditConfig)
	if err != nil {
		t.Fatal(err)
	}
	client := func(own introspect.Authentication, prefix string) func(*validator.Issuer) {
		return func(config *validator.Issuer) {
			config.Grants = []string{"read"}
			config.Opaque.ID, config.Opaque.Authentication, config.Opaque.Prefix = "api", own, prefix
		}
	}
	config := validator.Config{
		Issuers: []validator.Issuer{
			jwt.Config(func(i *validator.Issuer) { i.Grants = []string{validator.AllScopes} }),
			opaque.OpaqueConfig(client(introspect.ClientSecretBasic{Secret: introspect.SecretText(secret)}, "op_")),
			down.OpaqueConfig(client(introspect.PrivateKeyJWT{Signer: key, Algorithm: jose.ES256}, "down_")),
		},
		Trace:  c.sinks.validatorTrace().Join(log.ValidatorTrace()),
		Logger: slog.New(slog.NewJSONHandler(c.sinks, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	c.sinks.all(auditConfig, log, config)
	for _, issuer := range config.Issuers {
		c.sinks.all(issuer, issuer.Opaque)
		if issuer.Opaque != nil {
			c.sinks.all(*issuer.Opaque, issuer.Opaque.Authentication)
		}
	}
	v := issuertest.Validator(t, config)
	registry := prometheus.NewRegistry()
	series, err := metrics.New(registry)
	if err != nil {
		t.Fatal(err)
	}
	guard := issuertest.Guard(t, middleware.Config{
		Validator: v, Trace: c.sinks.middlewareTrace().Join(log.Trace()).Join(series), Logger: slog.New(slog.NewTextHandler(c.sinks, nil)),
	})
	rows := []row{
		{name: "read", policy: scopes.All("read")},
		{name: "public", policy: scopes.Public()},
		{name: "optional", policy: scopes.Optional(scopes.All("read"))},
		{name: "sensitive", policy: scopes.Sensitive(scopes.MaxAuthAge(time.Hour))},
		{name: "unlisted", unlisted: true},
		{name: "panic", policy: scopes.Check("panic", 0, func(_ context.Context, token *validator.Token, _ scopes.Operation) error { panic(token) })},
	}
	all := fronts(t, guard, rows)
	for _, failure := range []testissuer.Behaviour{{}, {Status: 500, Body: repeating(c.bearers, secret)}, {Body: repeating(c.bearers, secret)}, {
		Status: 401, Header: http.Header{"Www-Authenticate": {`Basic realm="` + secret + `"`}, "Content-Type": {"text/html"}}, Body: repeating(c.bearers, secret),
	}} {
		opaque.Behave(testissuer.Introspection, failure)
		down.Behave(testissuer.Introspection, failure)
		for i, f := range all {
			for row := range rows {
				for at, authorization := range c.bearers {
					if (at+row)%len(all) == i || at < 2 && row < 2 { // every credential on every row, and every adapter with all of them
						c.present(t, f, row, authorization)
					}
				}
			}
		}
		for i, authorization := range append(slices.Clone(c.bearers), c.damaged...) {
			c.present(t, all[i%len(all)], 0, authorization)
			bare := strings.TrimPrefix(authorization, "Bearer ")
			header, md, values := http.Header{"Authorization": {authorization}}, metadata.MD{"authorization": {authorization}}, url.Values{}
			for _, name := range []string{
				"Authorization", "Proxy-Authorization", "DPoP", "Cookie", "X-Auth-Token", "X-Api-Key", "grpcgateway-authorization", "grpcgateway-dpop", "grpcgateway-cookie", "dpop-bin",
			} {
				header.Add(name, bare)
				md.Append(name, bare)
			}
			for _, name := range []string{"access_token", "token", "logout_token", "id_token_hint", "client_secret", "client_assertion", "code"} {
				values.Set(name, bare)
			}
			u := &url.URL{Scheme: "https", Host: "api.test", RawQuery: values.Encode()}
			requests.With("header", header).Info("got "+authorization, "url", u, "md", md, "map", map[string][]string(md),
				"request", &http.Request{URL: u, Header: header}, "err", errors.New("Authorization: "+authorization))
			presentation := validator.Presentation{Scheme: validator.Bearer, Token: bare, Proofs: []string{authorization}}
			c.sinks.all(presentation.Sealed(), &struct{ s validator.Sealed }{presentation.Sealed()})
			// Its documentation says that it prints in unexported fields.
			_, _ = fmt.Fprintf(c.sinks, "%v %+v %#v %x\n", presentation, &presentation, struct{ P validator.Presentation }{presentation}, []any{presentation})
			slog.New(slog.NewJSONHandler(c.sinks, nil)).Info("m", "p", presentation, "in", struct{ P *validator.Presentation }{&presentation})
			_, err := v.Validate(t.Context(), presentation)
			c.sinks.all(err)
		}
		c.sinks.all(v.Ready(), v.Warnings(), v.Status())
	}
	if err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil || len(families) == 0 {
		t.Error(err, families)
	}
	for _, family := range families {
		_, _ = fmt.Fprintln(c.sinks, family)
	}
	c.sinks.mu.Lock() // loggers may still write
	defer c.sinks.mu.Unlock()
	text := c.sinks.text.String()
	if len(text) < 1<<20 || !strings.Contains(text, "https://opaque.test") || !strings.Contains(text, "token_hash=") || !strings.Contains(text, "[redacted]") {
		t.Errorf("little was written: %d bytes", len(text))
	}
	if name, at := c.secrets.find(text); name != "" {
		t.Errorf("a piece of the %s is in …%s…", name, text[max(0, at-300):min(len(text), at+100)])
	}
}

// repeating returns a body that repeats secrets, as some servers do.
func repeating(bearers []string, secret string) []byte {
	return fmt.Appendf(nil, `{"error":%q,"error_description":%q,"active":%q}`, secret, strings.Join(bearers, " "), secret)
}

// present presents credentials to a server, and writes what the client sees.
func (c *canary) present(t *testing.T, f front, i int, authorization string) {
	t.Helper()
	if !isFieldValue(authorization) {
		return
	}
	got := f.call(t, i, [][2]string{{"Authorization", authorization}})
	_, _ = fmt.Fprintf(c.sinks, "%+v %v\n", got, got.denial)
}

// isFieldValue reports whether clients send the value.
func isFieldValue(value string) bool { return !slices.Contains([]byte(value), '\t') }

// TestCanaryFinds: the canary test finds pieces in all encodings.
func TestCanaryFinds(t *testing.T) {
	secret := []byte("0123456789abcdefghijklmnopqrstuvwxyz+/ABCDEF")
	p := pieces{}
	p.add("secret", secret)
	for _, text := range []string{
		string(secret[5:17]), hex.EncodeToString(secret[3:20]), strings.ToUpper(hex.EncodeToString(secret)), base64.StdEncoding.EncodeToString(secret), base64.RawURLEncoding.EncodeToString(secret[1:30]),
		url.QueryEscape(string(secret[30:])), fmt.Sprintf("%d", secret), fmt.Sprintf("%#v", secret), fmt.Sprintf("%x", struct{ b []byte }{secret}),
	} {
		if name, _ := p.find("xx" + text + "yy"); name == "" {
			t.Errorf("nothing is found in %s", text)
		}
	}
	if name, _ := p.find("0123456789a" + " " + "bcdefghijkl" + strings.Repeat("x", 100)); name != "" {
		t.Error("pieces of less than 12 bytes are found")
	}
}
