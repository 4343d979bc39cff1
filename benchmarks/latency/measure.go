package latency

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/benchmarks"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// Options configure a measurement.
type Options struct {
	Protocols []string       `json:"protocols"`
	Loads     []int          `json:"loads"` // percent of the saturation
	Only      *regexp.Regexp `json:"-"`     // of "traffic: subject"; nil means all
	Window    time.Duration  `json:"window"`
	Windows   int            `json:"windows"` // of each server at each load
	// Saturation is how long the saturation is measured, three times.
	Saturation time.Duration `json:"saturation"`
	Rate       float64       `json:"rate,omitempty"` // requests a second instead of Loads; 0 means Loads
	Workers    int           `json:"workers"`        // most requests under way at once
	Algorithm  string        `json:"algorithm"`      // of JWTs, but those of the mix
	Tokens     int           `json:"tokens"`         // that come in turn; the mix has ten times as many
	// Delay is how long each middleware sleeps before each request. It is for tests of
	// budgets.
	Delay time.Duration `json:"delay,omitempty"`
	// Flood is how many requests a second the flood of random kids has, and three tenths of
	// it are those of bad signatures. 0: 10 000, or a fiftieth of the saturation if that is less.
	Flood float64 `json:"flood,omitempty"`
	// Servers are two running servers that are compared instead of ours.
	Servers  *Servers `json:"servers,omitempty"`
	Progress Progress `json:"-"`
}

// Servers are two servers that run already, with the same handler.
type Servers struct {
	Base    string      `json:"base"`    // URL without auth
	Guarded string      `json:"guarded"` // URL behind the middleware
	Header  http.Header `json:"-"`       // of the requests to both
}

// Progress shows how far a measurement is.
type Progress interface {
	// Plan says how many more steps there will be.
	Plan(steps int)
	// Step says what begins now. The step before has ended.
	Step(what string)
}

// UnderFaults returns o for [Measurement.RunFaults]: the load is 10 %, so that a flood finds
// room on one processor.
func (o Options) UnderFaults() Options {
	o.Loads = []int{10}
	return o
}

// The flood of [Options] that have none. Client, flood and server share the processors: with
// a larger one, valid requests to a server without auth, too, take more than twice as long.
const (
	usualFlood = 10_000 // requests a second
	floodShare = 0.02   // of the saturation, at most
)

// floodOf returns the requests a second of the largest flood. saturation is 0 if it is not
// known.
func (o Options) floodOf(saturation float64) float64 {
	switch {
	case o.Flood > 0:
		return o.Flood
	case saturation > 0:
		return min(usualFlood, floodShare*saturation)
	default:
		return usualFlood
	}
}

// Thorough returns the options of a full run.
func Thorough() Options {
	return Options{
		Protocols: Protocols, Loads: []int{10, 50, 70, 90}, Window: 10 * time.Second, Windows: 15,
		Saturation: 3 * time.Second, Workers: 256, Algorithm: jose.RS256.String(), Tokens: 1000,
	}
}

// Quick returns the options of a short run, whose figures mean little.
func Quick() Options {
	o := Thorough()
	o.Window, o.Windows, o.Saturation = time.Second, 5, 500*time.Millisecond
	return o
}

// The kinds of traffic.
const (
	trafficJWT    = "JWTs"
	trafficOpaque = "opaque"
	trafficMix    = "realistic mix"
	trafficOwn    = "own"
)

// contender is a server of one kind of traffic.
type contender struct {
	name string
	ours bool
	door string // see serverOrder
	seen bool
}

// sallyport is the name of our middleware and interceptor.
const sallyport = "Sallyport"

// Names of rows of Sallyport.
const (
	RepeatName    = "Sallyport, repeat"
	firstSeenName = "Sallyport, first seen"
	opaqueName    = "Sallyport, opaque cached"
	mixName       = "Sallyport, realistic mix"
	// GuardedName is the row of Servers.Guarded.
	GuardedName = "guarded"
)

