package testissuer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/testissuer"
)

// null is a JSON null in a table of members, where nil removes a member.
type null struct{}

// changed returns members with changes.
func changed(members, changes map[string]any) map[string]any {
	members = maps.Clone(members)
	for name, value := range changes {
		switch value.(type) {
		case nil:
			delete(members, name)
		case null:
			members[name] = nil
		default:
			members[name] = value
		}
	}
	return members
}

// faultToken is a token whose answers are equal in one second.
func faultToken(f testissuer.Fault) testissuer.Token {
	return testissuer.Token{Scope: "a b", Claims: map[string]any{"jti": "1"}, Fault: f}
}

type members = map[string]any

// thumbprint is the thumbprint in the answers about bound tokens.
const thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

// memberFaults holds the faults that change members of active answers.
var memberFaults = map[testissuer.Fault]members{
	testissuer.ActiveString:       {"active": "true"},
	testissuer.ActiveNumber:       {"active": 1.0},
	testissuer.ActiveNull:         {"active": null{}},
	testissuer.ActiveMissing:      {"active": nil},
	testissuer.ActiveCapital:      {"active": nil, "Active": true},
	testissuer.AudienceEmpty:      {"aud": []any{}},
	testissuer.AudienceNull:       {"aud": null{}},
	testissuer.AudienceNumber:     {"aud": 1.0},
	testissuer.AudienceOther:      {"aud": "https://other.test"},
	testissuer.AudienceMissing:    {"aud": nil},
	testissuer.IssuerOther:        {"iss": "https://other.test"},
	testissuer.IssuerMissing:      {"iss": nil},
	testissuer.SubjectMissing:     {"sub": nil},
	testissuer.ExpiryMissing:      {"exp": nil},
	testissuer.ExpiryString:       {"exp": "946685100"},
	testissuer.ScopeArray:         {"scope": []any{"a", "b"}},
	testissuer.Stripped:           {"aud": nil, "sub": nil, "client_id": nil, "exp": nil, "iat": nil, "jti": nil, "scope": nil},
	testissuer.TokenTypeMissing:   {"token_type": nil},
	testissuer.TokenTypeLower:     {"token_type": "bearer"},
	testissuer.TokenTypeDPoP:      {"token_type": "DPoP"},
	testissuer.TokenTypeAccess:    {"token_type": "access_token"},
	testissuer.TokenTypeRefresh:   {"token_type": "refresh_token"},
	testissuer.TokenTypeID:        {"token_type": "id_token"},
	testissuer.TokenTypeNumber:    {"token_type": 1.0},
	testissuer.RefreshToken:       {"token_type": nil, "jti": nil},
	testissuer.RefreshTokenBearer: {"token_use": "refresh_token", "jti": nil},
	testissuer.BoundToKey:         {"token_type": "DPoP", "cnf": members{"jkt": thumbprint}},
	testissuer.BoundToKeyBearer:   {"cnf": members{"jkt": thumbprint}},
	testissuer.BoundToCertificate: {"cnf": members{"x5t#S256": thumbprint}},
	testissuer.InactiveWithClaims: {"active": false},
}

// TestMemberFaults checks that each fault changes what it says and nothing else, about
// opaque tokens, about JWTs and in signed answers, and nothing about inactive tokens.
func TestMemberFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, testissuer.Config{})
		good := object(t, ask(t, issuer, issuer.Opaque(faultToken(0))).body)
		if len(good) != 10 {
			t.Fatal(good)
		}
		for f, changes := range memberFaults {
			want := changed(good, changes)
			opaque, signed := issuer.Opaque(faultToken(f)), issuer.Sign(faultToken(f))
			for _, token := range []string{opaque, signed} {
				if a := ask(t, issuer, token); a.status != http.StatusOK || !reflect.DeepEqual(object(t, a.body), want) {
					t.Errorf("%d: status %d, %s; want %v", f, a.status, a.body, want)
				}
				if inner := askSigned(t, issuer, token)["token_introspection"]; !reflect.DeepEqual(inner, want) {
					t.Errorf("%d: signed: %v, want %v", f, inner, want)
				}
			}
			if issuer.Revoke(opaque); f != testissuer.InactiveWithClaims && ask(t, issuer, opaque).body != `{"active":false}` {
				t.Errorf("%d: changes the answer about an inactive token", f)
			}
		}
	})
}

// badAnswer is what is on the wire for a fault. Zero fields are those of a good answer.
type badAnswer struct {
	body    func(good string) string
	status  int
	kind    string // content type
	header  map[string]string
	failure error
	delay   time.Duration
}

func empty(string) string { return "" }

func text(body string) func(string) string { return func(string) string { return body } }

