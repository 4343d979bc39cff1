package introspection

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
)

// tokenServer issues access tokens and introspects with the last ones.
type tokenServer struct {
	mu      sync.Mutex
	life    string        // the member expires_in, or ""
	down    int           // the status of the token endpoint, if not 0
	slow    time.Duration // of the token endpoint
	refuse  bool          // every access token
	issued  int
	asked   int // the introspection endpoint
	expires map[string]time.Time
	forms   []url.Values
}

func (s *tokenServer) answer(r *http.Request, form url.Values) (int, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/token" {
		return s.issue(form)
	}
	s.asked++
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if expiry, known := s.expires[token]; s.refuse || !known || !time.Now().Before(expiry) {
		return 401, `{"error":"invalid_token"}`
	}
	return 200, activeBody
}

func (s *tokenServer) issue(form url.Values) (int, string) {
	s.forms = append(s.forms, form)
	slow := s.slow
	s.mu.Unlock()
	time.Sleep(slow)
	s.mu.Lock()
	s.issued++
	if s.down != 0 {
		return s.down, `{"error":"server_error"}`
	}
	if s.expires == nil {
		s.expires = map[string]time.Time{}
	}
	token := fmt.Sprint(canaries.bearer, s.issued)
	life := time.Hour
	if s.life != "" {
		seconds, _ := time.ParseDuration(s.life + "s")
		life = seconds
		s.expires[token] = time.Now().Add(life)
		return 200, `{"access_token":"` + token + `","token_type":"Bearer","expires_in":` + s.life + `}`
	}
	s.expires[token] = time.Now().Add(life)
	return 200, `{"access_token":"` + token + `","token_type":"Bearer"}`
}

func (s *tokenServer) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *tokenServer) counts() (issued, asked int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issued, s.asked
}

func (s *tokenServer) exchange(t *testing.T) *exchange {
	t.Helper()
	return exchanging(t, memoryClient(introspect.Bearer{
		TokenEndpoint: issuerURL + "/token", Authentication: introspect.ClientSecretPost{Secret: introspect.SecretText(canaries.secret)},
		Scope: "introspect other", Resource: "https://as.example/introspect",
	}), inMemory(s.answer).binding())
}

// together asks n times at once and returns the number of failures.
func together(t *testing.T, x *exchange, n int) int {
	t.Helper()
	var group sync.WaitGroup
	var failed atomic.Int32
	for range n {
		group.Go(func() {
			if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != "" {
				failed.Add(1)
			}
		})
	}
	group.Wait()
	return int(failed.Load())
}

// TestBearer checks that one access token serves all requests, that the request for it
// has the configured parameters, and that it is renewed ahead of its expiry, once.
func TestBearer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{life: "100", slow: 100 * time.Millisecond}
		x := s.exchange(t)
		if failed := together(t, x, 1000); failed > 0 {
			t.Errorf("%d failed", failed)
		}
		if issued, asked := s.counts(); issued != 1 || asked != 1000 {
			t.Errorf("%d tokens for %d requests", issued, asked)
		}
		want := "client_id=api&client_secret=" + canaries.secret + "&grant_type=client_credentials&resource=https%3A%2F%2Fas.example%2Fintrospect&scope=introspect+other"
		if got := s.forms[0].Encode(); got != want {
			t.Errorf("%s", got)
		}
		time.Sleep(76 * time.Second) // less than a quarter of the life is left
		began := time.Now()
		if failed := together(t, x, 50); failed > 0 || time.Since(began) > 0 {
			t.Errorf("%d failed; they waited %v for a renewal ahead of the expiry", failed, time.Since(began))
		}
		time.Sleep(time.Second)
		if issued, _ := s.counts(); issued != 2 {
			t.Errorf("%d tokens", issued)
		}
	})
}

// TestBearerAtExpiry checks a token of two seconds with fifty callers at its expiry: one
// renewal, and no failure.
func TestBearerAtExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{life: "2", slow: 50 * time.Millisecond}
		x := s.exchange(t)
		for i := range 5 {
			if failed := together(t, x, 50); failed > 0 {
				t.Errorf("%d failed", failed)
			}
			if issued, _ := s.counts(); issued != i+1 {
				t.Errorf("%d tokens in round %d", issued, i)
			}
			time.Sleep(2 * time.Second)
		}
	})
}

// TestBearerRefused checks an endpoint that refuses every access token: two requests a
// question at most, and a bounded number of tokens.
func TestBearerRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{life: "1000"}
		x := s.exchange(t)
		together(t, x, 1)
		s.set(func() { s.refuse = true })
		for range 100 {
			if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != introspect.CredentialsRefused || a.requests > 2 {
				t.Fatalf("%+v", a)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if issued, asked := s.counts(); issued > 4 || asked > 104 { // ten seconds
			t.Errorf("%d tokens, %d requests", issued, asked)
		}
		s.set(func() { s.refuse = false; s.expires = nil }) // all tokens are revoked
		time.Sleep(forcedInterval)
		if failed := together(t, x, 50); failed > 0 {
			t.Errorf("%d failed after a new token could be had", failed)
		}
	})
}

