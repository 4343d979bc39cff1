package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/benchmarks/latency"
)

func TestMain(m *testing.M) {
	latency.Child()
	os.Exit(m.Run())
}

// The command fails above a budget, also for two servers of a user, and not below it.
func TestBudget(t *testing.T) {
	serve := func(delay time.Duration) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(delay)
			if r.Header.Get("Authorization") != "Bearer secret" {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	base, slow := serve(0), serve(50*time.Millisecond)
	own := []string{"-base", base, "-guarded", slow, "-header", "Authorization: Bearer secret", "-protocols", "http/1.1", "-retries", "1", "-quick"}
	ours := []string{"-quick", "-only", "Sallyport, repeat", "-protocols", "grpc", "-delay", "5ms", "-retries", "0"}
	for _, c := range []struct {
		args   []string
		budget string
		want   string // of the error; "" for none
	}{
		{own, "p50=1.10", "above their budgets"},
		{own, "p50=1e9", ""},
		{own, "Sallyport, repeat: p50=1.10", "no row"},
		{ours, "p50=1.10", "above their budgets"},
	} {
		err := run(context.Background(), append([]string{"-windows", "2", "-window", "100ms", "-rate", "100", "-budget", c.budget}, c.args...))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q, %s: error %v, want %q", c.args, c.budget, err, c.want)
		}
	}
}

func TestFlags(t *testing.T) {
	for _, args := range []string{
		"x", "-budget p95", "-base http://127.0.0.1:1/", "-guarded http://127.0.0.1:1/", "-header A:b", "-protocols spdy", "-loads 0", "-loads x",
		"-windows -1", "-window -1s", "-rate -1", "-only (", "-faults (", "-faults . -only x", "-faults . -budget p95=2", "-faults . -flood -1",
		"-faults earthquake", "-only nothing", "-alg none", "-base nowhere -guarded nowhere -rate 1",
	} {
		if err := run(context.Background(), strings.Fields(args)); err == nil {
			t.Errorf("%s: no error", args)
		}
	}
}