// answerFaults holds the faults of the HTTP answer and of its JSON text.
var answerFaults = map[testissuer.Fault]badAnswer{
	testissuer.ActiveTwice:        {body: func(good string) string { return `{"active":false,` + good[1:] }},
	testissuer.AudienceTwice:      {body: func(good string) string { return `{"aud":"https://other.test",` + good[1:] }},
	testissuer.ActiveAnyway:       {body: text(`{"active":true}`)},
	testissuer.AnswerArray:        {body: func(good string) string { return "[" + good + "]" }},
	testissuer.AnswerString:       {body: func(good string) string { return `"` + strings.ReplaceAll(good, `"`, `\"`) + `"` }},
	testissuer.AnswerHTML:         {kind: "text/html", body: text("<!DOCTYPE html><title>Error</title><p>Something went wrong.")},
	testissuer.AnswerEmpty:        {body: empty},
	testissuer.AnswerCut:          {failure: io.ErrUnexpectedEOF},
	testissuer.AnswerMarked:       {body: func(good string) string { return "\xef\xbb\xbf" + good }},
	testissuer.AnswerTrailing:     {body: func(good string) string { return good + `{"active":false}` }},
	testissuer.AnswerLarge:        {body: func(good string) string { return good + strings.Repeat(" ", 1<<20) }},
	testissuer.AnswerWrongType:    {kind: "text/plain"},
	testissuer.AnswerUntyped:      {kind: "-"},
	testissuer.StatusNoContent:    {status: 204, body: empty},
	testissuer.StatusPartial:      {status: 206},
	testissuer.StatusRedirect:     {status: 307, header: map[string]string{"Location": "https://issuer.test/introspect?redirected"}},
	testissuer.StatusBadRequest:   {status: 400, body: empty},
	testissuer.StatusInvalidToken: {status: 400, body: text(`{"error":"invalid_token"}`)},
	testissuer.StatusUnsupported:  {status: 400, body: text(`{"error":"unsupported_token_type"}`)},
	testissuer.StatusUnauthorized: {status: 401, body: text(`{"error":"invalid_client"}`)},
	testissuer.StatusForbidden:    {status: 403, kind: "text/html", body: text("<!DOCTYPE html><title>Error</title><p>Something went wrong.")},
	testissuer.StatusThrottled:    {status: 429, header: map[string]string{"Retry-After": "5"}},
	testissuer.StatusError:        {status: 500},
	testissuer.StatusUnavailable:  {status: 503, header: map[string]string{"Retry-After": "5"}},
	testissuer.Slow:               {delay: 10 * time.Second},
}

func TestAnswerFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, testissuer.Config{})
		for f, want := range answerFaults {
			opaque := faultToken(f)
			opaque.Text = fmt.Sprint(f)
			for name, token := range map[string]string{"opaque": issuer.Opaque(opaque), "JWT": issuer.Sign(faultToken(f))} {
				client := issuer.Client()
				client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
				began := time.Now()
				a, err := sendAll(t, issuer, client, token)
				if took := time.Since(began); took != want.delay || !errors.Is(err, want.failure) {
					t.Errorf("%d %s: %v after %v", f, name, err, took)
				}
				issuer.Answer(token, 0)
				good := ask(t, issuer, token).body
				want.compare(t, fmt.Sprint(f, " ", name), a, good)
			}
		}
	})
}

// compare compares an answer with the good one.
func (want *badAnswer) compare(t *testing.T, name string, got answer, good string) {
	t.Helper()
	if want.failure != nil {
		if got.body != good {
			t.Errorf("%s: the part that arrived is %q", name, got.body)
		}
		return
	}
	status, kind := want.status, want.kind
	if status == 0 {
		status = 200
	}
	if want.body != nil {
		good = want.body(good)
	}
	if kind == "" && status != 204 {
		kind = "application/json"
	}
	if status == 204 {
		kind = got.header.Get("Content-Type")
	}
	if got.status != status || got.body != good || got.header.Get("Content-Type") != strings.TrimPrefix(kind, "-") {
		t.Errorf("%s: status %d, type %q, body %.200q, want %d, %q, %.200q",
			name, got.status, got.header.Get("Content-Type"), got.body, status, kind, good)
	}
	for field, value := range want.header {
		if got.header.Get(field) != value {
			t.Errorf("%s: %s is %q", name, field, got.header.Get(field))
		}
	}
}

// sendAll introspects a token and reads an answer of any length.
func sendAll(t *testing.T, issuer *testissuer.Issuer, client *http.Client, token string) (answer, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer.IntrospectionURL(), strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(testissuer.ClientID, testissuer.ClientSecret)
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	return answer{response.StatusCode, response.Header, string(body)}, err
}

// TestRedirect checks that a client that follows the redirect sends the token again, and
// gets a good answer.
func TestRedirect(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	a := ask(t, issuer, issuer.Opaque(testissuer.Token{Fault: testissuer.StatusRedirect}))
	if object(t, a.body)["active"] != true || a.status != http.StatusOK || issuer.Requests(testissuer.Introspection) != 2 {
		t.Errorf("%v; %d requests", a, issuer.Requests(testissuer.Introspection))
	}
}

