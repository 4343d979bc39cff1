package benchmarks

import (
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

// Budgets of a first-seen token, as ratio to the floor, and of the allocations
// above it.
var Budgets = map[jose.Algorithm]float64{jose.RS256: 1.08, jose.PS256: 1.08, jose.ES256: 1.05, jose.EdDSA: 1.05}

// AllocationBudget is how many more allocations than the floor are allowed.
const AllocationBudget = 8

// Gates stand at twice what the budgets allow above the floor, since a gate
// must not fail for noise.
const gateFactor = 2

// Gate is the ratio at which [Report.Excesses] complains.
func Gate(a jose.Algorithm) float64 { return 1 + gateFactor*(Budgets[a]-1) }

// Options say how thoroughly to measure.
type Options struct {
	Pairs    int           // per algorithm and subject
	Block    time.Duration // CPU time of one side of a pair
	Rounds   int           // of the scaling rows
	Window   time.Duration // of one side of such a round
	Progress io.Writer
}

// Quick takes about ten seconds.
func Quick() Options {
	return Options{Pairs: 41, Block: 4 * time.Millisecond, Rounds: 5, Window: 100 * time.Millisecond}
}

// Thorough takes some minutes.
func Thorough() Options {
	return Options{Pairs: 201, Block: 16 * time.Millisecond, Rounds: 25, Window: 400 * time.Millisecond}
}

// FirstSeen measures everything.
func FirstSeen(o Options) (*Report, error) {
	r := &Report{
		Time: time.Now().UTC().Truncate(time.Second), Go: runtime.Version(), CPUs: runtime.GOMAXPROCS(0),
		Platform: runtime.GOOS + "/" + runtime.GOARCH, Pairs: o.Pairs, BlockMillis: o.Block.Milliseconds(),
	}
	for _, a := range Algorithms {
		m, err := NewMaterial(a)
		if err != nil {
			return nil, err
		}
		for _, subject := range Subjects {
			o.progressf("%s: %s", a, subject.Name)
			row, err := measure(m, subject, o)
			if err != nil {
				return nil, err
			}
			r.Rows = append(r.Rows, row)
		}
		if a != jose.RS256 {
			continue
		}
		if r.Scaling, err = measureScaling(m, o); err != nil {
			return nil, err
		}
	}
	o.progressf("refusals")
	var err error
	r.Refusals, err = measureRefusals(o)
	return r, err
}

// Remeasure repeats the row of Sallyport under one algorithm, with new keys.
func (r *Report) Remeasure(a jose.Algorithm, o Options) error {
	o.progressf("%s: once more", a)
	m, err := NewMaterial(a)
	if err != nil {
		return err
	}
	row, err := measure(m, Sallyport, o)
	if err != nil {
		return err
	}
	for i := range r.Rows {
		if r.Rows[i].Algorithm == a.String() && r.Rows[i].Subject == Sallyport.Name {
			r.Rows[i] = row
		}
	}
	return nil
}

func (o Options) progressf(format string, args ...any) {
	if o.Progress != nil {
		fmt.Fprintf(o.Progress, format+"\n", args...)
	}
}

func measure(m *Material, subject Subject, o Options) (Row, error) {
	row := Row{Algorithm: m.Algorithm.String(), Subject: subject.Name, TokenBytes: len(m.Token)}
	floor, err := m.Floor()
	if err != nil {
		return row, err
	}
	run, err := subject.Prepare(m)
	if err != nil {
		return row, err
	}
	if row.FloorAllocations, err = AllocationsOf(floor); err != nil {
		return row, err
	}
	if row.Allocations, err = AllocationsOf(run); err != nil {
		return row, err
	}
	row.Comparison, err = Compare(floor, run, o.Pairs, o.Block)
	return row, err
}

func measureScaling(m *Material, o Options) ([]ScalingRow, error) {
	floor, err := m.Floor()
	if err != nil {
		return nil, err
	}
	run, err := Sallyport.Prepare(m)
	if err != nil {
		return nil, err
	}
	var rows []ScalingRow
	for _, side := range []struct {
		name string
		run  func() error
	}{{"floor", floor}, {Sallyport.Name, run}} {
		o.progressf("%s: %s on 1 and 2 goroutines", m.Algorithm, side.name)
		factor, err := Scaling(side.run, o.Rounds, o.Window)
		if err != nil {
			return nil, err
		}
		rows = append(rows, ScalingRow{Algorithm: m.Algorithm.String(), Subject: side.name, Factor: factor})
	}
	return rows, nil
}

func measureRefusals(o Options) ([]RefusalRow, error) {
	m, err := RejectMaterial()
	if err != nil {
		return nil, err
	}
	v, err := NewValidator(m.JWKS)
	if err != nil {
		return nil, err
	}
	rejects, err := Rejects(m)
	if err != nil {
		return nil, err
	}
	var rows []RefusalRow
	for _, reject := range rejects {
		run := reject.Run(v)
		row := RefusalRow{Name: reject.Name, Reason: string(reject.Want), Early: reject.Early}
		if row.Allocations, err = AllocationsOf(run); err != nil {
			return nil, err
		}
		n, err := runsPer(o.Block, run)
		if err != nil {
			return nil, err
		}
		times := make([]float64, max(5, o.Pairs/4))
		for i := range times {
			if times[i], err = timed(n, run); err != nil {
				return nil, err
			}
		}
		row.Nanos = QuartilesOf(times)
		rows = append(rows, row)
	}
	return rows, nil
}
