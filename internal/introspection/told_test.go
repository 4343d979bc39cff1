package introspection

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
)

// TestCauses checks that the causes of failures that look alike are told apart.
func TestCauses(t *testing.T) {
	_, err := readToken(`{"access_token":"a","access_token":"b","token_type":"Bearer"}`, time.Now())
	if !errors.Is(err, errTokenAnswer) || !errors.Is(err, strictjson.ErrDuplicate) {
		t.Error(err)
	}
	for name, test := range map[string]struct {
		err  error
		want introspect.Kind
	}{
		"time of a read":     {&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, introspect.TimedOut},
		"a read":             {&net.OpError{Op: "read", Err: errInjected}, introspect.Unreachable},
		"time of a context":  {fmt.Errorf("x: %w", context.DeadlineExceeded), introspect.TimedOut},
		"the end of it":      {fmt.Errorf("x: %w", context.Canceled), introspect.TimedOut},
		"a read at its end":  {fmt.Errorf("%w: %w", &net.OpError{Op: "read", Err: errInjected}, context.DeadlineExceeded), introspect.TimedOut},
		"anything else":      {errInjected, introspect.Unreachable},
		"an encoding":        {fmt.Errorf("%w: x", fetch.ErrEncoding), introspect.NotAnAnswer},
		"another media type": {fmt.Errorf("%w: x", fetch.ErrMediaType), introspect.NotAnAnswer},
	} {
		for place, r := range map[string]*reply{"no answer": {err: test.err}, "status 200": {err: test.err, document: &fetch.Document{Status: http.StatusOK}}} {
			if f := failureOf("x", r); f.kind != test.want || !errors.Is(f.err, test.err) {
				t.Errorf("%s, %s: %+v", name, place, f)
			}
		}
	}
	if got := place("https://[" + canaries.query); got != "the endpoint" {
		t.Error(got)
	}
}

// TestHintOfRefusal checks when a refusal tells of the other form of credentials: with
// status 401, and if it makes a difference for the ID or the secret.
func TestHintOfRefusal(t *testing.T) {
	const told = "set ClientSecretBasic.Raw"
	for _, test := range []struct {
		status     int
		id, secret string
		hint       bool
	}{
		{401, apiID, "a+b", true},
		{401, "https://api.example", "ab", true},
		{401, apiID, "ab", false},
		{403, apiID, "a+b", false},
		{500, apiID, "a+b", false},
	} {
		s := serve(t, saying(test.status, `{}`))
		text := s.asking(t, func(c *introspect.Client) {
			c.ID, c.Authentication = test.id, introspect.ClientSecretBasic{Secret: introspect.SecretText(test.secret)}
		}).err.Error()
		if strings.Contains(text, told) != test.hint || strings.HasSuffix(text, "; ") {
			t.Errorf("%+v: %s", test, text)
		}
	}
}

// TestCodeInBody checks that only a body of JSON has an error code: InactiveErrors do not
// apply to another one.
func TestCodeInBody(t *testing.T) {
	for mediaType, inactive := range map[string]bool{
		"application/json": true, "application/problem+json": true, "text/plain": false, "text/html": false, "": false,
	} {
		s := signedServer(t, 400, mediaType, `{"error":"invalid_token"}`)
		a := s.asking(t, func(c *introspect.Client) { c.InactiveErrors = []string{"invalid_token"} })
		if (a.kind == "") != inactive || !inactive && !strings.Contains(a.err.Error(), "no code") {
			t.Errorf("%s: %+v", mediaType, a)
		}
	}
}

