package benchmarks

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-auth/sallyport/audit"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/metrics"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Observer is what a program switches on to see what its Guard decides.
type Observer struct {
	Name  string
	Trace func() (*middleware.Trace, error)
}

// Observers are compared with a Guard that nobody observes. The first must keep the budget
// of a single check, and all must keep that of the throughput.
var Observers = []Observer{
	{"metrics", metricsTrace},
	{"metrics and audit", func() (*middleware.Trace, error) {
		trace, err := metricsTrace()
		if err != nil {
			return nil, err
		}
		records, err := audit.New(audit.Config{Logger: slog.New(slog.DiscardHandler), Key: audit.NewKey(make([]byte, 32))})
		if err != nil {
			return nil, fmt.Errorf("benchmarks: %w", err)
		}
		return trace.Join(records.Trace()), nil
	}},
}

func metricsTrace() (*middleware.Trace, error) {
	trace, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	return trace, nil
}

// Budgets of observation, for a token seen before.
const (
	ObservedBudget   = 60 * time.Nanosecond // that metrics add to a check
	ThroughputShare  = 0.9                  // of HTTP requests, of the throughput without observation
	observedGate     = gateFactor * ObservedBudget
	throughputGate   = 1 - gateFactor*(1-ThroughputShare)
	observedAtOnce   = 200 // requests of each side before the first pair
	observed         = "observed"
	checkCase        = "Route.Check"
	requestCase      = "HTTP request over a socket"
	observedPairPart = 4 // pairs are so many times more and blocks so many times shorter than in other rows
)

// ObservedRow is the cost of an Observer in one case, at one CPU.
type ObservedRow struct {
	Comparison

	Case             string      `json:"case"`
	Subject          string      `json:"subject"`
	Added            Quartiles   `json:"addedNanos"`
	FloorAllocations Allocations `json:"floorAllocations"`
	Allocations      Allocations `json:"allocations"`
}

func (r ObservedRow) key() string { return r.Case + "\n" + r.Subject }

// share returns the throughput as a share of that without observation.
func (r ObservedRow) share() float64 { return 1 / r.Ratio.Median }

// observe measures an Observer in one case.
func (m *Measurement) observe(c string, o Observer) error {
	material, err := m.use(jose.ES256, 1)
	if err != nil {
		return err
	}
	trace, err := o.Trace()
	if err != nil {
		return err
	}
	prepare := prepareCheck
	if c == requestCase {
		prepare = prepareRequest
	}
	floor, closeFloor, err := prepare(material, nil)
	if err != nil {
		return err
	}
	defer closeFloor()
	run, closeRun, err := prepare(material, trace)
	if err != nil {
		return err
	}
	defer closeRun()
	for i := range observedAtOnce {
		if err := errors.Join(floor(i), run(i)); err != nil {
			return err
		}
	}
	row := ObservedRow{Case: c, Subject: o.Name}
	if row.FloorAllocations, err = AllocationsOf(floor); err != nil {
		return err
	}
	if row.Allocations, err = AllocationsOf(run); err != nil {
		return err
	}
	pairs := Pairs{Count: observedPairPart * m.options.Pairs, Block: m.options.Block / observedPairPart, CPUs: 1}
	if row.Comparison, err = pairs.Compare(floor, run); err != nil {
		return err
	}
	row.Added = row.added()
	put(&m.Report.Observed, row)
	return nil
}

// observedGuard returns a Guard with a cache for the tokens of m.
func observedGuard(m *Material, trace *middleware.Trace) (*middleware.Guard, error) {
	v, err := newValidator(m, func(c *validator.Config) { c.Cache.Entries = 1000 })
	if err != nil {
		return nil, err
	}
	guard, err := middleware.New(middleware.Config{Validator: v, Trace: trace})
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	return guard, nil
}

// prepareCheck prepares Route.Check.
func prepareCheck(m *Material, trace *middleware.Trace) (Run, func(), error) {
	guard, err := observedGuard(m, trace)
	if err != nil {
		return nil, nil, err
	}
	route, err := guard.Route("GET /orders/{id}", scopes.All("orders:read"))
	if err != nil {
		return nil, nil, fmt.Errorf("benchmarks: %w", err)
	}
	ctx := context.Background()
	return m.each(func(token string) error {
		verdict := route.Check(ctx, validator.Presentation{Scheme: validator.Bearer, Token: token}, scopes.Operation{})
		if denial := verdict.Denial(); denial != nil {
			return denial
		}
		return nil
	}), func() {}, nil
}