// contenders returns the servers of a kind of traffic, that without auth first.
func contenders(protocol, kind string) []contender {
	all := []contender{{name: noAuth, door: noAuth}}
	switch kind {
	case trafficOpaque:
		return append(all, contender{opaqueName, true, sallyport, true})
	case trafficMix:
		return append(all, contender{mixName, true, sallyport, true})
	case trafficOwn:
		return append(all, contender{name: GuardedName, ours: true})
	}
	all = append(all, contender{RepeatName, true, sallyport, true}, contender{firstSeenName, true, sallyport, false})
	if protocol == GRPC {
		for _, d := range benchmarks.Doors[1:] {
			all = append(all, contender{d.Name, false, d.Name, true})
		}
		return all
	}
	for _, d := range benchmarks.HTTPDoors[1:] {
		all = append(all, contender{d.Name, false, d.Name, true})
	}
	return all
}

// cell is what is measured together: the servers of one kind of traffic at one load.
type cell struct {
	protocol, kind string
	load           int
}

// Measurement is a measurement under way.
type Measurement struct {
	Options

	Report Report

	issuers issuers
	rates   map[string]float64 // saturation by protocol
}

// issuers are the issuers of tokens, made when they are first needed.
type issuers struct {
	material *benchmarks.Material
	opaque   *testissuer.Issuer
	mixed    *testissuer.Issuer
	traffics map[string]traffic
}

func (i *issuers) close() {
	if i.material != nil {
		i.material.Close()
	}
	for _, issuer := range []*testissuer.Issuer{i.opaque, i.mixed} {
		if issuer != nil {
			issuer.Close()
		}
	}
}

// NewMeasurement returns a measurement. The caller must Close it.
func NewMeasurement(o Options) *Measurement {
	m := &Measurement{Options: o, rates: make(map[string]float64), issuers: issuers{traffics: make(map[string]traffic)}}
	m.Report = Report{Time: time.Now().UTC().Truncate(time.Second), Machine: benchmarks.ThisMachine(), Modules: benchmarks.Modules(), Options: o}
	return m
}

// Close closes the issuers.
func (m *Measurement) Close() { m.issuers.close() }

// Run measures everything that the options say.
func (m *Measurement) Run(ctx context.Context) error {
	cells, steps := m.plan()
	if len(cells) == 0 {
		return errors.New("latency: nothing to measure; -only matches no server, or there is no protocol or load")
	}
	m.progress().Plan(steps)
	for len(cells) > 0 {
		first := cells[0]
		n := slices.IndexFunc(cells, func(c cell) bool { return c.protocol != first.protocol || c.kind != first.kind })
		if n < 0 {
			n = len(cells)
		}
		if err := m.measure(ctx, cells[:n]); err != nil {
			return err
		}
		cells = cells[n:]
	}
	return nil
}

// plan returns what is measured, and in how many steps.
func (m *Measurement) plan() ([]cell, int) {
	var cells []cell
	steps := 0
	kinds := []string{trafficJWT, trafficOpaque, trafficMix}
	if m.Servers != nil {
		kinds = []string{trafficOwn}
	}
	loads := m.Loads
	if m.Rate > 0 {
		loads = []int{0}
	}
	for _, protocol := range m.Protocols {
		if m.Rate == 0 {
			steps++ // the saturation
		}
		for _, kind := range kinds {
			n := len(m.chosen(protocol, kind))
			if n < 2 {
				continue
			}
			for _, load := range loads {
				cells = append(cells, cell{protocol, kind, load})
				steps += n * m.Windows
			}
		}
	}
	return cells, steps
}

// chosen returns the servers that Only selects, and that without auth.
func (m *Measurement) chosen(protocol, kind string) []contender {
	return slices.DeleteFunc(contenders(protocol, kind), func(c contender) bool {
		return c.name != noAuth && m.Only != nil && !m.Only.MatchString(kind+": "+c.name)
	})
}

func (m *Measurement) progress() Progress {
	if m.Progress == nil {
		return silent{}
	}
	return m.Progress
}

type silent struct{}

func (silent) Plan(int)    {}
func (silent) Step(string) {}

