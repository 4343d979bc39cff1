package main

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// outage is the drill in which the issuer cannot be reached until its keys are too old.
func outage(ctx context.Context, d *drill) {
	alice := d.token("alice", "")
	d.title("The issuer answers. Its keys are fresh for 10 seconds here, and for 10 minutes by default.")
	d.get(ctx, "the token of alice", alice, http.StatusOK)
	d.show("sallyport_ready", "sallyport_keys_state", "sallyport_decisions_total")

	d.title("The issuer goes down. Tokens are judged with the keys that are known.")
	d.issuer.Down(true)
	d.get(ctx, "the token of alice", alice, http.StatusOK)
	d.get(ctx, "a new token", d.token("bob", ""), http.StatusOK)
	d.until(ctx, "a fetch of the keys has failed", func() bool { return d.keys().Failures > 0 })
	d.show("sallyport_key_fetches_total", "sallyport_key_fetch_consecutive_failures")
	d.alert("SallyportIssuerUnreachable", "fires after a few minutes")

	d.title("The keys become stale, which changes no answer. They may be used for 3 more seconds here, and for an hour by default.")
	d.until(ctx, "the keys are stale or too old", func() bool { return d.keys().State != "fresh" })
	d.alert("SallyportKeysNearStale", "fires when half of the time has passed")

	d.title("The keys are too old. Nothing can be determined: 503 and not 401, so that clients keep their tokens.")
	d.until(ctx, "the keys are too old", func() bool { return d.keys().State == "unavailable" })
	d.get(ctx, "the token of alice", alice, http.StatusServiceUnavailable)
	d.checkf(d.guard.Ready() != nil, "Ready returns an error")
	d.show("sallyport_ready", "sallyport_keys_state", "sallyport_decisions_total")
	d.alert("SallyportUnavailableFast", "fires within three minutes")

	d.title("The issuer is back. Nobody has to do anything.")
	d.issuer.Down(false)
	d.until(ctx, "the keys are fresh", func() bool { return d.keys().State == "fresh" })
	d.get(ctx, "the token of alice", alice, http.StatusOK)
	d.checkf(d.guard.Ready() == nil, "Ready returns nil")
	d.show("sallyport_ready", "sallyport_keys_state", "sallyport_decisions_total")
}

// rotation is the drill in which the issuer changes its key, first as it should and then too
// early.
func rotation(ctx context.Context, d *drill) {
	first := d.issuer.SigningKey()
	old := d.token("alice", first)
	d.title("The issuer signs with " + first + ".")
	d.get(ctx, "a token of "+first, old, http.StatusOK)
	d.show("sallyport_keys_in_use")

	second := d.issuer.AddKey(testissuer.Key{})
	d.title("It publishes " + second + ", goes on with " + first + ", and waits until every instance has fetched: 10 seconds here, 10 minutes by default.")
	d.get(ctx, "a token of "+first, d.token("bob", first), http.StatusOK)
	d.until(ctx, second+" is known", func() bool { return d.uses(second) })
	d.show("sallyport_keys_in_use")

	d.title("It signs with " + second + ". No request waits for a fetch.")
	d.issuer.Use(second)
	before := d.issuer.Requests(testissuer.JWKS)
	d.get(ctx, "a token of "+second, d.token("alice", second), http.StatusOK)
	d.checkf(d.issuer.Requests(testissuer.JWKS) == before, "the issuer was not asked")

	third := d.issuer.AddKey(testissuer.Key{Unpublished: true})
	d.title("It withdraws " + first + ", and signs with " + third + " before that is published. Those tokens wait for a fetch, and are refused.")
	d.issuer.Retire(first)
	d.issuer.Use(third)
	early := d.token("alice", third)
	d.get(ctx, "a token of "+third, early, http.StatusUnauthorized)
	d.until(ctx, first+" is gone", func() bool { return !d.uses(first) })
	d.get(ctx, "a token of "+first, old, http.StatusUnauthorized)
	d.get(ctx, "a token of "+second, d.token("alice", second), http.StatusOK)
	d.show("sallyport_unknown_kid_requests_total", "sallyport_unknown_kid_fruitless_fetches", "sallyport_decisions_total")
	d.alert("SallyportUnknownKidFlood", "fires if there are many")
	d.alert("SallyportDenialSpike", "fires if it is more than a quarter of the requests")

	d.title("It publishes " + third + ". The same token passes after the next fetch.")
	d.issuer.Publish(third)
	d.until(ctx, "the token of "+third+" gets 200", func() bool {
		status, _, err := d.send(ctx, early)
		return err == nil && status == http.StatusOK
	})
	d.show("sallyport_keys_in_use")
}

// compromise is the drill in which a key of the issuer has leaked.
func compromise(ctx context.Context, d *drill) {
	leaked := d.issuer.SigningKey()
	alice := d.token("alice", leaked)
	d.title("The key " + leaked + " of the issuer has leaked. Nothing tells the tokens of the thief from others.")
	thief := d.token("admin", leaked)
	d.get(ctx, "the token of alice", alice, http.StatusOK)
	d.get(ctx, "a token that the thief has signed", thief, http.StatusOK)
	stream := d.open(ctx, thief)
	d.until(ctx, "a stream of the thief is open", func() bool { return d.guard.LongRequests().Open == 1 })

	d.title("The operator forbids the key by its thumbprint: Validator.ForbidKey, on each instance. No answer of the issuer is awaited.")
	name := jwkscache.KeyName{Thumbprint: d.keys().Keys[0].Thumbprint()}
	err := d.guard.Validator().ForbidKey(ctx, d.issuer.URL(), name)
	d.checkf(err == nil, "ForbidKey returns without an error")
	d.get(ctx, "a token that the thief has signed", thief, http.StatusUnauthorized)
	d.get(ctx, "the token of alice, signed by the same key,", alice, http.StatusUnauthorized)
	begun := time.Now()
	select {
	case <-stream:
		d.checkf(true, "the stream of the thief has ended after %.1f s", time.Since(begun).Seconds())
	case <-time.After(patience):
		d.checkf(false, "the stream of the thief has ended")
	}
	d.show("sallyport_keys_forbidden", "sallyport_decisions_total", "sallyport_held_requests_ended_total")

	second := d.issuer.Rotate()
	d.title("The issuer signs with " + second + ", and still publishes " + leaked + ". Users log in again; the thief stays outside.")
	fresh := d.token("alice", second)
	d.until(ctx, "the new token of alice gets 200", func() bool {
		status, _, err := d.send(ctx, fresh)
		return err == nil && status == http.StatusOK
	})
	d.get(ctx, "a token that the thief has signed", thief, http.StatusUnauthorized)

	d.title("The instance is restarted. With Config.SnapshotDir it still knows what was forbidden.")
	d.stop()
	if err := d.start(ctx); err != nil {
		d.checkf(false, "it starts: %v", err)
		return
	}
	d.get(ctx, "a token that the thief has signed", thief, http.StatusUnauthorized)
	d.get(ctx, "the new token of alice", fresh, http.StatusOK)
	d.show("sallyport_keys_forbidden", "sallyport_keys_in_use")

	d.title("The issuer withdraws " + leaked + ". The operator leaves it forbidden, and users notice nothing.")
	d.issuer.Retire(leaked)
	d.get(ctx, "the new token of alice", fresh, http.StatusOK)
}

// open opens a long response. The channel is closed when it has ended.
func (d *drill) open(ctx context.Context, authorization string) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/events", nil)
		if err != nil {
			return
		}
		request.Header.Set("Authorization", authorization)
		if response, err := d.client.Do(request); err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
	}()
	return ended
}
