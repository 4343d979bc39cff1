package adapters

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rs/cors"

	"github.com/sallyport-auth/sallyport/middleware"
)

const origin = "https://app.example.com"

// crossOrigin lets scripts of one origin call api and read what they must react to. It
// stands outside of the gate, so that refusals have its fields too.
func crossOrigin(api http.Handler) http.Handler {
	browsers := cors.New(cors.Options{
		AllowedOrigins: []string{"https://app.example.com"},
		AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete},
		AllowedHeaders: []string{
			"Authorization", "DPoP", "Content-Type",
			"Connect-Protocol-Version", "Connect-Timeout-Ms", // Connect
			"Grpc-Timeout", "X-Grpc-Web", "X-User-Agent", // gRPC-Web
		},
		ExposedHeaders: []string{
			"WWW-Authenticate", "DPoP-Nonce", "Retry-After",
			"Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin", // gRPC-Web
		},
		MaxAge: 7200, // seconds
	})
	return browsers.Handler(api)
}

// browser is an API as scripts call it.
type browser struct {
	name    string
	api     http.Handler
	fields  [][2]string // of every call
	grpcWeb bool        // the answers have status 200
}

// browsers returns the APIs that scripts can call.
func browsers(t *testing.T, guard *middleware.Guard, rows []row) []browser {
	t.Helper()
	mux := guard.NewMux()
	for i := range rows {
		if !rows[i].unlisted {
			mux.HandleFunc("POST "+method(i), rows[i].policy, func(_ http.ResponseWriter, r *http.Request) { subject(r.Context()) })
		}
	}
	handler := connectHandler(t, guard, rows)
	return []browser{
		{name: "net/http", api: mux},
		{name: "Connect", api: handler, fields: [][2]string{{"Content-Type", "application/proto"}, {"Connect-Protocol-Version", "1"}}},
		{name: "gRPC-Web", api: handler, fields: [][2]string{{"Content-Type", "application/grpc-web+proto"}, {"X-Grpc-Web", "1"}}, grpcWeb: true},
		{name: "grpc-gateway", api: gatewayHandler(t, grpcServer(t, guard, rows), rows)},
	}
}

// preflight returns the fields of a preflight for a call with the fields of b.
func (b *browser) preflight(from string) [][2]string {
	names := []string{"authorization"}
	for _, field := range b.fields {
		names = append(names, strings.ToLower(field[0]))
	}
	slices.Sort(names)
	return [][2]string{{"Origin", from}, {"Access-Control-Request-Method", "POST"}, {"Access-Control-Request-Headers", strings.Join(names, ",")}}
}

// send sends a request, with an empty message as its body if b is gRPC-Web.
func (b *browser) send(t *testing.T, method, url string, fields ...[2]string) *http.Response {
	t.Helper()
	body := ""
	if b.grpcWeb {
		body = "\x00\x00\x00\x00\x00"
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range fields {
		r.Header.Add(field[0], field[1])
	}
	response, err := client(t, 1).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response
}

// TestBrowsers covers R-CH-12: with a CORS layer outside of the gate, scripts can make calls and read
// every answer, and the gate is not asked about preflights.
func TestBrowsers(t *testing.T) {
	issuers, told := newIssuers(t), new(decisions)
	guard, rows := issuers.guard(t, middleware.Config{Trace: told.trace()}), issuers.rows()
	answers := map[string]struct {
		status int
		grpc   string
	}{
		"All permits": {200, ""}, "no token": {401, "16"}, "expired": {401, "16"}, "All": {403, "7"}, "Check fails": {503, "14"},
	}
	for _, b := range browsers(t, guard, rows) {
		url := serve(t, crossOrigin(b.api))
		tested := 0
		for i := range rows {
			want, ok := answers[rows[i].name]
			if !ok {
				continue
			}
			tested++
			ran.Store(0)
			response := b.send(t, http.MethodOptions, url+method(i), b.preflight(origin)...)
			if response.StatusCode != http.StatusNoContent || response.Header.Get("Access-Control-Allow-Origin") != origin ||
				response.Header.Get("Access-Control-Allow-Headers") == "" || len(told.taken()) != 0 || ran.Load() != 0 {
				t.Errorf("%s, %s: the preflight got %d %q", b.name, rows[i].name, response.StatusCode, response.Header)
			}
			response = b.send(t, http.MethodPost, url+method(i), append(append(rows[i].fields(), b.fields...), [2]string{"Origin", origin})...)
			status, grpcStatus := want.status, ""
			if b.grpcWeb {
				status, grpcStatus = 200, want.grpc
			}
			exposed := strings.ToLower(response.Header.Get("Access-Control-Expose-Headers"))
			if response.StatusCode != status || response.Header.Get("Grpc-Status") != grpcStatus || response.Header.Get("Access-Control-Allow-Origin") != origin {
				t.Errorf("%s, %s: %d %q", b.name, rows[i].name, response.StatusCode, response.Header)
			}
			for _, name := range []string{"WWW-Authenticate", "Retry-After", "Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin"} {
				if !strings.Contains(exposed, strings.ToLower(name)) {
					t.Errorf("%s, %s: scripts cannot read %s: %q", b.name, rows[i].name, name, exposed)
				}
			}
			if challenged := response.Header.Get("WWW-Authenticate") != ""; challenged != (want.status == 401 || want.status == 403) {
				t.Errorf("%s, %s: challenge %v", b.name, rows[i].name, challenged)
			}
			if got := len(told.taken()); got != 1 || (ran.Load() == 1) != (want.status == 200) {
				t.Errorf("%s, %s: %d decisions, the handler ran %d times", b.name, rows[i].name, got, ran.Load())
			}
			response = b.send(t, http.MethodOptions, url+method(i), b.preflight("https://evil.example")...)
			if response.Header.Get("Access-Control-Allow-Origin") != "" || ran.Load() > 1 {
				t.Errorf("%s, %s: another origin is allowed: %q", b.name, rows[i].name, response.Header)
			}
			told.taken()
		}
		if tested != len(answers) {
			t.Errorf("%s: %d calls", b.name, tested)
		}
	}
}

// TestOptionsWithoutLayer covers R-BT-14 for every adapter: without a CORS layer, no adapter answers a preflight as if it were allowed, and none lets it reach a
// handler as a call, under whatever policy and with whatever credentials.
func TestOptionsWithoutLayer(t *testing.T) {
	issuers := newIssuers(t)
	guard, rows := issuers.guard(t, middleware.Config{}), issuers.rows()
	for _, b := range browsers(t, guard, rows) {
		url := serve(t, b.api)
		ran.Store(0)
		for i := range rows {
			fields := append(append(rows[i].fields(), b.fields...), b.preflight(origin)...)
			response := b.send(t, http.MethodOptions, url+method(i), fields...)
			refused := response.StatusCode >= 400 || b.grpcWeb && response.Header.Get("Grpc-Status") != "0" && response.Header.Get("Grpc-Status") != ""
			if !refused || response.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s, %s: %d %q", b.name, rows[i].name, response.StatusCode, response.Header)
			}
		}
		if n := ran.Load(); n != 0 {
			t.Errorf("%s: handlers ran %d times", b.name, n)
		}
	}
}
