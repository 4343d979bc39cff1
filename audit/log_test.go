package audit_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/audit"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// lines is a sink for records as JSON.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// record is a record as it was written.
type record = map[string]any

func (l *lines) records(t *testing.T) []record {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []record
	decoder := json.NewDecoder(bytes.NewReader(l.text.Bytes()))
	for decoder.More() {
		var r record
		if err := decoder.Decode(&r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// of returns the records of an event.
func of(all []record, event string) []record {
	var some []record
	for _, r := range all {
		if r["event"] == event || r["security_event"] == event {
			some = append(some, r)
		}
	}
	return some
}

// scene is a service whose Guard writes an audit log.
type scene struct {
	issuer *issuertest.Issuer
	log    *audit.Log
	lines  *lines
	mux    *middleware.Mux
	guard  *middleware.Guard
}

type idKey struct{}

var testKey = []byte("0123456789abcdef0123456789abcdef")

// newScene starts one. change may be nil.
func newScene(t *testing.T, change func(*audit.Config), changes ...func(*validator.Issuer)) *scene {
	t.Helper()
	s := &scene{issuer: issuertest.New(t), lines: &lines{}}
	config := audit.Config{
		Logger: slog.New(slog.NewJSONHandler(s.lines, nil)), Key: audit.NewKey(testKey),
		RequestID: func(ctx context.Context) string { id, _ := ctx.Value(idKey{}).(string); return id },
	}
	if change != nil {
		change(&config)
	}
	log, err := audit.New(config)
	if err != nil {
		t.Fatal(err)
	}
	s.log = log
	s.guard = s.issuer.Guard(t, middleware.Config{Trace: log.Trace()}, changes...)
	s.mux = s.guard.NewMux()
	for pattern, policy := range map[string]scopes.Policy{
		"GET /orders/{id}":   scopes.All("read"),
		"GET /open":          scopes.Public(),
		"GET /optional":      scopes.Optional(scopes.All("read")),
		"POST /admin":        scopes.Privileged(scopes.And(scopes.ACR("urn:mfa"), scopes.All("admin"))),
		"GET /recent":        scopes.Sensitive(scopes.MaxAuthAge(time.Hour)),
		"GET /t/{tenant}":    scopes.TenantFrom("tenant"),
		"GET /tenant/{acme}": scopes.Tenants("acme"),
	} {
		s.mux.HandleFunc(pattern, policy, func(http.ResponseWriter, *http.Request) {})
	}
	return s
}

// get sends a request with fields for Authorization.
func (s *scene) get(line string, authorization ...string) int {
	method, path, _ := strings.Cut(line, " ")
	r := httptest.NewRequest(method, "/", nil)
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(path, "?")
	for _, field := range authorization {
		r.Header.Add("Authorization", field)
	}
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), idKey{}, "request-7")))
	return w.Code
}

// written returns all records.
func (s *scene) written(t *testing.T) []record {
	t.Helper()
	if err := s.log.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s.lines.records(t)
}

func (s *scene) admin() string {
	return "Bearer " + s.issuer.Sign(testissuer.Token{Scope: "admin", Claims: map[string]any{
		"acr": "urn:mfa", "auth_time": time.Now().Unix(), "sub": "alice", "jti": "id-1", "act": map[string]any{"sub": "robot", "client_id": "batch"},
	}})
}

