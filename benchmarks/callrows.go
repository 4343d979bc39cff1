package benchmarks

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/sallyport-auth/sallyport/jose"
)

// callAlgorithms are the algorithms of the measured calls.
var callAlgorithms = []jose.Algorithm{jose.RS256, jose.ES256}

// callCase is a kind of traffic of gRPC calls.
type callCase struct {
	algorithm jose.Algorithm
	seen      bool // one token again and again
}

func callCases() []callCase {
	var all []callCase
	for _, a := range callAlgorithms {
		all = append(all, callCase{a, true}, callCase{a, false})
	}
	return all
}

func (c callCase) name() string {
	if c.seen {
		return c.algorithm.String() + ", repeat"
	}
	return c.algorithm.String() + ", first seen"
}

func (c callCase) tokens() int {
	if c.seen {
		return 1
	}
	return distinct
}

// CallRow is the cost of one interceptor in one case, at one CPU.
type CallRow struct {
	Case    string `json:"case"`
	Subject string `json:"subject"`
	Ours    bool   `json:"ours"`
	Repeat  bool   `json:"repeat"`
	// Call compares calls over a connection on a loopback address with calls of a server
	// without an interceptor, in CPU time of client and server. Both get the token.
	Call Comparison `json:"call"`
	// Added is what the interceptor adds to a call, in nanoseconds.
	Added Quartiles `json:"addedNanos"`
	// Inside is the time in nanoseconds from the call of the interceptor to that of the
	// handler, in the server of Call. It has what other code evicted from the caches of the
	// processor, and not what the interceptor evicts itself.
	Inside Quartiles `json:"insideNanos"`
	// Direct compares the interceptor, called without a connection, with SHA-256 of the
	// token.
	Direct      Comparison  `json:"direct"`
	Allocations Allocations `json:"allocations"` // of the interceptor without a connection
}

// callBlockPart is how much shorter the blocks of calls are than those of other rows. What
// disturbs calls is short and costs a lot, so that many short pairs are disturbed less
// often than few long ones.
const callBlockPart = 8

func (r CallRow) key() string { return r.Case + "\n" + r.Subject }

// call measures one interceptor in one case.
func (m *Measurement) call(c callCase, d Door) error {
	material, err := m.use(c.algorithm, c.tokens())
	if err != nil {
		return err
	}
	interceptor, err := d.Prepare(material, c.seen)
	if err != nil {
		return err
	}
	row := CallRow{Case: c.name(), Subject: d.Name, Ours: d.Ours, Repeat: c.seen}
	alone := direct(interceptor, material)
	if c.seen {
		if err := seeAll(alone, material); err != nil {
			return err
		}
	}
	if row.Allocations, err = AllocationsOf(alone); err != nil {
		return err
	}
	pairs := Pairs{Count: m.options.Pairs, Block: m.options.Block, CPUs: 1}
	if row.Direct, err = pairs.Compare(material.Digest(), alone); err != nil {
		return err
	}
	pairs.Count, pairs.Block = m.options.CallPairs, m.options.Block/callBlockPart
	if row.Call, err = callPairs(pairs, material, interceptor); err != nil {
		return err
	}
	row.Added = row.Call.added()
	if row.Inside, err = insideServer(interceptor, material, callsPerPair*m.options.CallPairs); err != nil {
		return err
	}
	put(&m.Report.Calls, row)
	return nil
}

// callsPerPair is how many calls are timed inside the server for each pair of blocks.
const callsPerPair = 10

// warmCalls is how many calls each side makes before it is measured.
const warmCalls = 200

// callPairs compares calls of a server with an interceptor with those of one without.
func callPairs(pairs Pairs, m *Material, interceptor grpc.UnaryServerInterceptor) (Comparison, error) {
	plain, err := newCallServer(nil)
	if err != nil {
		return Comparison{}, err
	}
	defer plain.close()
	guarded, err := newCallServer(interceptor)
	if err != nil {
		return Comparison{}, err
	}
	defer guarded.close()
	both := [2]Run{plain.calls(m), guarded.calls(m)}
	for i := range 2 * warmCalls { // connects, too, which would count as the time of a call
		if err := both[i%2](i); err != nil {
			return Comparison{}, fmt.Errorf("benchmarks: a gRPC call: %w", err)
		}
	}
	comparison, err := pairs.Compare(both[0], both[1])
	if err != nil {
		return Comparison{}, fmt.Errorf("benchmarks: a gRPC call: %w", err)
	}
	return comparison, nil
}