// TestBearerFails checks that a failing renewal is NoCredentials, is shared, and cools
// down for one second at first and for thirty at most.
func TestBearerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{down: 500}
		x := s.exchange(t)
		if failed := together(t, x, 50); failed != 50 {
			t.Errorf("%d failed", failed)
		}
		a := x.ask(t.Context(), Question{Token: "t"})
		if a.kind != introspect.NoCredentials || a.requests != 0 || !strings.Contains(a.err.Error(), "https://as.example/token answered 500") || !errors.Is(a.err, errCoolingDown) {
			t.Errorf("%+v", a)
		}
		if issued, asked := s.counts(); issued != 1 || asked != 0 {
			t.Errorf("%d token requests, %d requests", issued, asked)
		}
		for range 600 { // one minute
			time.Sleep(100 * time.Millisecond)
			x.ask(t.Context(), Question{Token: "t"})
		}
		if issued, _ := s.counts(); issued < 5 || issued > 7 { // after 1, 3, 7, 15, 31 s
			t.Errorf("%d token requests in a minute", issued)
		}
		s.set(func() { s.down = 0 })
		time.Sleep(maxCooldown)
		if failed := together(t, x, 50); failed > 0 {
			t.Errorf("%d failed", failed)
		}
		if x.sender.credential.(*bearer).failures != 0 {
			t.Error("failures are still counted")
		}
	})
}

// TestBearerKeepsToken checks that a renewal that fails ahead of the expiry takes nothing
// away.
func TestBearerKeepsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{life: "100"}
		x := s.exchange(t)
		together(t, x, 1)
		s.set(func() { s.down = 503 })
		time.Sleep(90 * time.Second)
		if failed := together(t, x, 5); failed > 0 {
			t.Errorf("%d failed", failed)
		}
		time.Sleep(11 * time.Second)
		if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != introspect.NoCredentials {
			t.Errorf("%+v", a)
		}
	})
}

// TestBearerOutlivesCaller checks that a renewal goes on when the caller that caused it
// gives up.
func TestBearerOutlivesCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{slow: time.Second}
		x := s.exchange(t)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if a := x.ask(ctx, Question{Token: "t"}); a.kind != introspect.NoCredentials {
			t.Errorf("%+v", a)
		}
		time.Sleep(time.Second)
		began := time.Now()
		if failed := together(t, x, 5); failed > 0 || time.Since(began) > 0 {
			t.Errorf("%d failed, after %v", failed, time.Since(began))
		}
		if issued, _ := s.counts(); issued != 1 {
			t.Errorf("%d tokens", issued)
		}
	})
}

// TestTokenAnswers checks what is a token response, and that errors quote nothing of it.
func TestTokenAnswers(t *testing.T) {
	now := time.Unix(1000, 0)
	for body, life := range map[string]time.Duration{
		`{"access_token":"a.b-c_d~e+f/g==","token_type":"bearer","expires_in":80}`: 80 * time.Second,
		`{"access_token":"a","token_type":"BEARER"}`:                               unknownLife,
		`{"access_token":"a","token_type":"Bearer","expires_in":0}`:                shortLife,
		`{"access_token":"a","token_type":"Bearer","expires_in":1e12}`:             longLife,
		`{"access_token":"a","token_type":"Bearer","expires_in":"80"}`:             0,
		`{"access_token":"a","token_type":"Bearer","expires_in":-1}`:               0,
		`{"access_token":"a","token_type":"DPoP"}`:                                 0,
		`{"access_token":"a"}`:                                               0,
		`{"access_token":"","token_type":"Bearer"}`:                          0,
		`{"access_token":"CANARY\r\nX: y","token_type":"Bearer"}`:            0,
		`{"access_token":"CANARY Y","token_type":"Bearer"}`:                  0,
		`{"access_token":["CANARY"],"token_type":"Bearer"}`:                  0,
		`{"access_token":"CANARY","access_token":"b","token_type":"Bearer"}`: 0,
		`CANARY`: 0,
	} {
		token, err := readToken(body, now)
		if (err != nil) != (life == 0) || life != 0 && !token.expiry.Equal(now.Add(life)) || life != 0 && !token.renew.Before(token.expiry) {
			t.Errorf("%s: %+v, %v", body, token, err)
		}
		if err != nil && (strings.Contains(err.Error(), "CANARY") || !errors.Is(err, errTokenAnswer)) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// TestBearerMetadata checks that without a TokenEndpoint it is that of the metadata, also
// if the introspection endpoint is configured.
func TestBearerMetadata(t *testing.T) {
	s := &tokenServer{}
	b := inMemory(s.answer).binding()
	calls := 0
	b.Endpoints = func(context.Context) (Endpoints, error) {
		if calls++; calls == 1 {
			return Endpoints{}, errors.New("injected")
		}
		return Endpoints{Token: issuerURL + "/token"}, nil
	}
	client := memoryClient(introspect.Bearer{Authentication: introspect.ClientSecretPost{Secret: introspect.SecretText("s")}})
	x := exchanging(t, client, b)
	if x.ready() == nil {
		t.Error("ready without the token endpoint")
	}
	if x.warm(t.Context()) == nil || x.warm(t.Context()) != nil || x.ready() != nil {
		t.Error("not ready when the metadata are known")
	}
	if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != "" {
		t.Errorf("%+v", a)
	}
	b.Endpoints = func(context.Context) (Endpoints, error) { return Endpoints{}, nil }
	if a := exchanging(t, client, b).ask(t.Context(), Question{Token: "t"}); a.kind != introspect.NoCredentials || !strings.Contains(a.err.Error(), "no token_endpoint; set Bearer.TokenEndpoint") {
		t.Errorf("%+v", a)
	}
}
