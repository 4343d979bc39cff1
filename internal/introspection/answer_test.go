package introspection

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
)

// TestAnswers checks that only a boolean true under the name active is active (R-IN-04),
// that other members of an inactive answer do not count (R-IN-05), and that what is
// neither is inactive with a reason.
func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		body   string
		active bool
		odd    string // "" for none
	}{
		{`{"active":true}`, true, ""},
		{` { "active" : true , "aud":"x"} `, true, ""},
		{`{"active":false}`, false, ""},
		{`{"active":false,"aud":"https://api.example","active_":true}`, false, ""},
		{`{"active":"true"}`, false, "active, which is a string"},
		{`{"active":"false"}`, false, "active, which is a string"},
		{`{"active":1}`, false, "active, which is a number"},
		{`{"active":null}`, false, "active, which is null"},
		{`{"active":[true]}`, false, "active, which is an array"},
		{`{"active":{}}`, false, "active, which is an object"},
		{`{"Active":true}`, false, "differs from it in case only"},
		{`{}`, false, "does not look like one of RFC 7662"},
		{`{"client_id":"x","expires_in":1679458523016}`, false, "has no active"},
		{`{"active":true,"active":true}`, false, "occurs twice"},
		{`{"active":false,"active":true}`, false, "occurs twice"},
		{`{"active":true,"sub":"a","sub":"b"}`, false, "occurs twice"},
		{`{"active":true,"x":{"y":1,"y":2}}`, false, "occurs twice"},
		{`{"active":true,"\u0061ctive":false}`, false, "occurs twice"},
	} {
		s := serve(t, saying(200, test.body))
		a := s.asking(t)
		if a.kind != "" || a.answer.Active != test.active || a.requests != 1 || s.count() != 1 {
			t.Errorf("%s: %+v", test.body, a)
			continue
		}
		if (a.answer.Odd != nil) != (test.odd != "") || test.odd != "" && !strings.Contains(a.answer.Odd.Error(), test.odd) {
			t.Errorf("%s: %v", test.body, a.answer.Odd)
		}
		if test.active != (a.answer.Document != "") || test.active != (len(a.answer.Members) > 0) || test.active && a.answer.Document != test.body {
			t.Errorf("%s: document %q, members %v", test.body, a.answer.Document, a.answer.Members)
		}
		if age := time.Since(a.answer.Began); age < 0 || age > time.Minute {
			t.Errorf("%s: began %v", test.body, a.answer.Began)
		}
	}
}

// TestNotAnAnswer checks bodies of status 200 that are no introspection response
// (R-IN-11).
func TestNotAnAnswer(t *testing.T) {
	const json = "application/json"
	for name, test := range map[string]struct{ mediaType, body string }{
		"an array": {json, "[" + activeBody + "]"}, "a string": {json, `"active"`}, "true": {json, "true"}, "nothing": {json, ""},
		"a byte order mark": {json, "\ufeff" + activeBody}, "trailing data": {json, activeBody + "{}"}, "half": {json, activeBody[:20]},
		"not UTF-8": {json, `{"active":true,"x":"` + "\xff" + `"}`}, "HTML": {"text/html", "<html>"},
		"JSON as text": {"text/plain", activeBody}, "a form": {"application/x-www-form-urlencoded", "active=true"},
		"no type": {"", activeBody}, "too deep": {json, `{"active":true` + deep() + "}"},
		"too large": {json, `{"active":true,"x":"` + strings.Repeat("x", 256<<10) + `"}`},
		"unasked":   {"application/token-introspection+jwt", "a.b.c"},
	} {
		s := serve(t, func(w http.ResponseWriter, _ received) {
			w.Header()["Content-Type"] = nil
			if test.mediaType != "" {
				w.Header().Set("Content-Type", test.mediaType)
			}
			_, _ = io.WriteString(w, test.body)
		})
		if a := s.asking(t); a.kind != introspect.NotAnAnswer || a.answer.Active || !strings.Contains(a.err.Error(), s.URL+"/introspect") {
			t.Errorf("%s: %+v", name, a)
		}
	}
	s := serve(t, func(w http.ResponseWriter, _ received) {
		w.Header().Set("Content-Type", json)
		_, _ = io.WriteString(w, `{"active":true`+deep()+"}")
	})
	if a := s.asking(t); !strings.Contains(a.err.Error(), "claims nested deeper than 64 levels; wanted at most 64") || !strings.Contains(a.err.Error(), "Config.MaxTokenDepth") {
		t.Errorf("too deep: %v", a.err)
	}
	s = serve(t, func(w http.ResponseWriter, _ received) {
		w.Header().Set("Content-Type", "application/x+json; charset=utf-8")
		_, _ = io.WriteString(w, activeBody)
	})
	if a := s.asking(t); a.kind != "" {
		t.Errorf("structured JSON: %+v", a)
	}
}

