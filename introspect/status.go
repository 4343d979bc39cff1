package introspect

// Status describes how requests to one issuer fare, for operators and metrics.
type Status struct {
	Issuer   string // as in its configuration
	State    State  // whether requests are held back
	UnderWay int    // requests
	Queued   int    // requests that wait for their turn
}