// prepareRequest prepares requests over one connection to a server on loopback. The client
// does next to nothing, so that the server's part is seen.
func prepareRequest(m *Material, trace *middleware.Trace) (Run, func(), error) {
	guard, err := observedGuard(m, trace)
	if err != nil {
		return nil, nil, err
	}
	mux := guard.NewMux()
	mux.HandleFunc("GET /orders/{id}", scopes.All("orders:read"), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("benchmarks: %w", err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends when the server is closed
	var dialer net.Dialer
	connection, err := dialer.DialContext(context.Background(), "tcp", listener.Addr().String())
	if err != nil {
		return nil, nil, errors.Join(err, server.Close())
	}
	closeBoth := func() {
		_ = connection.Close()
		_ = server.Close()
	}
	answers := bufio.NewReader(connection)
	request := []byte("GET /orders/17 HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer " + m.Tokens[0] + "\r\n\r\n")
	return func(int) error {
		if _, err := connection.Write(request); err != nil {
			return fmt.Errorf("benchmarks: %w", err)
		}
		return readNoContent(answers)
	}, closeBoth, nil
}

// readNoContent reads an answer, which must have status 204.
func readNoContent(answers *bufio.Reader) error {
	for first := true; ; first = false {
		line, err := answers.ReadSlice('\n')
		switch {
		case err != nil:
			return fmt.Errorf("benchmarks: %w", err)
		case first && !strings.HasPrefix(string(line), "HTTP/1.1 204 "):
			return fmt.Errorf("benchmarks: the answer is %q", line)
		case len(line) == len("\r\n"):
			return nil
		}
	}
}

// observedTable shows what observation costs.
func (r *Report) observedTable() table {
	t := table{
		title: "Observation, one CPU",
		about: fmt.Sprintf("What hooks add for a token seen before, over the same without hooks, in CPU time: median of pairs [quartiles]. "+
			"HTTP requests come over one loopback connection, and the time is that of client and server. "+
			"Budgets: %d ns and no allocation for metrics, %.0f %% of the throughput for all.", ObservedBudget.Nanoseconds(), 100*ThroughputShare),
		heading: []string{"", "switched on", "added ns", "without, µs", "throughput", "allocations added"},
	}
	for _, row := range r.Observed {
		added, share := spread(row.Added, "%.0f"), fmt.Sprintf("%.1f %%", 100*row.share())
		if row.Case == checkCase && row.Subject == Observers[0].Name && row.Added.Median > float64(ObservedBudget) {
			added += overBudget
		}
		if row.Case == requestCase && row.share() < ThroughputShare {
			share += overBudget
		}
		t.rows = append(t.rows, []string{
			row.Case, row.Subject, added, micros(row.FloorNanos), share, fmt.Sprintf("%.0f", row.Allocations.Count-row.FloorAllocations.Count),
		})
	}
	return t
}

// observedExcesses returns the rows of observation that are above their gates.
func (r *Report) observedExcesses() []Excess {
	var all []Excess
	for _, row := range r.Observed {
		step := stepName(observed, row.Case, row.Subject)
		first := row.Subject == Observers[0].Name
		if first && row.Case == checkCase && row.Added.Median > float64(observedGate) {
			all = append(all, Excess{step, fmt.Sprintf("%s adds %.0f ns; the gate is %d", step, row.Added.Median, observedGate.Nanoseconds())})
		}
		if row.Case == requestCase && row.share() < throughputGate {
			all = append(all, Excess{step, fmt.Sprintf("%s leaves %.0f %% of the throughput; the gate is %.0f", step, 100*row.share(), 100*throughputGate)})
		}
		if first && row.Allocations.Count > row.FloorAllocations.Count+0.5 && row.Case == checkCase {
			all = append(all, Excess{step, fmt.Sprintf("%s adds %.1f allocations; the gate is 0", step, row.Allocations.Count-row.FloorAllocations.Count)})
		}
	}
	return all
}
