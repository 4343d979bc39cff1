package audit_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-auth/sallyport/audit"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/metrics"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// BenchmarkRepeat is a repeated token in front of a handler that does nothing, without hooks and with the audit log. The rows with a server are whole requests over
// a connection that is kept.
func BenchmarkRepeat(b *testing.B) {
	log, err := audit.New(audit.Config{Logger: slog.New(slog.NewJSONHandler(io.Discard, nil))}) //nolint:sloglint // the encoding counts
	if err != nil {
		b.Fatal(err)
	}
	series, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		trace  *middleware.Trace
		policy scopes.Policy
	}{
		{"off", nil, scopes.All("read")},
		{"audit", log.Trace(), scopes.All("read")},
		{"audit and metrics", series.Join(log.Trace()), scopes.All("read")},
		{"audit privileged", log.Trace(), scopes.Sensitive(scopes.MaxAuthAge(time.Hour))},
		{"audit denied", log.Trace(), scopes.All("other")},
	} {
		issuer := issuertest.New(b)
		token := "Bearer " + issuer.Sign(testissuer.Token{Scope: "read", Lifetime: time.Hour, Claims: map[string]any{"auth_time": time.Now().Unix()}})
		handler := issuer.Guard(b, middleware.Config{Trace: row.trace}).Require(row.policy, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		b.Run(row.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Authorization", token)
			b.ReportAllocs()
			for b.Loop() {
				handler.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
		b.Run(row.name+", server", func(b *testing.B) {
			server := httptest.NewServer(handler)
			defer server.Close()
			r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, server.URL, nil)
			if err != nil {
				b.Fatal(err)
			}
			r.Header.Set("Authorization", token)
			for b.Loop() {
				response, err := server.Client().Do(r)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
		})
	}
}