// TestDenials (R-OB-06, A13): each refusal is one record with its reason, route and request id, and so is each of its kind in HTTP. What is not verified is not
// there, or is named so.
func TestDenials(t *testing.T) {
	s := newScene(t, nil)
	good := "Bearer " + s.issuer.Sign(testissuer.Token{Scope: "read"})
	weak := "Bearer " + s.issuer.Sign(testissuer.Token{})
	expired := "Bearer " + s.issuer.Sign(testissuer.Token{Lifetime: -time.Hour})
	for _, row := range []struct {
		name, line    string
		authorization []string
		reason        validator.Reason
		route         string
		verified      bool
		hashed        bool
		issuer        bool // as the unverified one
	}{
		{"no credentials", "GET /orders/1", nil, validator.NoCredentials, "GET /orders/{id}", false, false, false},
		{"another scheme", "GET /orders/1", []string{"Basic dTpwYXNzd29yZA=="}, validator.NoCredentials, "GET /orders/{id}", false, false, false},
		{"grammar", "GET /orders/1", []string{"Bearer a b"}, validator.MalformedRequest, "GET /orders/{id}", false, true, false},
		{"two credentials", "GET /orders/1", []string{good, good}, validator.MalformedRequest, "GET /orders/{id}", false, false, false},
		{"size", "GET /orders/1", []string{"Bearer " + strings.Repeat("a", 100_000)}, validator.TooLarge, "GET /orders/{id}", false, true, false},
		{"no token", "GET /orders/1", []string{"Bearer abc"}, validator.MalformedToken, "GET /orders/{id}", false, true, false},
		{"expired", "GET /orders/1", []string{expired}, validator.Expired, "GET /orders/{id}", false, true, true},
		{"scope", "GET /orders/1", []string{weak}, validator.InsufficientScope, "GET /orders/{id}", true, true, false},
		{"privileged", "POST /admin", []string{good}, validator.StepUpRequired, "POST /admin", true, true, false},
		{"unlisted", "GET /none", []string{good}, validator.Forbidden, "unlisted", true, true, false},
		{"unlisted, no token", "GET /none", nil, validator.NoCredentials, "unlisted", false, false, false},
		{"method", "PUT /open", []string{good}, validator.Forbidden, "unlisted", true, true, false},
		{"ambiguous path", "GET /orders/../orders/1", []string{good}, validator.MalformedRequest, "ambiguous", false, false, false},
		{"optional", "GET /optional", []string{"Bearer abc"}, validator.MalformedToken, "GET /optional", false, true, false},
	} {
		before := len(s.written(t))
		s.get(row.line, row.authorization...)
		all := s.written(t)[before:]
		if len(all) != 1 {
			t.Errorf("%s: %d records: %v", row.name, len(all), all)
			continue
		}
		got := all[0]
		for name, want := range map[string]any{
			"event": "denial", "outcome": "denied", "reason": string(row.reason), "route": row.route, "request_id": "request-7", "transport": "http", "schema": 1.0,
			"msg": "access denied", "level": "INFO",
		} {
			if got[name] != want {
				t.Errorf("%s: %s is %v, want %v", row.name, name, got[name], want)
			}
		}
		for _, name := range []string{"issuer", "client_id", "subject_hash", "token_id_hash", "key"} {
			if _, there := got[name]; there != row.verified {
				t.Errorf("%s: %s: %v", row.name, name, got)
			}
		}
		if _, there := got["token_hash"]; there != row.hashed {
			t.Errorf("%s: token_hash: %v", row.name, got)
		}
		if _, there := got["unverified_issuer"]; there != row.issuer {
			t.Errorf("%s: unverified_issuer: %v", row.name, got)
		}
		for name, value := range got {
			if value == "" || value == nil {
				t.Errorf("%s: %s is empty", row.name, name)
			}
		}
	}
}

