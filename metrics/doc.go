// Package metrics makes Prometheus series of what a Guard decides and of the state of
// its issuers. One line switches it on:
//
//	trace, err := metrics.New(prometheus.DefaultRegisterer)
//
// The Trace goes into middleware.Config.Trace, alone or joined with others by its method
// Join. docs/metrics.md lists all series and labels.
//
// No label has a value that a client can choose. The number of series is bounded by the
// configured issuers and the registered routes.
//
// What happens in requests is counted by the hooks of the Trace. What happens to the keys
// and the introspection of the issuers is read at each scrape from the Status of the
// Validator, so it costs requests nothing.
package metrics
