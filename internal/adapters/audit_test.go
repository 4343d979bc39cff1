package adapters

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/grpc"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/sallyport-auth/sallyport/audit"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
	"github.com/sallyport-auth/sallyport/scopes"
)

// fronts returns the servers of all adapters behind guard.
func fronts(t *testing.T, guard *middleware.Guard, rows []row) []front {
	t.Helper()
	conn := grpcServer(t, guard, rows)
	all := append([]front{httpFront(t, guard, rows)}, grpcFronts(conn, "grpc-go", "grpc")...)
	all = append(all, connectFronts(t, guard, rows)...)
	all = append(all, grpcFronts(dialConnect(t, guard, rows), "grpc-go client of Connect", "connect")...)
	return append(all, gatewayFronts(t, conn, rows)...)
}

// TestAuditEverywhere (A13, R-OB-06): whatever is refused, by whatever adapter, is one audit record with its reason, its route and its transport. What passes is
// none, unless its policy is privileged.
func TestAuditEverywhere(t *testing.T) {
	var sink bytes.Buffer
	log, err := audit.New(audit.Config{
		Logger: slog.New(slog.NewJSONHandler(&sink, nil)), Sampling: audit.Sampling{Off: true},
		RequestID: func(context.Context) string { return "request-7" },
	})
	if err != nil {
		t.Fatal(err)
	}
	issuers := newIssuers(t)
	guard, rows := issuers.guard(t, middleware.Config{Trace: log.Trace()}), issuers.rows()
	for _, f := range fronts(t, guard, rows) {
		for i := range rows {
			f.call(t, i, rows[i].fields())
			if err := log.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := records(t, &sink)
			privileged := rows[i].policy.IsPrivileged() || rows[i].policy.IsSensitive()
			if rows[i].want == "" && !privileged {
				if len(got) != 0 {
					t.Errorf("%s, %s: %v", rows[i].name, f.name, got)
				}
				continue
			}
			if len(got) != 1 {
				t.Errorf("%s, %s: %d records: %v", rows[i].name, f.name, len(got), got)
				continue
			}
			reason, _ := got[0]["reason"].(string)
			route, _ := got[0]["route"].(string)
			if reason != string(rows[i].want) || got[0]["transport"] != f.transport || got[0]["request_id"] != "request-7" ||
				rows[i].unlisted && route != "unlisted" || !rows[i].unlisted && route != method(i) && route != stream(i) && route != "POST "+method(i) {
				t.Errorf("%s, %s: %v", rows[i].name, f.name, got[0])
			}
		}
	}
}

// TestProbes (A14): an hour of health probes, over HTTP and gRPC, writes neither an audit record nor a line.
func TestProbes(t *testing.T) {
	var sink bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&sink, nil))
	log, err := audit.New(audit.Config{Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	guard := issuertest.New(t).Guard(t, middleware.Config{Trace: log.Trace(), Logger: logger})
	mux := guard.NewMux()
	mux.HandleFunc("GET /healthz", scopes.Public(), func(http.ResponseWriter, *http.Request) {})
	gate, err := grpcauth.New(guard, grpcauth.Health(scopes.Public()))
	if err != nil {
		t.Fatal(err)
	}
	probe := &grpc.UnaryServerInfo{FullMethod: healthgrpc.Health_Check_FullMethodName}
	served := func(context.Context, any) (any, error) { return new(healthgrpc.HealthCheckResponse), nil }
	for range 3600 / 5 {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
		if _, err := gate.Unary()(t.Context(), new(healthgrpc.HealthCheckRequest), probe, served); err != nil || w.Code != http.StatusOK {
			t.Fatal(w.Code, err)
		}
	}
	if err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sink.Len() != 0 || log.Counts() != (audit.Counts{}) {
		t.Errorf("%s", sink.String())
	}
}

// records returns the records about requests that were written since the last call.
func records(t *testing.T, sink *bytes.Buffer) []map[string]any {
	t.Helper()
	var all []map[string]any
	decoder := json.NewDecoder(sink)
	for decoder.More() {
		var r map[string]any
		if err := decoder.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if r["event"] != "security" {
			all = append(all, maps.Clone(r))
		}
	}
	sink.Reset()
	return all
}
