package benchmarks

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/validator"
)

// Credentials of this API at the introspection endpoint.
const (
	clientID     = "orders-api"
	clientSecret = "a secret of the orders API"
)

// introspector is an introspection endpoint on a loopback address that gives the same
// answer about every token.
type introspector struct{ *httptest.Server }

// newIntrospector starts an introspector. The caller must Close it.
func newIntrospector() introspector {
	answer := fmt.Sprintf(`{"active":true,"token_type":"Bearer",%s`, Claims(time.Now(), 0)[1:])
	return introspector{httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer) // a failure shows in the client
	}))}
}

// asker is one way to ask an introspector about a token.
type asker struct {
	name    string
	prepare func(endpoint string) (func(token string) error, error)
}

// askers are the clients that are compared. The first is what the others are compared
// with.
var askers = []asker{
	{"net/http and encoding/json", preparePlain},
	{"Sallyport", prepareAsking},
}

// preparePlain prepares what a simple program does: one request, and active read by
// encoding/json. Nothing else is checked.
func preparePlain(endpoint string) (func(token string) error, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}, Timeout: 3 * time.Second}
	return func(token string) error {
		form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
		request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, endpoint, strings.NewReader(form.Encode()))
		if err != nil {
			return fmt.Errorf("benchmarks: %w", err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(clientSecret))
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("benchmarks: %w", err)
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			return fmt.Errorf("benchmarks: %w", err)
		}
		var answer struct {
			Active bool `json:"active"`
		}
		if err := json.Unmarshal(text, &answer); err != nil || !answer.Active {
			return fmt.Errorf("benchmarks: active is %t: %w", answer.Active, err)
		}
		return nil
	}, nil
}

// prepareAsking prepares validator.Validate with opaque tokens, with an answer used for
// five minutes. For a token that is not in the cache that is the request, all checks of
// the answer, and the entry.
func prepareAsking(endpoint string) (func(token string) error, error) {
	v, err := validator.New(validator.Config{
		Logger: slog.New(slog.DiscardHandler),
		Issuers: []validator.Issuer{{
			URL: Issuer, Audiences: []string{Audience}, InsecureAllowHTTP: true,
			Opaque: &introspect.Client{
				Endpoint: endpoint, ID: clientID,
				Authentication: introspect.ClientSecretBasic{Secret: introspect.SecretText(clientSecret)},
				Cache:          introspect.Cache{TTL: 5 * time.Minute},
			},
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	return validating(context.Background(), v), nil
}

// Miss is what one client costs for a token that has to be asked about, with the work of
// the server and of net/http, which are the same for all.
type Miss struct {
	Name string
	Took Quartiles // µs of CPU time
	// Added is the difference to a plain call, in µs of CPU time, of alternating pairs.
	Added Quartiles
}

// Misses measures clients against one server on a loopback address, in so many
// alternating pairs of blocks with the plain client. Each request has another token.
func Misses(pairs, block int) ([]Miss, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // else idle threads that look for work count
	server := newIntrospector()
	defer server.Close()
	all := make([]Miss, len(askers))
	var plain Run
	for i, a := range askers {
		ask, err := a.prepare(server.URL)
		if err != nil {
			return nil, err
		}
		run := func(n int) error { return ask(fmt.Sprintf("2YotnFZFEjr1zCsicMWpAA-%024d", n)) }
		if i == 0 {
			plain = run
		}
		if all[i], err = miss(a.name, pairs, block, plain, run); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func miss(name string, pairs, block int, plain, run Run) (Miss, error) {
	took, added := make([]float64, pairs), make([]float64, pairs)
	for i := range pairs + 1 { // the first warms up
		both := [2]Run{plain, run}
		var nanos [2]float64
		for turn := range both {
			side := (turn + i) % 2 // they take turns in being first
			var err error
			if nanos[side], err = timed(1, (2*i+side)*block, block, both[side]); err != nil {
				return Miss{}, err
			}
		}
		if i > 0 {
			took[i-1], added[i-1] = nanos[1]/1e3, (nanos[1]-nanos[0])/1e3
		}
	}
	return Miss{name, QuartilesOf(took), QuartilesOf(added)}, nil
}
