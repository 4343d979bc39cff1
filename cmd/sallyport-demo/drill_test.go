package main

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
)

// TestDrills runs the drills that the runbooks name.
func TestDrills(t *testing.T) {
	t.Parallel()
	for incident, wanted := range map[string][]string{
		"outage": {
			"ok      GET /orders with a new token gets 200\n",
			"log     level=WARN msg=\"sallyport: the keys of the issuer cannot be fetched\" ",
			"metric  sallyport_key_fetches_total{cause=\"schedule\", outcome=\"unreachable\"} ",
			"ok      GET /orders with the token of alice gets 503, Retry-After: ",
			"metric  sallyport_keys_state{state=\"unavailable\"} 1\n",
			"alert   SallyportUnavailableFast fires within three minutes; see docs/runbooks/SallyportUnavailableFast.md\n",
			"ok      the keys are fresh after ",
		},
		"rotation": {
			"ok      key-2 is known after ",
			"ok      the issuer was not asked\n",
			"ok      GET /orders with a token of key-3 gets 401\n",
			"ok      the token of key-3 gets 200 after ",
		},
		"compromise": {
			"ok      GET /orders with a token that the thief has signed gets 200\n",
			"ok      GET /orders with a token that the thief has signed gets 401\n",
			"ok      the stream of the thief has ended after ",
			"metric  sallyport_keys_forbidden 1\n",
			"ok      GET /orders with the new token of alice gets 200\n",
		},
	} {
		t.Run(incident, func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			if status := run(t.Context(), []string{"drill", incident}, &out, &errOut); status != exitGood {
				t.Errorf("status %d\n%s", status, &errOut)
			}
			for _, want := range append(wanted, "The drill is over: all is as it should be.\n") {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is not in\n%s", want, &out)
				}
			}
		})
	}
}

// TestDrillCounts checks that a drill counts and marks what is not as it should be.
func TestDrillCounts(t *testing.T) {
	var out bytes.Buffer
	bad, err := runDrill(t.Context(), func(ctx context.Context, d *drill) {
		d.title("Wrong expectations.")
		d.get(ctx, "a good token", d.token("alice", ""), http.StatusUnauthorized)
		d.get(ctx, "a token of nobody", "Bearer x", http.StatusOK)
		d.checkf(false, "this")
		d.checkf(true, "that")
	}, &out)
	if err != nil || bad != 3 {
		t.Errorf("%d, %v", bad, err)
	}
	for _, want := range []string{
		"\n1. Wrong expectations.\n", "NOT SO  GET /orders with a good token gets 200, want 401\n", "NOT SO  GET /orders with a token of nobody gets 401, want 200\n",
		"NOT SO  this\n", "ok      that\n", "3 things are not as they should be",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
}

// TestDrillUsage checks that an incident that does not exist is bad usage.
func TestDrillUsage(t *testing.T) {
	var out, errOut bytes.Buffer
	if status := run(t.Context(), []string{"drill", "earthquake"}, &out, &errOut); status != exitUsage || !strings.Contains(errOut.String(), "outage") {
		t.Errorf("status %d\n%s", status, &errOut)
	}
}