// Again measures the rows beside one row again, and replaces them.
func (m *Measurement) Again(ctx context.Context, r Row) error {
	m.progress().Plan(m.Windows * len(m.chosen(r.Protocol, r.Traffic)))
	return m.measure(ctx, []cell{{r.Protocol, r.Traffic, r.Load}})
}

// warmers is how many requests fill caches at once. Servers refuse opaque tokens if too
// many have to be asked about.
const warmers = 8

// measure measures cells of one protocol and kind of traffic.
func (m *Measurement) measure(ctx context.Context, cells []cell) error {
	protocol, kind := cells[0].protocol, cells[0].kind
	t, err := m.traffic(kind) //nolint:contextcheck // an issuer runs until it is closed
	if err != nil {
		return err
	}
	pool := t.reset()
	var all []*subject
	defer func() {
		for _, s := range all {
			s.close()
		}
	}()
	for _, c := range m.chosen(protocol, kind) {
		s, err := m.subject(ctx, protocol, kind, c)
		if err != nil {
			return err
		}
		all = append(all, s)
		for _, workers := range []int{warmers, m.Workers} { // the first pass fills caches, the second makes connections
			if status := once(ctx, workers, pool, s.sending(t)); status != http.StatusOK {
				return fmt.Errorf("%w: %s, %s: status %d", errWarm, protocol, c.name, status)
			}
		}
	}
	for _, c := range cells {
		rate := m.Rate
		if rate == 0 {
			saturation, err := m.saturation(ctx, protocol, all[0], t)
			if err != nil {
				return err
			}
			rate = saturation * float64(c.load) / 100
		}
		if err := m.rounds(ctx, c, rate, t, all); err != nil {
			return err
		}
	}
	return nil
}

// saturation returns how many requests a second the server without auth answers under
// closed load.
func (m *Measurement) saturation(ctx context.Context, protocol string, base *subject, t traffic) (float64, error) {
	if rate := m.rates[protocol]; rate > 0 {
		return rate, nil
	}
	m.progress().Step(protocol + ": saturation")
	var rates []float64
	for range 3 {
		rate, failed := closedLoad(ctx, m.Workers/4, m.Saturation, base.sending(t))
		if failed > 0 {
			return 0, fmt.Errorf("latency: %s: %d requests failed while the saturation was measured", protocol, failed)
		}
		rates = append(rates, rate)
	}
	q := benchmarks.QuartilesOf(rates)
	m.Report.Saturation = append(m.Report.Saturation, Saturation{protocol, q})
	m.rates[protocol] = q.Median
	return q.Median, ctx.Err()
}

// rounds measures all servers in turn. Each round begins with another one.
func (m *Measurement) rounds(ctx context.Context, c cell, rate float64, t traffic, all []*subject) error {
	windows := make([][]Window, len(all))
	for round := range m.Windows {
		for turn := range all {
			i := (turn + round) % len(all)
			m.progress().Step(fmt.Sprintf("%s, %d %%: %s", c.protocol, c.load, all[i].name))
			w, err := m.window(ctx, rate, t, all[i])
			if err != nil {
				return err
			}
			windows[i] = append(windows[i], w)
		}
	}
	for i, s := range all {
		row := Row{Protocol: c.protocol, Traffic: c.kind, Subject: s.name, Ours: s.ours, Load: c.load, Rate: rate, Windows: windows[i]}
		if err := row.sum(windows[0]); err != nil {
			return err
		}
		if row.Failed > 0 {
			return fmt.Errorf("latency: %s: %d requests were refused", row.where(), row.Failed)
		}
		m.Report.put(row)
	}
	return nil
}

// settle is the time before a window in which nothing is sent.
const settle = 50 * time.Millisecond