// TestSignedCauses checks that an encrypted answer is told apart from a malformed one, and
// keys that are missing from an algorithm that no key may have.
func TestSignedCauses(t *testing.T) {
	if a := askSigned(t, signedServer(t, 200, signedJSON, "eyJhbGciOiJkaXIifQ.a.b.c.d")); !errors.Is(a.err, errSealed) {
		t.Errorf("%+v", a)
	}
	s := signedServer(t, 200, signedJSON, signedAnswer(t, answerKey, answerHeader, nil))
	a := askSigned(t, s, func(_ *introspect.Client, b *Binding) {
		b.AnswerKeys = func(context.Context, jose.Header) ([]*jose.Key, error) { return nil, jose.ErrAlgorithm }
	})
	if a.kind != introspect.UntrustedAnswer || !errors.Is(a.err, jose.ErrAlgorithm) {
		t.Errorf("%+v", a)
	}
}

// TestMetadataWithoutEndpoint checks metadata that have the token endpoint and not the
// introspection endpoint, and metadata that cannot be fetched for the former.
func TestMetadataWithoutEndpoint(t *testing.T) {
	failure := error(nil)
	b := Binding{Issuer: issuerURL, Endpoints: func(context.Context) (Endpoints, error) {
		return Endpoints{Token: issuerURL + "/token"}, failure
	}}
	bearer := introspect.Bearer{Authentication: introspect.ClientSecretPost{Secret: introspect.SecretText("s")}}
	x := exchanging(t, introspect.Client{ID: apiID, Authentication: bearer}, b)
	if err := x.warm(t.Context()); !errors.Is(err, introspect.NoEndpoint) || !errors.Is(x.ready(), introspect.NoEndpoint) {
		t.Errorf("%v, %v", err, x.ready())
	}
	failure = errInjected
	x = exchanging(t, memoryClient(bearer), b)
	if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != introspect.NoCredentials || !errors.Is(a.err, errInjected) {
		t.Errorf("%+v", a)
	}
}

// TestMoreFaults checks configurations that are refused for one character or for what
// cannot be parsed.
func TestMoreFaults(t *testing.T) {
	secret := introspect.SecretText(canaries.secret)
	for name, test := range map[string]struct {
		path   string
		change func(*introspect.Client)
	}{
		"unreadable endpoint":    {"Endpoint", func(c *introspect.Client) { c.Endpoint = "https://[" }},
		"code with control":      {"InactiveErrors[0]", func(c *introspect.Client) { c.InactiveErrors = []string{"a\nb"} }},
		"code that is not ASCII": {"InactiveErrors[0]", func(c *introspect.Client) { c.InactiveErrors = []string{"é"} }},
		"code with a backslash":  {"InactiveErrors[0]", func(c *introspect.Client) { c.InactiveErrors = []string{`a\b`} }},
	} {
		client := introspect.Client{Endpoint: issuerURL + "/introspect", ID: apiID, Authentication: introspect.ClientSecretBasic{Secret: secret}}
		test.change(&client)
		if found := faults(client, Binding{Issuer: issuerURL}); len(found) != 1 || found[0].Path != test.path {
			t.Errorf("%s: %v", name, found)
		}
	}
}

// TestTransports checks the transport of an HTTPClient that has none, and which transports
// take a client certificate or have one.
func TestTransports(t *testing.T) {
	limits := introspect.Limits{Concurrency: 7}
	if made, ok := newTransport(Binding{HTTPClient: &http.Client{}}, limits).(*http.Transport); !ok || made.MaxIdleConnsPerHost != 7 {
		t.Errorf("%+v", made)
	}
	own := func(ctx context.Context, network, address string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	older := &http.Transport{DialTLS: func(string, string) (net.Conn, error) { return nil, errInjected }} //nolint:staticcheck // deprecated and works
	there, here := introspect.TLSClientAuth{}, certificateOf(t, "a")
	for name, test := range map[string]struct {
		authentication introspect.Authentication
		transport      *http.Transport
		faults         int
	}{
		"here, own TLS connections, older way":  {here, older, 1},
		"there, own TLS connections":            {there, &http.Transport{DialTLSContext: own}, 0},
		"there, own TLS connections, older way": {there, older, 0},
		"there, a function": {there, &http.Transport{TLSClientConfig: &tls.Config{
			MinVersion:           tls.VersionTLS12,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return nil, errInjected },
		}}, 0},
		"there, a configuration without one": {there, &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}, 1},
	} {
		client := introspect.Client{ID: apiID, Authentication: test.authentication}
		if found := faults(client, Binding{Issuer: issuerURL, HTTPClient: &http.Client{Transport: test.transport}}); len(found) != test.faults {
			t.Errorf("%s: %v", name, found)
		}
	}
}

