package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// series is a family of series. docs/metrics.md has the table of them.
type series struct {
	desc   *prometheus.Desc
	value  prometheus.ValueType
	labels int
}

func newSeries(value prometheus.ValueType, name, help string, labels ...string) *series {
	return &series{prometheus.NewDesc("sallyport_"+name, help, labels, nil), value, len(labels)}
}

func counter(name, help string, labels ...string) *series {
	return newSeries(prometheus.CounterValue, name, help, labels...)
}

func gauge(name, help string, labels ...string) *series {
	return newSeries(prometheus.GaugeValue, name, help, labels...)
}

// The families. Those of the durations of validation are histograms of Collector.
var (
	ready    = gauge("ready", "1 if Guard.Ready returns nil for all guards, else 0.")
	warnings = gauge("warnings", "Warnings about the configuration.")

	decisions      = counter("decisions_total", "Decisions.", "issuer", "outcome", "reason")
	routeDecisions = counter("route_decisions_total", "Decisions by route.", "transport", "route", "outcome", "reason")
	inFlight       = gauge("validations_in_flight", "Tokens that are being verified, or whose issuer is being asked.")
	tokensInURL    = counter("tokens_in_url_total", "Requests with an access_token in the URL.")

	heldOpen    = gauge("held_requests", "Streams and other long requests that are open.")
	heldOverdue = gauge("held_requests_overdue", "Long requests that were ended and whose handler is still running.")
	heldStarted = counter("held_requests_started_total", "Long requests that were started.")
	heldEnded   = counter("held_requests_ended_total", "Long requests that the guard ended.", "issuer", "reason")

	cacheHits      = counter("token_cache_hits_total", "Decisions with facts from the cache.")
	cacheMisses    = counter("token_cache_misses_total", "Decisions for which a signature was verified or the issuer was asked.")
	cacheEvictions = counter("token_cache_evictions_total", "Entries of the token cache that were removed for want of room.")
	cacheEntries   = gauge("token_cache_entries", "Tokens in the cache.")
	cacheBytes     = gauge("token_cache_bytes", "Estimate of the memory of the token cache.")

	resolvedIssuers = gauge("resolved_issuers", "Issuers that Config.ResolveIssuer found and that are known.")

	keyFetches      = counter("key_fetches_total", "Key fetches that ended.", "issuer", "cause", "outcome")
	keyFailures     = gauge("key_fetch_consecutive_failures", "Key fetches that failed since the last success.", "issuer")
	keyWaiting      = gauge("key_fetch_waiting_requests", "Requests that wait for a key fetch.", "issuer")
	keyStates       = gauge("keys_state", "1 for the state of the keys, else 0; for resolved issuers their number.", "issuer", "state")
	keyAge          = gauge("keys_age_seconds", "Time since the keys were fetched or confirmed.", "issuer")
	keyUsable       = gauge("keys_usable_seconds", "Time until the keys may not be used any more without a fetch.", "issuer")
	keysInUse       = gauge("keys_in_use", "Keys that verify tokens.", "issuer")
	keysIgnored     = gauge("keys_ignored", "Published keys that cannot be used.", "issuer")
	keysForbidden   = gauge("keys_forbidden", "Forbidden keys.", "issuer")
	unknownKids     = counter("unknown_kid_requests_total", "Tokens with an unknown kid, by what became of them.", "issuer", "decision")
	fruitless       = gauge("unknown_kid_fruitless_fetches", "Key fetches for unknown kids in a row that were in vain.", "issuer")
	unknownInterval = gauge("unknown_kid_interval_seconds", "Least time between two key fetches for new kids.", "issuer")
	snapshotFaults  = counter("key_snapshot_failures_total", "Uses of the snapshot directory that failed.", "issuer")
	moves           = counter("endpoint_moves_total", "Times that metadata named another URL than before.", "issuer", "endpoint")

	introspections = counter("introspections_total", "Questions to issuers about tokens, also those that were not sent.", "issuer", "outcome")
	askStates      = gauge("introspection_state", "1 for the state of introspection, else 0; for resolved issuers their number.", "issuer", "state")
	asking         = gauge("introspections_in_flight", "Introspection requests under way.", "issuer")
	askQueue       = gauge("introspections_queued", "Introspection requests that wait for their turn.", "issuer")

	keyFetchTime = histogram("key_fetch_duration_seconds", "Time of key fetches.")
	askTime      = histogram("introspection_duration_seconds", "Time of introspection requests that were sent.")
)

var allSeries = []*series{
	ready, warnings, decisions, routeDecisions, inFlight, tokensInURL, heldOpen, heldOverdue, heldStarted, heldEnded,
	cacheHits, cacheMisses, cacheEvictions, cacheEntries, cacheBytes, resolvedIssuers,
	keyFetches, keyFailures, keyWaiting, keyStates, keyAge, keyUsable, keysInUse, keysIgnored, keysForbidden,
	unknownKids, fruitless, unknownInterval, snapshotFaults, moves, introspections, askStates, asking, askQueue,
	keyFetchTime, askTime,
}

// histogram returns a family of histograms by issuer.
func histogram(name, help string) *series {
	return newSeries(prometheus.UntypedValue, name, help, "issuer")
}

// durationBuckets are the bounds of the classic histogram of validation, in seconds: from
// the repeat path to beyond the longest fetch.
var durationBuckets = []float64{
	250e-9, 500e-9, 1e-6, 2.5e-6, 5e-6, 10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6,
	1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 10, 20, 40,
}

// Bounds of the native histograms. A histogram with more buckets is reset, but no more
// often than once an hour; until then its resolution is halved.
const (
	bucketFactor   = 1.1
	maxBuckets     = 160
	minBucketReset = time.Hour
)

// newHistogram returns the native and classic histogram for decisions with this source.
func newHistogram(source string) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:        "sallyport_validation_duration_seconds",
		Help:        "Time from the beginning of the check of a token to the decision; of cached ones every 64th on average.",
		ConstLabels: prometheus.Labels{"source": source},
		Buckets:     durationBuckets, NativeHistogramBucketFactor: bucketFactor,
		NativeHistogramMaxBucketNumber: maxBuckets, NativeHistogramMinResetDuration: minBucketReset,
	})
}