// TestAllows (R-OB-06, A14): a permitted privileged or sensitive request is one record. Public routes, anonymous callers and other permitted requests are none.
func TestAllows(t *testing.T) {
	s := newScene(t, nil)
	admin := s.admin()
	for range 2 {
		for _, line := range []string{"GET /open", "GET /optional"} {
			if code := s.get(line); code != 200 {
				t.Errorf("%s: %d", line, code)
			}
		}
		if code := s.get("GET /orders/1", "Bearer "+s.issuer.Sign(testissuer.Token{Scope: "read"})); code != 200 {
			t.Error(code)
		}
	}
	if all := s.written(t); len(all) != 0 {
		t.Errorf("%v", all)
	}
	if code := s.get("POST /admin", admin); code != 200 {
		t.Fatal(code)
	}
	if code := s.get("GET /recent", admin); code != 200 {
		t.Fatal(code)
	}
	all := s.written(t)
	if len(all) != 2 || all[1]["route"] != "GET /recent" {
		t.Fatalf("%v", all)
	}
	delete(all[0], "time")
	got, err := json.Marshal(all[0])
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"actor":{"client_id":"batch","issuer":%[1]q,"subject_hash":%[2]q},"client_id":"client-1","event":"privileged_allow","issuer":%[1]q,"key":%[3]q,"level":"INFO",`+
		`"msg":"privileged access allowed","outcome":"allowed","privileged":true,"request_id":"request-7","route":"POST /admin","schema":1,"scheme":"Bearer","source":"verified",`+
		`"subject_hash":%[4]q,"token_hash":%[5]q,"token_id_hash":%[6]q,"transport":"http"}`,
		s.issuer.URL(), all[0]["actor"].(map[string]any)["subject_hash"], s.issuer.SigningKey(), all[0]["subject_hash"], all[0]["token_hash"], all[0]["token_id_hash"])
	if string(got) != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	hashes := map[any]bool{}
	for _, hash := range []any{all[0]["actor"].(map[string]any)["subject_hash"], all[0]["subject_hash"], all[0]["token_hash"], all[0]["token_id_hash"]} {
		if text, _ := hash.(string); len(text) != 32 || hashes[hash] {
			t.Errorf("hash %v is not one of its own", hash)
		}
		hashes[hash] = true
	}
	if all[0]["subject_hash"] != all[1]["subject_hash"] || all[0]["token_hash"] != all[1]["token_hash"] || all[0]["token_id_hash"] != all[1]["token_id_hash"] {
		t.Error("two records of one token have different hashes")
	}
}

// TestAllowedCostsNothing: a permitted request that is not privileged costs no allocation and no record.
func TestAllowedCostsNothing(t *testing.T) {
	log, err := audit.New(audit.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	decided, d := log.Trace().Decided, middleware.Decision{Route: "GET /"}
	if n := testing.AllocsPerRun(100, func() { decided(t.Context(), d) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if counts := log.Counts(); counts != (audit.Counts{}) {
		t.Errorf("%+v", counts)
	}
}

// TestSubjects (R-OB-05): subjects are shown only if that is asked for. Hashes depend on the key, and without one on the process.
func TestSubjects(t *testing.T) {
	hashOf := func(change func(*audit.Config)) (string, string) {
		s := newScene(t, change)
		s.get("POST /admin", s.admin())
		s.written(t)
		r := s.lines.records(t)[0]
		return r["subject_hash"].(string), s.lines.text.String()
	}
	_, text := hashOf(nil)
	if strings.Contains(text, "alice") || strings.Contains(text, "robot") {
		t.Errorf("the subject is in %s", text)
	}
	_, text = hashOf(func(c *audit.Config) { c.ShowSubjects = true })
	if !strings.Contains(text, `"subject":"alice"`) || !strings.Contains(text, `"subject":"robot"`) {
		t.Errorf("the subject is not in %s", text)
	}
	seen := map[string]bool{}
	for range 2 {
		hash, _ := hashOf(func(c *audit.Config) { c.Key = audit.Key{} })
		if seen[hash] {
			t.Error("two keys, one hash")
		}
		seen[hash] = true
	}
}

// TestPurposes: the hashes of a subject and of an id differ, also if both have the same text.
func TestPurposes(t *testing.T) {
	s := newScene(t, nil)
	s.get("GET /none", "Bearer "+s.issuer.Sign(testissuer.Token{Claims: map[string]any{"sub": "same", "jti": "same"}}))
	if r := s.written(t)[0]; r["subject_hash"] == r["token_id_hash"] {
		t.Errorf("%v", r)
	}
}

// TestRequestID: an id that a client may have chosen is bounded and printable. A function that panics costs the id only.
func TestRequestID(t *testing.T) {
	for id, want := range map[string]any{
		"a-b_7": "a-b_7", "": nil, strings.Repeat("x", 129): "invalid", strings.Repeat("x", 128): strings.Repeat("x", 128), "a\nb": "invalid", "a b": "invalid", "ä": "invalid",
	} {
		s := newScene(t, func(c *audit.Config) { c.RequestID = func(context.Context) string { return id } })
		s.get("GET /orders/1")
		if got := s.written(t)[0]["request_id"]; got != want {
			t.Errorf("%.20q: %v, want %v", id, got, want)
		}
	}
	for name, f := range map[string]func(context.Context) string{"nil": nil, "panic": func(context.Context) string { panic("broken") }} {
		s := newScene(t, func(c *audit.Config) { c.RequestID = f })
		s.get("GET /orders/1")
		if all := s.written(t); len(all) != 1 || all[0]["request_id"] != nil {
			t.Errorf("%s: %v", name, all)
		}
	}
}

// TestTexts (R-OB-07): what a token says is bounded and printable in the log.
func TestTexts(t *testing.T) {
	s := newScene(t, nil)
	s.get("GET /orders/1", "Bearer "+s.issuer.Sign(testissuer.Token{Claims: map[string]any{"client_id": "a\u2028b" + strings.Repeat("ä", 1000)}}))
	got, _ := s.written(t)[0]["client_id"].(string)
	if len(got) > 270 || !strings.HasPrefix(got, "a\ufffdbä") || !strings.HasSuffix(got, "ä…") {
		t.Errorf("%q", got)
	}
}

// TestOutcomes: what could not be determined, and callers that left, are told apart from refusals.
func TestOutcomes(t *testing.T) {
	s := newScene(t, nil)
	hook := s.log.Trace().Decided
	for reason, want := range map[validator.Reason]string{validator.Unavailable: "undetermined", validator.Canceled: "canceled", validator.Expired: "denied"} {
		class := map[string]middleware.Class{"undetermined": middleware.ClassUnavailable, "canceled": middleware.ClassCanceled, "denied": middleware.ClassExpiredToken}[want]
		before := len(s.written(t))
		hook(t.Context(), middleware.Decision{Route: "x", Denial: &middleware.Denial{Reason: reason, Class: class}})
		if got := s.written(t)[before]; got["outcome"] != want || got["reason"] != string(reason) {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

// blocking is a handler that waits until it may go on.
// TestHeldEnd (A13): a request that the Guard ends is one record.
func TestHeldEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		route, err := s.guard.Over("grpc").Route("/x.Y/Z", scopes.Authenticated())
		if err != nil {
			t.Fatal(err)
		}
		p := issuertest.Bearer(s.issuer.Sign(testissuer.Token{Lifetime: time.Minute}))
		ctx := context.WithValue(t.Context(), idKey{}, "stream-1")
		held := route.Hold(ctx, route.Check(ctx, p, scopes.Operation{}), middleware.Holding{Presentation: p})
		time.Sleep(5 * time.Minute)
		all := s.written(t)
		if len(all) != 1 || all[0]["event"] != "held_end" || all[0]["reason"] != "expired" || all[0]["route"] != "/x.Y/Z" || all[0]["transport"] != "grpc" ||
			all[0]["request_id"] != "stream-1" || all[0]["subject_hash"] == nil {
			t.Errorf("%v", all)
		}
		held.Release()
	})
}

// TestShared: hooks can be joined with others.
func TestShared(t *testing.T) {
	s := newScene(t, nil)
	calls := 0
	other := &middleware.Trace{Decided: func(context.Context, middleware.Decision) { calls++ }}
	guard := s.issuer.Guard(t, middleware.Config{Trace: other.Join(s.log.Trace())})
	guard.Require(scopes.Authenticated(), http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if all := s.written(t); len(all) != 1 || calls != 1 {
		t.Errorf("%d, %v", calls, all)
	}
}

// TestConfigFaults: New reports all faults at once.
func TestConfigFaults(t *testing.T) {
	_, err := audit.New(audit.Config{
		Key: audit.NewKey([]byte("short")), Waiting: -1, WaitingBytes: -1, Window: -1, Sampling: audit.Sampling{First: -1, Window: time.Millisecond, Off: true},
		Thresholds: map[audit.Event]int{"unknown": 1},
	})
	var list interface{ Unwrap() []error }
	if !errors.As(err, &list) || len(list.Unwrap()) != 8 {
		t.Errorf("%v", err)
	}
	for _, field := range []string{"Key", "Waiting", "WaitingBytes", "Window", "Sampling.First", "Sampling.Window", "Sampling.Off", "Thresholds"} {
		if err == nil || !strings.Contains(err.Error(), "audit: "+field+" ") {
			t.Errorf("no fault of %s in %v", field, err)
		}
	}
}

// TestZero: a nil Log and the zero Log write nothing.
func TestZero(t *testing.T) {
	for _, log := range []*audit.Log{nil, {}} {
		if log.Trace() != nil || log.ValidatorTrace() != nil || log.Counts() != (audit.Counts{}) || log.Flush(t.Context()) != nil || log.Close(t.Context()) != nil {
			t.Errorf("%v does something", log)
		}
	}
}

// TestDefaultLogger: without a Logger, the one of the program is used.
func TestDefaultLogger(t *testing.T) {
	before := slog.Default()
	defer slog.SetDefault(before)
	sink := &lines{}
	slog.SetDefault(slog.New(slog.NewJSONHandler(sink, nil)))
	s := newScene(t, func(c *audit.Config) { c.Logger = nil })
	s.get("GET /orders/1")
	if s.written(t); len(sink.records(t)) != 1 {
		t.Error("nothing was written")
	}
}

// TestKeyIsNotPrinted (R-OB-02): neither a Config nor a Log prints the key.
func TestKeyIsNotPrinted(t *testing.T) {
	config := audit.Config{Key: audit.NewKey(testKey)}
	log, err := audit.New(config)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, value := range []any{config, &config, log, struct{ L *audit.Log }{log}, struct{ l *audit.Log }{log}, struct{ c audit.Config }{config}, []any{config, log}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&text, verb+"\n", value)
		}
		slog.New(slog.NewJSONHandler(&text, nil)).Info("m", "v", value)
		slog.New(slog.NewTextHandler(&text, nil)).Info("m", "v", value)
	}
	for _, piece := range []string{"0123456789ab", hex.EncodeToString(testKey[:12]), strings.Trim(fmt.Sprintf("%d", testKey[:12]), "[]"), "MDEyMzQ1Njc4OWFi"} {
		if strings.Contains(text.String(), piece) {
			t.Errorf("%q is in %s", piece, text.String())
		}
	}
}