// TestRefusedAtOnce checks that a request which is held back does not wait for its turn
// before it is refused (R-IN-12).
func TestRefusedAtOnce(t *testing.T) {
	for _, row := range []struct {
		result attempt
		times  int
	}{
		{failed(introspect.Throttled, 429), 1},
		{failed(introspect.Unreachable, 0), failures},
		{failed(introspect.CredentialsRefused, 401), failures},
	} {
		synctest.Test(t, func(t *testing.T) {
			slow := true
			a := newAsker(t, introspect.Client{Limits: introspect.Limits{Concurrency: 2}}, Binding{}, endpointFunc(func(context.Context, Question) attempt {
				if slow {
					slow = false
					time.Sleep(20 * time.Second)
					return yes
				}
				return row.result
			}))
			var all sync.WaitGroup
			all.Go(func() { _, _ = a.Ask(t.Context(), Question{}) }) // has the only place for strangers
			synctest.Wait()
			for range row.times {
				_, _ = a.Ask(t.Context(), Question{Known: true})
			}
			want := row.result.kind
			if want == introspect.Unreachable {
				want = introspect.BreakerOpen
			}
			start := time.Now()
			_, err := a.Ask(t.Context(), Question{})
			if kindOf(t, err) != want || time.Since(start) != 0 {
				t.Errorf("%v after %v", err, time.Since(start))
			}
			all.Wait()
		})
	}
}

// TestForbiddenStatus checks that a status of 403 says something about the credentials
// only if it is the result: a later failure that has it says what its kind says.
func TestForbiddenStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		result := failed(introspect.TimedOut, http.StatusForbidden)
		x, _ := counted(&result)
		a := newAsker(t, introspect.Client{}, Binding{}, x)
		for range failures {
			_, _ = a.Ask(t.Context(), Question{})
		}
		if got := a.Status().State; got != introspect.Failing {
			t.Error(got)
		}
	})
}

// TestLateFailure checks that a failure of a request from before a breaker opened does not
// bring the next probe forward, and that a result without a pass says nothing.
func TestLateFailure(t *testing.T) {
	b, now := newBreaker(serverProbing), time.Now()
	passes := make([]pass, failures+1)
	for i := range passes {
		passes[i], _, _ = b.enter(false, now)
	}
	for _, p := range passes[1:] {
		b.leave(p, certain, now)
	}
	b.leave(passes[0], doubtful, now)
	b.leave(pass{}, verdict, now)
	if _, wait, ok := b.enter(false, now.Add(serverProbing.doubtful)); ok || wait != serverProbing.pause-serverProbing.doubtful {
		t.Errorf("%v, %t", wait, ok)
	}
	if _, _, ok := b.enter(false, now.Add(serverProbing.pause)); !ok {
		t.Error("no probe after the pause")
	}
}

// TestSlowStateHook checks that a change of the state does not wait for the report of the
// one before, and that reports are made one at a time.
func TestSlowStateHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running, most := 0, 0
		var told []introspect.State
		s := stateKeeper{report: func(state introspect.State) {
			running++
			most = max(most, running)
			time.Sleep(time.Second)
			told = append(told, state)
			running--
		}}
		now := func(state introspect.State) func() introspect.State { return func() introspect.State { return state } }
		go s.update(now(introspect.Failing))
		synctest.Wait()
		start := time.Now()
		s.update(now(introspect.Asking))
		if took := time.Since(start); took != 0 {
			t.Errorf("the second change waited %v", took)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if most != 1 || len(told) != 2 || told[1] != introspect.Asking {
			t.Errorf("%d at once, %q", most, told)
		}
	})
}