// turnFaults holds the faults whose answers differ in turn, with these answers: + is
// active, - is inactive, and ! has status 500.
var turnFaults = map[testissuer.Fault]string{
	testissuer.InactiveOnce:  "-+++",
	testissuer.ActiveOnce:    "+---",
	testissuer.Flapping:      "+-+-",
	testissuer.FlappingError: "+!+!",
}

func TestTurnFaults(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	for f, want := range turnFaults {
		token := issuer.Opaque(testissuer.Token{Fault: f})
		for range 2 {
			var got string
			for range 4 {
				switch a := ask(t, issuer, token); {
				case a.status == 500:
					got += "!"
				case a.body == `{"active":false}`:
					got += "-"
				case object(t, a.body)["active"] == true && object(t, a.body)["sub"] == "user-1":
					got += "+"
				}
			}
			if got != want {
				t.Errorf("%d: %s, want %s", f, got, want)
			}
			issuer.Answer(token, f) // counts from one again
		}
	}
}

// TestActiveOnce checks that of many requests at once exactly one is told that the
// token is active.
func TestActiveOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, testissuer.Config{})
		token := issuer.Opaque(testissuer.Token{Fault: testissuer.ActiveOnce})
		answers := make(chan bool, 20)
		for range cap(answers) {
			go func() { answers <- strings.Contains(ask(t, issuer, token).body, `"active":true`) }()
		}
		active := 0
		for range cap(answers) {
			if <-answers {
				active++
			}
		}
		if active != 1 {
			t.Errorf("%d answers are active", active)
		}
	})
}

// TestExpiredActive checks that an expired token is active, and a revoked one not.
func TestExpiredActive(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	token := issuer.Opaque(testissuer.Token{Lifetime: -time.Minute, Fault: testissuer.ExpiredActive})
	if m := object(t, ask(t, issuer, token).body); m["active"] != true || m["exp"].(float64) >= float64(time.Now().Unix()) {
		t.Errorf("%v", m)
	}
	if issuer.Revoke(token); isActive(t, issuer, token) {
		t.Error("a revoked token is active")
	}
}

// TestEveryFault checks that each fault is in a table of the tests, and that there are
// no others.
func TestEveryFault(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	last := testissuer.Fault(0)
	for last < 255 && accepted(func() { issuer.Answer("x", last+1) }) {
		last++
		_, member := memberFaults[last]
		_, answer := answerFaults[last]
		_, turn := turnFaults[last]
		_, signed := signedFaults[last]
		if !member && !answer && !turn && !signed && last != testissuer.ExpiredActive {
			t.Errorf("no table has fault %d", last)
		}
	}
	if n := len(memberFaults) + len(answerFaults) + len(turnFaults) + len(signedFaults) + 1; n != int(last) {
		t.Errorf("%d faults in the tables, and %d in all", n, last)
	}
	unknown := last + 1
	panics(t, func() { issuer.Opaque(testissuer.Token{Fault: unknown}) })
	panics(t, func() { issuer.Sign(testissuer.Token{Fault: unknown}) })
}

// accepted reports whether f does not panic.
func accepted(f func()) (ok bool) {
	defer func() { ok = recover() == nil }()
	f()
	return true
}

// TestAnswer checks faults of tokens that the issuer does not know, and that a fault can
// be set, replaced and removed.
func TestAnswer(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	token, other := issuer.Sign(testissuer.Token{}), issuer.Opaque(testissuer.Token{})
	issuer.Answer("", testissuer.StatusError)
	issuer.Answer("garbage", testissuer.ActiveAnyway)
	issuer.Answer(token, testissuer.StatusForbidden)
	for _, want := range []struct {
		token  string
		status int
		active bool
	}{{"unknown", 500, false}, {"a.b.c", 500, false}, {"garbage", 200, true}, {token, 403, false}, {other, 200, true}} {
		a := ask(t, issuer, want.token)
		if a.status != want.status || strings.Contains(a.body, `"active":true`) != want.active {
			t.Errorf("%.10s: %v, want %d, %t", want.token, a, want.status, want.active)
		}
	}
	issuer.Answer("", 0)
	issuer.Answer("garbage", 0)
	issuer.Answer(token, 0)
	if isActive(t, issuer, "unknown") || isActive(t, issuer, "garbage") || !isActive(t, issuer, token) {
		t.Error("a fault remains")
	}
}

// TestSlow checks that a client that does not wait gets no answer.
func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, testissuer.Config{})
		token := issuer.Opaque(testissuer.Token{Fault: testissuer.Slow})
		client := issuer.Client()
		client.Timeout = 3 * time.Second
		if _, err := sendAll(t, issuer, client, token); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}