func (m *Measurement) window(ctx context.Context, rate float64, t traffic, s *subject) (Window, error) {
	l := load{rate: rate, length: m.Window, drain: max(m.Window/2, time.Second), workers: m.Workers}
	// The window begins when its tokens are there, which may take some time.
	begin := time.Now()
	events := t.window(begin, time.Duration(float64(time.Second)/rate), int(rate*m.Window.Seconds()))
	runtime.GC()
	before, err := s.cpu()
	if err != nil {
		return Window{}, err
	}
	begin = time.Now().Add(settle)
	happened := make(chan struct{})
	go func() {
		defer close(happened)
		happen(begin, events)
	}()
	samples, err := l.run(ctx, begin, s.sending(t))
	<-happened
	if err != nil {
		return Window{}, fmt.Errorf("latency: %s: %w", s.name, err)
	}
	after, err := s.cpu()
	return newWindow(samples, after-before), err
}

// traffic returns the requests of a kind.
func (m *Measurement) traffic(kind string) (traffic, error) {
	if t, ok := m.issuers.traffics[kind]; ok {
		return t, nil
	}
	t, err := m.newTraffic(kind)
	if err != nil {
		return nil, err
	}
	m.issuers.traffics[kind] = t
	return t, nil
}

func (m *Measurement) newTraffic(kind string) (traffic, error) {
	switch kind {
	case trafficOwn:
		return inTurn{""}, nil // the fields are those of Servers
	case trafficJWT:
		a, err := jose.ParseAlgorithm(m.Algorithm)
		if err != nil {
			return nil, fmt.Errorf("latency: %w", err)
		}
		if m.issuers.material, err = benchmarks.NewMaterial(a, m.Tokens); err != nil {
			return nil, err
		}
		return newInTurn(m.issuers.material.Tokens), nil
	}
	issuer, err := testissuer.Start(testissuer.Config{Audience: benchmarks.Audience})
	if err != nil {
		return nil, fmt.Errorf("latency: %w", err)
	}
	if kind == trafficMix {
		m.issuers.mixed = issuer
		return newMix(issuer, 10*m.Tokens), nil
	}
	m.issuers.opaque = issuer
	all := make([]string, m.Tokens)
	for i := range all {
		all[i] = issuer.Opaque(usualToken(i, 24*time.Hour))
	}
	return newInTurn(all), nil
}

// subject is a server that is measured.
type subject struct {
	contender

	client  client
	process *process // nil if the server is not ours
	address string
}

// subject starts a server and connects to it.
func (m *Measurement) subject(ctx context.Context, protocol, kind string, c contender) (*subject, error) {
	if m.Servers != nil {
		target := m.Servers.Guarded
		if c.name == noAuth {
			target = m.Servers.Base
		}
		client, err := newHTTPClient(protocol, target, m.Servers.Header, m.Workers)
		return &subject{contender: c, client: client}, err
	}
	o := serverOrder{Protocol: protocol, Door: c.door, Seen: c.seen, Delay: m.Delay}
	switch kind {
	case trafficJWT:
		o.Issuer = m.issuers.material.Published()
	case trafficOpaque:
		o.Live = &liveIssuer{URL: m.issuers.opaque.URL(), Introspection: m.issuers.opaque.IntrospectionURL()}
	case trafficMix:
		o.Live = &liveIssuer{URL: m.issuers.mixed.URL()}
	}
	return newSubject(ctx, c, o, m.Workers)
}

func newSubject(ctx context.Context, c contender, o serverOrder, workers int) (*subject, error) {
	p, first, err := start(ctx, order{Server: &o})
	if err != nil {
		return nil, err
	}
	client, err := newClient(o.Protocol, first.Address, workers)
	if err != nil {
		p.close()
		return nil, err
	}
	return &subject{c, client, p, first.Address}, nil
}

// sending returns a call that sends the requests of t.
func (s *subject) sending(t traffic) call {
	return func(ctx context.Context, worker, i int) int { return s.client.send(ctx, worker, t.authorization(i)) }
}

// cpu returns the CPU time of the server so far, or 0 if it is not ours.
func (s *subject) cpu() (time.Duration, error) {
	if s.process == nil {
		return 0, nil
	}
	answer, err := s.process.ask(askUsage)
	return answer.CPU, err
}

func (s *subject) close() {
	s.client.close()
	if s.process != nil {
		s.process.close()
	}
}
