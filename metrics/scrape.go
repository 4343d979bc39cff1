package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/validator"
)

// States, of which each issuer is in one.
var (
	statesOfKeys   = []string{"fresh", "stale", "unavailable"}
	statesOfAsking = []introspect.State{introspect.Asking, introspect.Failing, introspect.Refused, introspect.HeldByIssuer, introspect.Undiscovered}
)

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	if !c.made() {
		return
	}
	for _, s := range allSeries {
		to <- s.desc
	}
	for _, h := range c.durations {
		h.Describe(to)
	}
}

// Collect implements [prometheus.Collector]. It asks no issuer, and holds up no request.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	if !c.made() {
		return
	}
	c.scrape().send(to)
	for _, h := range c.durations {
		h.Collect(to)
	}
}

// made reports whether [NewCollector] made c.
func (c *Collector) made() bool { return c != nil && c.trace != nil }

// scrape returns the values of now.
func (c *Collector) scrape() tally {
	c.scraping.Lock()
	defer c.scraping.Unlock()
	guards := c.live()
	t := newTally()
	c.addDecisions(t)
	t.add(tokensInURL, float64(c.inURL.Load()))
	t.add(heldStarted, float64(c.held.Load()))
	t.least(ready, boolToFloat(len(guards) > 0))
	for _, s := range []*series{warnings, heldOpen, heldOverdue, inFlight, cacheEvictions, cacheEntries, cacheBytes, resolvedIssuers} {
		t.add(s, 0)
	}
	known := make(map[*validator.Validator]bool)
	for _, guard := range guards {
		addGuard(t, guard)
		if v := guard.Validator(); !known[v] {
			known[v] = true
			c.addValidator(t, v)
		}
	}
	c.past.add(t, known)
	return t
}

func boolToFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// addDecisions adds what the hooks counted.
func (c *Collector) addDecisions(t tally) {
	bySource := c.passed
	for i := range c.refused {
		bySource[i] += c.refused[i].Load()
	}
	for label, i := range *c.issuers.Load() {
		for k := range kinds {
			t.add(decisions, float64(i.decided[k].Load()), label, kinds[k].outcome, kinds[k].reason)
			if kinds[k].reason != "none" {
				t.add(heldEnded, float64(i.ended[k].Load()), label, kinds[k].reason)
			}
		}
	}
	for name, r := range c.routes.Load().byName {
		if name.route == "" {
			name.route = unnamed
		}
		add := func(k kind, n uint64) {
			if n > 0 {
				t.add(routeDecisions, float64(n), name.transport, name.route, kinds[k].outcome, kinds[k].reason)
			}
		}
		for k := range r.refused {
			add(kind(k), r.refused[k].Load())
		}
		for _, p := range *r.passing.Load() {
			for source := range p.bySource {
				n := p.bySource[source].load()
				bySource[source] += n
				add(p.kind, n)
				t.add(decisions, float64(n), p.label, kinds[p.kind].outcome, kinds[p.kind].reason)
			}
		}
	}
	t.add(cacheHits, float64(bySource[fromCache]))
	t.add(cacheMisses, float64(bySource[fromSignature]+bySource[fromIssuer]))
}

// addGuard adds the state of a Guard.
func addGuard(t tally, guard *middleware.Guard) {
	if guard.Ready() != nil {
		t.least(ready, 0)
	}
	t.add(warnings, float64(len(guard.Warnings())))
	long := guard.LongRequests()
	t.add(heldOpen, float64(long.Open))
	t.add(heldOverdue, float64(long.Overdue))
}

// addValidator adds the state of a Validator.
func (c *Collector) addValidator(t tally, v *validator.Validator) {
	t.add(warnings, float64(len(v.Warnings())))
	s := v.Status()
	t.add(inFlight, float64(s.UnderWay))
	t.add(cacheEntries, float64(s.CachedTokens))
	t.add(cacheBytes, float64(s.CachedBytes))
	t.add(resolvedIssuers, float64(s.ResolvedIssuers))
	configured := make(map[string]bool)
	for _, url := range v.Issuers() {
		configured[url] = true
	}
	label := func(url string) string {
		if configured[url] {
			return url
		}
		return resolvedURL
	}
	counts := newTally()
	counts.add(cacheEvictions, float64(s.EvictedTokens))
	for i := range s.Counts {
		addCounts(counts, &s.Counts[i])
		addZeros(t, &s.Counts[i])
	}
	t.merge(counts)
	c.past.seen(v, counts)
	now := time.Now()
	for i := range s.Issuers {
		addKeys(t, &s.Issuers[i], label(s.Issuers[i].Issuer), now)
	}
	for _, asked := range s.Introspection {
		issuer := label(asked.Issuer)
		t.add(askStates, 1, issuer, string(asked.State))
		t.add(asking, float64(asked.UnderWay), issuer)
		t.add(askQueue, float64(asked.Queued), issuer)
	}
}

// addZeros adds gauges that exist also if there is nothing to measure.
func addZeros(t tally, c *validator.Counts) {
	if c.Fetches != nil {
		for _, state := range statesOfKeys {
			t.add(keyStates, 0, c.Issuer, state)
		}
		for _, s := range []*series{keyFailures, keyWaiting, keysInUse, keysIgnored, keysForbidden, fruitless, unknownInterval} {
			t.add(s, 0, c.Issuer)
		}
	}
	if c.Asked != nil {
		for _, state := range statesOfAsking {
			t.add(askStates, 0, c.Issuer, string(state))
		}
		t.add(asking, 0, c.Issuer)
		t.add(askQueue, 0, c.Issuer)
	}
}

// addCounts adds the counters of an issuer.
func addCounts(t tally, c *validator.Counts) {
	if c.Fetches != nil {
		for cause, outcomes := range c.Fetches {
			for outcome, n := range outcomes {
				t.add(keyFetches, float64(n), c.Issuer, cause, string(outcome))
			}
		}
		for decision, n := range c.UnknownKids {
			t.add(unknownKids, float64(n), c.Issuer, decision)
		}
		t.addDurations(keyFetchTime, c.FetchTook, c.Issuer)
		t.add(moves, float64(c.KeysMoved), c.Issuer, "keys")
		t.add(snapshotFaults, float64(c.SnapshotFailures), c.Issuer)
	}
	if c.Asked != nil {
		for outcome, n := range c.Asked {
			t.add(introspections, float64(n), c.Issuer, outcome)
		}
		t.addDurations(askTime, c.AskTook, c.Issuer)
		t.add(moves, float64(c.EndpointMoved), c.Issuer, "introspection")
	}
}

// addKeys adds the state of the keys of an issuer. Of several issuers with one label, the
// worst counts.
func addKeys(t tally, s *jwkscache.Status, label string, now time.Time) {
	t.add(keyStates, 1, label, s.State)
	t.add(keyWaiting, float64(s.Waiting), label)
	t.add(keysInUse, float64(len(s.Keys)), label)
	t.add(keysIgnored, float64(len(s.Ignored)), label)
	t.add(keysForbidden, float64(len(s.Forbidden)), label)
	t.most(keyFailures, float64(s.Failures), label)
	t.most(fruitless, float64(s.Fruitless), label)
	t.most(unknownInterval, s.UnknownInterval.Seconds(), label)
	if !s.Fetched.IsZero() {
		t.most(keyAge, now.Sub(s.Fetched).Seconds(), label)
		t.least(keyUsable, max(0, s.UsableUntil.Sub(now).Seconds()), label)
	}
}
