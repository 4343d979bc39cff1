package benchmarks

import (
	"fmt"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

// Options configure how thoroughly to measure.
type Options struct {
	Pairs      int           `json:"pairs"`      // of a row at one CPU
	PairsAtTwo int           `json:"pairsAtTwo"` // of a row at two
	CallPairs  int           `json:"callPairs"`  // of a gRPC call
	Block      time.Duration `json:"blockNanos"` // CPU time of the floor in a pair
	Rounds     int           `json:"rounds"`     // of a throughput row
	Window     time.Duration `json:"windowNanos"`
	Tokens     int           `json:"tokens"` // of a row with many tokens

	Only     *regexp.Regexp `json:"only,omitempty"` // steps with such a name; nil means all
	Progress io.Writer      `json:"-"`
}

// Quick returns options for a measurement of less than a minute.
func Quick() Options {
	return Options{
		Pairs: 25, PairsAtTwo: 7, CallPairs: 60, Block: 4 * time.Millisecond,
		Rounds: 3, Window: 60 * time.Millisecond, Tokens: 10_000,
	}
}

// Thorough returns options for a measurement of some minutes.
func Thorough() Options {
	return Options{
		Pairs: 101, PairsAtTwo: 41, CallPairs: 1000, Block: 8 * time.Millisecond,
		Rounds: 15, Window: 150 * time.Millisecond, Tokens: 10_000,
	}
}

// distinct is the number of tokens that the rows of unseen tokens use in turn. It is
// large enough that the smallest cache has lost a token when it comes again, and
// that the branch predictor does not learn a token by heart.
const distinct = 1024

// Measurement measures everything, step by step, and can repeat any step.
type Measurement struct {
	Report Report

	options  Options
	twoCPUs  bool
	steps    []step
	material *Material // the last one; successive steps share it
	tokens   int       // of material
}

// step is a part of the measurement that can be repeated.
type step struct {
	name string
	run  func() error
}

// NewMeasurement returns a Measurement that has measured nothing yet.
func NewMeasurement(o Options) *Measurement {
	m := &Measurement{options: o, twoCPUs: min(runtime.NumCPU(), runtime.GOMAXPROCS(0)) >= 2}
	m.Report = Report{
		Time: time.Now().UTC().Truncate(time.Second), Machine: ThisMachine(), Modules: Modules(), Options: o,
	}
	for _, s := range slices.Concat(everyone(), Layers, Repeats) {
		m.Report.Subjects = append(m.Report.Subjects, describe(s, m.Report.Modules))
	}
	for _, d := range append([]Door{Nothing}, Doors...) {
		m.Report.Interceptors = append(m.Report.Interceptors, describe(Subject{Name: d.Name, Module: d.Module, Checks: d.Checks, Adapter: d.Adapter}, m.Report.Modules))
	}
	repeats := slices.DeleteFunc(slices.Clone(Repeats), func(s Subject) bool { return !s.Ours })
	for _, a := range Algorithms {
		for _, s := range Subjects {
			m.add(stepName(firstSeen, a.String(), s.Name), func() error { return m.besideFloor(a, s, false) })
		}
		for _, s := range repeats {
			m.add(stepName(firstSeen, a.String(), s.Name), func() error { return m.besideFloor(a, s, true) })
		}
		if a != jose.RS256 {
			continue
		}
		for _, s := range Subjects {
			m.add(stepName("throughput", a.String(), s.Name), func() error { return m.throughput(a, s) })
		}
	}
	for _, a := range []jose.Algorithm{jose.RS256, jose.ES256} {
		for _, s := range Layers {
			m.add(stepName("layers", a.String(), s.Name), func() error { return m.layer(a, s) })
		}
	}
	for _, s := range everyone() {
		m.add(stepName("rejects", s.Name), func() error { return m.rejects(s) })
	}
	m.add("Sallyport's refusals", m.refusals)
	for _, w := range workloads(o.Tokens) {
		for _, s := range Repeats {
			m.add(stepName(repeat, w.name, s.Name), func() error { return m.repeat(w, s) })
		}
	}
	m.add(stepName(repeat, opaqueName, repeatName), m.repeatOpaque)
	for _, c := range []string{checkCase, requestCase} {
		for _, o := range Observers {
			m.add(stepName(observed, c, o.Name), func() error { return m.observe(c, o) })
		}
	}
	for _, c := range callCases() {
		for _, d := range append([]Door{Nothing}, Doors...) {
			m.add(stepName(grpcCall, c.name(), d.Name), func() error { return m.call(c, d) })
		}
	}
	return m
}

// Kinds of steps with gates.
const (
	firstSeen = "first seen"
	repeat    = "repeat"
	grpcCall  = "gRPC call"
)

func stepName(parts ...string) string { return strings.Join(parts, ": ") }

func (m *Measurement) add(name string, run func() error) {
	if m.options.Only == nil || m.options.Only.MatchString(name) {
		m.steps = append(m.steps, step{name, run})
	}
}

// Run runs all steps.
func (m *Measurement) Run() error {
	defer m.release()
	if len(m.steps) == 0 {
		return fmt.Errorf("benchmarks: no step matches %s; run without -only to see the names of all steps", m.options.Only)
	}
	for i, s := range m.steps {
		m.progressf("%3d/%d  %s", i+1, len(m.steps), s.name)
		if err := s.run(); err != nil {
			return fmt.Errorf("%w (while measuring %s)", err, s.name)
		}
	}
	return nil
}

// Again repeats the step that an excess names.
func (m *Measurement) Again(e Excess) error {
	defer m.release()
	for _, s := range m.steps {
		if s.name == e.Step {
			m.progressf("again    %s", s.name)
			return s.run()
		}
	}
	return fmt.Errorf("benchmarks: no step is called %q", e.Step)
}

func (m *Measurement) progressf(format string, args ...any) {
	if m.options.Progress != nil {
		fmt.Fprintf(m.options.Progress, format+"\n", args...)
	}
}

// use returns material with this number of tokens. The next call may close it.
func (m *Measurement) use(a jose.Algorithm, tokens int) (*Material, error) {
	if m.material != nil && m.material.Algorithm == a && m.tokens == tokens {
		return m.material, nil
	}
	m.release()
	var err error
	m.material, err = NewMaterial(a, tokens)
	m.tokens = tokens
	return m.material, err
}

func (m *Measurement) release() {
	if m.material != nil {
		m.material.Close()
		m.material = nil
	}
}

// compare measures a row at one CPU. If the row is also for two CPUs and the machine
// has two, compare measures it there, too.
func (m *Measurement) compare(into *[]Row, row Row, atTwo bool, floor, run Run) (err error) {
	if row.FloorAllocations, err = AllocationsOf(floor); err != nil {
		return err
	}
	if row.Allocations, err = AllocationsOf(run); err != nil {
		return err
	}
	pairs := Pairs{Count: m.options.Pairs, Block: m.options.Block, CPUs: 1}
	if row.Comparison, err = pairs.Compare(floor, run); err != nil {
		return err
	}
	row.CPUs = 1
	put(into, row)
	if !atTwo || !m.twoCPUs {
		return nil
	}
	pairs.Count, pairs.CPUs = m.options.PairsAtTwo, 2
	row.Comparison, err = pairs.Compare(floor, run)
	row.CPUs = 2
	put(into, row)
	return err
}

// besideFloor measures a row of a table of ratios to the floor.
func (m *Measurement) besideFloor(a jose.Algorithm, s Subject, seen bool) error {
	material, floor, run, err := m.prepare(a, s)
	if err != nil {
		return err
	}
	if seen {
		if err := seeAll(run, material); err != nil {
			return err
		}
	}
	row := Row{Case: a.String(), Subject: s.Name, Ours: s.Ours, Repeat: seen, TokenBytes: len(material.Tokens[0])}
	return m.compare(&m.Report.FirstSeen, row, true, floor, run)
}

func (m *Measurement) layer(a jose.Algorithm, s Subject) error {
	material, floor, run, err := m.prepare(a, s)
	if err != nil {
		return err
	}
	row := Row{Case: a.String(), Subject: s.Name, TokenBytes: len(material.Tokens[0])}
	return m.compare(&m.Report.Layers, row, false, floor, run)
}

func (m *Measurement) prepare(a jose.Algorithm, s Subject) (material *Material, floor, run Run, err error) {
	if material, err = m.use(a, distinct); err != nil {
		return nil, nil, nil, err
	}
	if floor, err = material.Floor(); err != nil {
		return nil, nil, nil, err
	}
	run, err = s.Prepare(material)
	return material, floor, run, err
}

func (m *Measurement) throughput(a jose.Algorithm, s Subject) error {
	if !m.twoCPUs {
		return nil
	}
	_, floor, run, err := m.prepare(a, s)
	if err != nil {
		return err
	}
	if len(m.Report.Throughput) == 0 {
		if err := m.scaling(&m.Report.Throughput, ScalingRow{Case: a.String(), Subject: floorName}, floor); err != nil {
			return err
		}
	}
	return m.scaling(&m.Report.Throughput, ScalingRow{Case: a.String(), Subject: s.Name, Ours: s.Ours}, run)
}

func (m *Measurement) scaling(into *[]ScalingRow, row ScalingRow, run Run) (err error) {
	row.Factor, err = Scaling(run, m.options.Rounds, m.options.Window)
	put(into, row)
	return err
}

// rejects measures the cost of refusals as a ratio to the floor of a good token.
func (m *Measurement) rejects(s Subject) error {
	material, err := m.use(jose.RS256, distinct)
	if err != nil {
		return err
	}
	floor, err := material.Floor()
	if err != nil {
		return err
	}
	rejects, err := Rejects(material)
	if err != nil {
		return err
	}
	for _, reject := range rejects {
		if !reject.Compared {
			continue
		}
		run, err := reject.RunBy(s, material)
		if err != nil {
			return err
		}
		row := Row{Case: reject.Name, Subject: s.Name, Ours: s.Ours, TokenBytes: len(reject.Token)}
		if err := m.compare(&m.Report.Rejects, row, false, floor, run); err != nil {
			return err
		}
	}
	return nil
}

// refusals measures all kinds of refusals by Sallyport, without a ratio.
func (m *Measurement) refusals() error {
	material, err := m.use(jose.RS256, distinct)
	if err != nil {
		return err
	}
	v, err := newValidator(material, nil)
	if err != nil {
		return err
	}
	rejects, err := Rejects(material)
	if err != nil {
		return err
	}
	for _, reject := range rejects {
		run := reject.Run(v)
		row := RefusalRow{Name: reject.Name, Reason: string(reject.Want), Early: reject.Early, Slow: reject.Slow}
		if row.Allocations, err = AllocationsOf(run); err != nil {
			return err
		}
		n, err := runsPer(m.options.Block, run)
		if err != nil {
			return err
		}
		times := make([]float64, max(5, m.options.Pairs/4))
		for i := range times {
			if times[i], err = timed(1, 0, n, run); err != nil {
				return err
			}
		}
		row.Nanos = QuartilesOf(times)
		put(&m.Report.Refusals, row)
	}
	return nil
}

// everyone returns the subjects whose refusals are compared.
func everyone() []Subject { return append(slices.Clone(Subjects), Fetching) }

// workload is a kind of traffic with tokens that were validated before.
type workload struct {
	name      string
	algorithm jose.Algorithm
	tokens    int
}

func workloads(many int) []workload {
	return []workload{
		{"one token, RS256", jose.RS256, 1},
		{"one token, ES256", jose.ES256, 1},
		{fmt.Sprintf("%d tokens, ES256", many), jose.ES256, many},
	}
}

// repeat measures tokens that were accepted before, as a ratio to SHA-256 of the same
// tokens.
func (m *Measurement) repeat(w workload, s Subject) error {
	material, err := m.use(w.algorithm, w.tokens)
	if err != nil {
		return err
	}
	digest := material.Digest()
	run, err := s.Prepare(material)
	if err != nil {
		return err
	}
	if err := seeAll(run, material); err != nil {
		return err
	}
	row := Row{Case: w.name, Subject: s.Name, Ours: s.Ours, TokenBytes: len(material.Tokens[0])}
	if err := m.compare(&m.Report.Repeat, row, true, digest, run); err != nil || !m.twoCPUs {
		return err
	}
	for _, side := range []struct {
		row ScalingRow
		run Run
	}{
		{ScalingRow{Case: w.name, Subject: digestName}, digest},
		{ScalingRow{Case: w.name, Subject: s.Name, Ours: s.Ours}, run},
	} {
		if err := m.scaling(&m.Report.RepeatThroughput, side.row, side.run); err != nil {
			return err
		}
	}
	return nil
}

// opaqueName is the case of an opaque token with an answer in the cache. Its length is
// that of a JWT, so that the ratio can be compared.
const (
	opaqueName  = "one opaque token, 850 bytes"
	opaqueBytes = 850
)

// repeatOpaque is repeat for an opaque token.
func (m *Measurement) repeatOpaque() error {
	server := newIntrospector()
	defer server.Close()
	validate, err := prepareAsking(server.URL)
	if err != nil {
		return err
	}
	material := &Material{Tokens: []string{strings.Repeat("t", opaqueBytes)}}
	run := material.each(validate)
	if err := seeAll(run, material); err != nil {
		return err
	}
	row := Row{Case: opaqueName, Subject: repeatName, Ours: true, TokenBytes: opaqueBytes}
	return m.compare(&m.Report.Repeat, row, true, material.Digest(), run)
}

// seeAll gives a subject every token more than once, because a cache may not keep a
// token the first time.
func seeAll(run Run, m *Material) error {
	for i := range 3 * len(m.Tokens) {
		if err := run(i); err != nil {
			return err
		}
	}
	return nil
}