func deep() string {
	return `,"x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64)
}

// TestAnswerIsACopy checks that the members of an answer alias its document and nothing
// of the exchange.
func TestAnswerIsACopy(t *testing.T) {
	s := serve(t, nil)
	x := exchanging(t, s.client(), s.binding())
	first := x.ask(t.Context(), Question{Token: "1"})
	x.ask(t.Context(), Question{Token: "2"})
	if first.answer.Document != activeBody || first.answer.Members[1].Value.Raw() != `"https://api.example"` {
		t.Errorf("%+v", first.answer)
	}
}

// TestWithheld checks the list of standard members that a server kept back.
func TestWithheld(t *testing.T) {
	members, err := strictjson.ParseObject(`{"active":true,"iss":"x","token_type":"Bearer","exp":1}`, strictjson.TokenLimits, nil)
	if err != nil || Withheld(members) != "aud client_id scope sub" {
		t.Errorf("%s, %v", Withheld(members), err)
	}
}

// vectors are the introspection cases of the corpus.
type vectors struct {
	JWKS map[string]struct {
		Document string `json:"document"`
	} `json:"jwks"`
	Introspection struct {
		Cases []struct {
			ID          string `json:"id"`
			Name        string `json:"name"`
			Status      int    `json:"http_status"`
			ContentType string `json:"content_type"`
			Body        string `json:"body"`
			Recipe      []struct {
				S string `json:"s"`
				N int    `json:"n"`
			} `json:"body_recipe"`
			Expect   string `json:"expect"`
			Strength string `json:"strength"`
		} `json:"cases"`
	} `json:"introspection"`
}

// TestCorpus asks servers that answer as the corpus says, plain and signed. Its
// "accept" is an active answer here, or for cases that the claims decide, too; its
// "reject" is an inactive answer or one that the claims refuse; its "error" never is an
// answer (R-IN-04, R-IN-05, R-IN-11, R-IN-12, R-IN-17).
func TestCorpus(t *testing.T) {
	text, err := os.ReadFile("../../testdata/cases-public.json")
	if err != nil {
		t.Fatal(err)
	}
	var all vectors
	if err := strictjson.Unmarshal(string(text), &all); err != nil {
		t.Fatal(err)
	}
	// Cases whose verdict rests on other members than active; package validator has
	// them.
	byClaims := map[string]bool{"intro-022": true, "intro-027": true, "intro-028": true, "intro-029": true, "intro-030": true, "intro-032": true, "intro-034": true}
	set := keySet(t, all)
	ctx := clock.At(t.Context(), time.Unix(1700000000, 0))
	for _, c := range all.Introspection.Cases {
		t.Run(c.ID+" "+c.Name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ received) {
				w.Header()["Content-Type"] = nil
				if c.ContentType != "" {
					w.Header().Set("Content-Type", c.ContentType)
				}
				w.WriteHeader(c.Status)
				_, _ = io.WriteString(w, c.Body)
				for _, part := range c.Recipe {
					_, _ = io.WriteString(w, strings.Repeat(part.S, max(part.N, 1)))
				}
			})
			client, b := s.client(), s.binding()
			b.Issuer, b.Algorithms, b.AnswerKeys = "https://as.example.com", []jose.Algorithm{jose.RS256}, func(_ context.Context, h jose.Header) ([]*jose.Key, error) { return set.Find(h) }
			client.Signed = strings.HasPrefix(c.Name, "jwt:")
			if client.Signed {
				client.AnswerAudiences = []string{"https://api.example.com"}
			}
			a := exchanging(t, client, b).ask(ctx, Question{Token: "opaque-token-1"})
			verdict := "reject"
			if a.kind != "" {
				verdict = "error"
			} else if a.answer.Active && !byClaims[c.ID] {
				verdict = "accept"
			}
			if c.ID == "intro-060" { // without a Content-Type: policy, and ours is strict
				c.Expect = "error"
			}
			if verdict != c.Expect {
				t.Errorf("%s, want %s: %+v", verdict, c.Expect, a)
			}
		})
	}
}

// keySet returns the keys of the corpus.
func keySet(t *testing.T, all vectors) *jose.Set {
	t.Helper()
	set, err := jose.ParseSet([]byte(all.JWKS["main"].Document), []jose.Algorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	return set
}