// insideServer measures what an interceptor takes before it calls the handler, in a server
// that gets n calls, one after the other.
func insideServer(interceptor grpc.UnaryServerInterceptor, m *Material, n int) (Quartiles, error) {
	var mu sync.Mutex
	var took []float64
	server, err := newCallServer(func(ctx context.Context, in any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		start := time.Now()
		return interceptor(ctx, in, info, func(ctx context.Context, in any) (any, error) {
			nanos := float64(time.Since(start))
			mu.Lock()
			took = append(took, nanos)
			mu.Unlock()
			return handler(ctx, in)
		})
	})
	if err != nil {
		return Quartiles{}, err
	}
	defer server.close()
	call := server.calls(m)
	for i := range warmCalls + n {
		if err := call(i); err != nil {
			return Quartiles{}, fmt.Errorf("benchmarks: a gRPC call: %w", err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	return QuartilesOf(took[warmCalls:]), nil
}

// callTable shows what interceptors add to a gRPC call.
func (r *Report) callTable() table {
	t := table{
		title: "gRPC calls, one CPU",
		about: fmt.Sprintf("Unary calls over loopback sockets: what the interceptor adds to a call without one, in µs of CPU time of client and server: median of %d pairs [quartiles]; "+
			"the call with it over the call without it; the time inside the server, from the call of the interceptor to that of the handler, in µs; the interceptor called directly, in µs and over SHA-256 of the token. "+
			"Budget for a repeat token: %.0f µs and %d allocations.", r.Options.CallPairs, CallBudget.Seconds()*1e6, CallAllocationBudget),
		heading: []string{"tokens", "", "added µs", "call over call without", "call without, µs", "inside the server, µs", "directly, µs", "over SHA-256", "allocations"},
	}
	for _, row := range r.Calls {
		text, allocations := spread(row.Added.micros(), "%.1f"), fmt.Sprintf("%.0f", row.Allocations.Count)
		if row.Ours && row.Repeat && row.Added.Median > float64(CallBudget) {
			text += overBudget
		}
		if row.Ours && row.Repeat && row.Allocations.Count > CallAllocationBudget {
			allocations += overBudget
		}
		t.rows = append(t.rows, []string{
			row.Case, name(row.Subject, row.Ours), text, spread(row.Call.Ratio, "%.2f"), micros(row.Call.FloorNanos),
			spread(row.Inside.micros(), "%.2f"),
			fmt.Sprintf("%.2f", row.Direct.SubjectNanos/1e3), spread(row.Direct.Ratio, "%.2f"), allocations,
		})
	}
	return t
}

// callExcesses returns our rows of repeat tokens that are above their gates.
func (r *Report) callExcesses() []Excess {
	var all []Excess
	for _, row := range r.Calls {
		if !row.Ours || !row.Repeat {
			continue
		}
		step := stepName(grpcCall, row.Case, row.Subject)
		if row.Direct.Ratio.Median > callDirectGate {
			all = append(all, Excess{step, fmt.Sprintf("%s costs %.2f × SHA-256 of the token without a connection; the gate is %d", step, row.Direct.Ratio.Median, callDirectGate)})
		}
		if row.Call.Ratio.Median > callGate {
			all = append(all, Excess{step, fmt.Sprintf("%s costs %.2f × a call without interceptor; the gate is %.1f", step, row.Call.Ratio.Median, callGate)})
		}
		if row.Allocations.Count > CallAllocationBudget {
			all = append(all, Excess{step, fmt.Sprintf("%s makes %.0f allocations; the gate is %d", step, row.Allocations.Count, CallAllocationBudget)})
		}
	}
	return all
}

// callLosses returns sentences for calls: where another interceptor adds less, and where
// Sallyport exceeds its budget.
func (r *Report) callLosses() []string {
	var all []string
	for _, row := range r.Calls {
		if row.Ours && row.Repeat && row.Added.Median > float64(CallBudget) {
			all = append(all, fmt.Sprintf("gRPC call, %s: %s adds %s µs, its budget is %.0f.", row.Case, row.Subject, micros(row.Added.Median), CallBudget.Seconds()*1e6))
		}
		i := slices.IndexFunc(r.Calls, func(other CallRow) bool { return other.Ours && other.Case == row.Case })
		if i >= 0 && !row.Ours && row.Subject != Nothing.Name && row.Direct.Ratio.Q3 < r.Calls[i].Direct.Ratio.Q1 {
			all = append(all, fmt.Sprintf("gRPC call, %s: %s costs %.2f × SHA-256, Sallyport %.2f.", row.Case, row.Subject, row.Direct.Ratio.Median, r.Calls[i].Direct.Ratio.Median))
		}
	}
	return all
}
