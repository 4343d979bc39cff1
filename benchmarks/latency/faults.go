package latency

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/benchmarks"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// fault is what happens to a server under load.
type fault struct {
	name, about string
	opaque      bool // the valid tokens
	// pool is how many valid tokens there are, as a multiple of Options.Tokens.
	pool int
	// flood is the kind of a flood beside the valid requests, or "". Its rate is a share of
	// the largest flood, or rate.
	flood      string
	share      float64
	rate       float64
	throughout bool // the flood begins before the fault
	// withoutAuth measures the server without auth too, which a flood also slows down.
	withoutAuth bool
	// prepare returns the tokens of valid requests, those of the flood, and what happens.
	prepare func(r *faultRun) faultPlan
}

// faultPlan is what a run of a fault does.
type faultPlan struct {
	valid  func(after time.Duration, i int) string // Authorization of what is due so long after the start
	flood  []string
	events []event
}

// faultRun is one run of a fault against one server.
type faultRun struct {
	issuer *testissuer.Issuer
	phase  time.Duration
	start  time.Time // zero until it is known
	tokens int
	server *subject
	rate   float64
	err    error // of an event
}

// stall is how long an issuer that stalls takes.
const stall = 5 * time.Second

// newcomers is how many opaque tokens that the server has not seen come in a second.
const newcomers = 50

// probes is how many tokens with unknown kids come in a second while the issuer fails, so
// that the server asks it.
const probes = 20

// faults are all faults. The first are floods.
func faults() []fault {
	return []fault{
		{
			name: "random kids", about: "a flood of tokens, each with a kid that no key has", pool: 1,
			flood: floodKids, share: 1, withoutAuth: true, prepare: (*faultRun).attack,
		},
		{
			name: "bad signatures", about: "a flood of tokens with the right kid and a signature of random bytes", pool: 1,
			flood: floodSignatures, share: 0.3, withoutAuth: true, prepare: (*faultRun).attack,
		},
		{
			name: "rotation", about: "the issuer publishes a new key every two seconds and signs with it", pool: 1,
			prepare: (*faultRun).rotate,
		},
		{
			name: "issuer stalls", about: "keys and metadata take 5 seconds; 20 tokens a second with unknown kids make the server ask", pool: 1,
			flood: floodKids, rate: probes, prepare: (*faultRun).stallIssuer,
		},
		{
			name: "issuer down", about: "no connection to the issuer; 20 tokens a second with unknown kids make the server ask", pool: 1,
			flood: floodKids, rate: probes, prepare: (*faultRun).stopIssuer,
		},
		{
			name: "introspection stalls", about: "each answer about an opaque token takes 5 seconds; the valid tokens have an answer in the cache, and 50 others come in a second", opaque: true, pool: 1,
			flood: floodTokens, rate: newcomers, throughout: true, prepare: (*faultRun).stallIntrospection,
		},
		{
			name: "cold cache", about: "the server starts over with nothing in memory, and 10 000 tokens come in turn", pool: 10,
			prepare: (*faultRun).cool,
		},
		{
			name: "mass expiry", about: "10 000 tokens expire in one second; their users have new ones, and 500 requests a second still come with the old", pool: 10,
			flood: floodTokens, rate: 500, prepare: (*faultRun).expire,
		},
	}
}

// sign returns the Authorization fields of new tokens.
func (r *faultRun) sign(claims map[string]any) []string {
	all := make([]string, r.tokens)
	for i := range all {
		token := usualToken(i, time.Hour)
		maps.Copy(token.Claims, claims)
		all[i] = bearer(r.issuer.Sign(token))
	}
	return all
}

func inOrder(fields []string) func(time.Duration, int) string {
	return func(_ time.Duration, i int) string { return fields[i%len(fields)] }
}

func tokenOf(field string) string { return strings.TrimPrefix(field, "Bearer ") }

func (r *faultRun) attack() faultPlan {
	fields := r.sign(nil)
	return faultPlan{valid: inOrder(fields), flood: []string{tokenOf(fields[0])}}
}

// published is how long before its first token a new key is published.
const published = 50 * time.Millisecond

func (r *faultRun) rotate() faultPlan {
	count := max(1, int(r.phase/(2*time.Second)))
	sets := [][]string{r.sign(nil)}
	var plan faultPlan
	every := r.phase / time.Duration(count)
	for n := range count {
		key := r.issuer.AddKey(testissuer.Key{Unpublished: true})
		r.issuer.Use(key)
		sets = append(sets, r.sign(nil))
		plan.events = append(plan.events, event{r.phase + time.Duration(n)*every - published, func() { r.issuer.Publish(key) }})
	}
	plan.valid = func(after time.Duration, i int) string {
		n := 0
		if after >= r.phase {
			n = min(count, 1+int((after-r.phase)/every))
		}
		return sets[n][i%len(sets[n])]
	}
	return plan
}

// during returns the events at the begin and at the end of the fault.
func (r *faultRun) during(begin, end func()) []event {
	return []event{{r.phase, begin}, {2 * r.phase, end}}
}

func (r *faultRun) stallIssuer() faultPlan {
	plan := r.attack()
	behave := func(b testissuer.Behaviour) func() {
		return func() {
			for _, e := range []testissuer.Endpoint{testissuer.JWKS, testissuer.OAuthMetadata, testissuer.OpenIDMetadata, testissuer.OpenIDInserted} {
				r.issuer.Behave(e, b)
			}
		}
	}
	plan.events = r.during(behave(testissuer.Behaviour{Delay: stall}), behave(testissuer.Behaviour{}))
	return plan
}

func (r *faultRun) stopIssuer() faultPlan {
	plan := r.attack()
	plan.events = r.during(func() { r.issuer.Down(true) }, func() { r.issuer.Down(false) })
	return plan
}

func (r *faultRun) stallIntrospection() faultPlan {
	opaque := func(count int) []string {
		all := make([]string, count)
		for i := range all {
			all[i] = r.issuer.Opaque(usualToken(i, 24*time.Hour))
		}
		return all
	}
	return faultPlan{
		valid: inOrder(newInTurn(opaque(r.tokens))), flood: opaque(int(newcomers*3*r.phase.Seconds()) + 1),
		events: r.during(
			func() { r.issuer.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: stall}) },
			func() { r.issuer.Behave(testissuer.Introspection, testissuer.Behaviour{}) }),
	}
}

func (r *faultRun) cool() faultPlan {
	return faultPlan{valid: inOrder(r.sign(nil)), events: []event{{r.phase, func() { _, r.err = r.server.process.ask(askRenew) }}}}
}

// spare is how long before the expiry of their tokens users have new ones.
const spare = 500 * time.Millisecond

// readyFactor is how much longer all that comes before the start of a mass expiry may take
// than signing its tokens once.
const readyFactor = 8

func (r *faultRun) expire() faultPlan {
	began := time.Now()
	fresh := r.sign(nil)
	// As long again for the other tokens, and twice for the requests before the start.
	expiry := time.Now().Add(readyFactor*time.Since(began) + 2*time.Second + r.phase + spare).Truncate(time.Second)
	r.start = expiry.Add(-r.phase - spare)
	old := r.sign(map[string]any{"exp": expiry.Unix()})
	flood := make([]string, 0, len(old))
	for _, field := range old {
		flood = append(flood, tokenOf(field))
	}
	return faultPlan{flood: flood, valid: func(after time.Duration, i int) string {
		if after >= r.phase {
			return fresh[i%len(fresh)]
		}
		return old[i%len(old)]
	}}
}

// FaultNames returns the names of all faults.
func FaultNames() []string {
	var names []string
	for _, f := range faults() {
		names = append(names, f.name)
	}
	return names
}

// RunFaults measures the faults whose names Only matches, over each protocol.
func (m *Measurement) RunFaults(ctx context.Context) error {
	chosen := slices.DeleteFunc(faults(), func(f fault) bool { return m.Only != nil && !m.Only.MatchString(f.name) })
	if len(chosen) == 0 {
		return fmt.Errorf("latency: no fault has such a name; there are %s", strings.Join(FaultNames(), ", "))
	}
	steps := 0
	for _, f := range chosen {
		steps += m.Windows * len(f.servers()) * len(m.Protocols)
	}
	m.progress().Plan(steps)
	m.Report.Faults = &FaultReport{Time: m.Report.Time, Machine: m.Report.Machine, Options: m.Options}
	for _, protocol := range m.Protocols {
		rate, saturation := m.Rate, 0.0
		if rate == 0 {
			var err error
			if saturation, err = m.saturationAlone(ctx, protocol); err != nil {
				return err
			}
			rate = saturation * float64(m.Loads[0]) / 100
		}
		flood := m.floodOf(saturation)
		for _, f := range chosen {
			if err := m.fault(ctx, protocol, f, rate, flood); err != nil {
				return err
			}
		}
	}
	m.Report.Faults.Saturation, m.Report.Saturation = m.Report.Saturation, nil
	return nil
}

// saturationAlone measures the saturation with a server that is stopped then.
func (m *Measurement) saturationAlone(ctx context.Context, protocol string) (float64, error) {
	base, err := newSubject(ctx, contender{name: noAuth}, serverOrder{Protocol: protocol, Door: noAuth}, m.Workers)
	if err != nil {
		return 0, err
	}
	defer base.close()
	t, err := m.traffic(trafficJWT) //nolint:contextcheck // an issuer runs until it is closed
	if err != nil {
		return 0, err
	}
	if status := once(ctx, m.Workers, t.reset(), base.sending(t)); status != http.StatusOK {
		return 0, fmt.Errorf("%w: %s: status %d", errWarm, protocol, status)
	}
	return m.saturation(ctx, protocol, base, t)
}

// servers returns the servers that a fault is measured with.
func (f *fault) servers() []contender {
	all := []contender{{name: sallyport, ours: true, door: sallyport}}
	if f.withoutAuth {
		all = append(all, contender{name: noAuth, door: noAuth})
	}
	return all
}

// fault measures one fault with its servers in turn. rate is that of valid requests, and
// flood that of the largest flood.
func (m *Measurement) fault(ctx context.Context, protocol string, f fault, rate, flood float64) error {
	servers := f.servers()
	rows := make([]*FaultRow, len(servers))
	for i, c := range servers {
		rows[i] = &FaultRow{Name: f.name, About: f.about, Protocol: protocol, Server: c.name, Rate: rate, Flood: f.floodRate(flood), Answers: make(map[int]int)}
	}
	for round := range m.Windows {
		for turn := range servers {
			i := (turn + round) % len(servers)
			m.progress().Step(fmt.Sprintf("%s, %s: %s", protocol, f.name, servers[i].name))
			if err := m.faultOnce(ctx, f, servers[i], rows[i]); err != nil {
				return fmt.Errorf("%s, %s: %w", protocol, f.name, err)
			}
		}
	}
	for _, row := range rows {
		row.sum()
		m.Report.Faults.Rows = append(m.Report.Faults.Rows, *row)
	}
	return nil
}

// floodRate returns the requests a second of the flood of a fault.
func (f *fault) floodRate(full float64) float64 {
	if f.rate > 0 {
		return f.rate
	}
	return f.share * full
}

// faultOnce does one run of a fault with an issuer and a server of its own.
func (m *Measurement) faultOnce(ctx context.Context, f fault, c contender, row *FaultRow) error {
	issuer, err := testissuer.Start(testissuer.Config{Audience: benchmarks.Audience, CacheControl: "max-age=10"}) //nolint:contextcheck // it runs until it is closed
	if err != nil {
		return fmt.Errorf("latency: %w", err)
	}
	defer issuer.Close()
	o := serverOrder{Protocol: row.Protocol, Door: c.door, Live: &liveIssuer{URL: issuer.URL(), Strict: true}}
	if f.opaque {
		o.Live.Introspection = issuer.IntrospectionURL()
	}
	server, err := newSubject(ctx, c, o, m.Workers)
	if err != nil {
		return err
	}
	defer server.close()
	r := &faultRun{issuer: issuer, phase: m.Window, tokens: f.pool * m.Tokens, server: server, rate: row.Rate}
	plan := f.prepare(r)
	for _, workers := range []int{warmers, m.Workers} {
		status := once(ctx, workers, r.tokens, func(ctx context.Context, worker, i int) int { return server.client.send(ctx, worker, plan.valid(0, i)) })
		if status != http.StatusOK {
			return fmt.Errorf("%w: status %d", errWarm, status)
		}
	}
	stop, err := r.flood(ctx, &f, row, &plan)
	if err != nil {
		return err
	}
	defer stop.close()
	if r.start.IsZero() {
		r.start = time.Now().Add(settle)
	} else if late := time.Since(r.start); late > 0 {
		return fmt.Errorf("latency: the tokens were not ready in time, by %v; the machine is too busy", late)
	}
	happened := make(chan struct{})
	go func() {
		defer close(happened)
		happen(r.start, plan.events)
	}()
	l := load{rate: row.Rate, length: 3 * m.Window, drain: time.Second, workers: m.Workers}
	interval := float64(time.Second) / row.Rate
	samples, err := l.run(ctx, r.start, func(ctx context.Context, worker, i int) int {
		return server.client.send(ctx, worker, plan.valid(time.Duration(float64(i)*interval), i))
	})
	<-happened
	if err != nil {
		return err
	}
	if err := stop.count(row.Answers); err != nil {
		return err
	}
	row.runs = append(row.runs, samples)
	return r.err
}

// floods is the process of a flood, or nil if there is none.
type floods struct{ *process }

// count adds the answers to a flood to those by status, when the flood has ended.
func (f floods) count(answers map[int]int) error {
	if f.process == nil {
		return nil
	}
	answer, err := f.ask(askStop)
	for status, n := range answer.Answers {
		answers[status] += n
	}
	return err
}

func (f floods) close() {
	if f.process != nil {
		f.process.close()
	}
}

// flood makes the flood of a fault ready, if there is one. It begins when the fault says.
func (r *faultRun) flood(ctx context.Context, f *fault, row *FaultRow, plan *faultPlan) (floods, error) {
	if f.flood == "" {
		return floods{}, nil
	}
	o := floodOrder{Protocol: row.Protocol, Address: r.server.address, Rate: row.Flood, Length: r.phase, Kind: f.flood, Tokens: plan.flood}
	begin := r.phase
	if f.throughout {
		o.Length, begin = 3*r.phase, 0
	}
	p, _, err := start(ctx, order{Flood: &o})
	if err != nil {
		return floods{}, err
	}
	plan.events = append(plan.events, event{begin, func() {
		if _, err := p.ask(askStart); err != nil {
			r.err = err
		}
	}})
	slices.SortStableFunc(plan.events, func(a, b event) int { return cmp.Compare(a.after, b.after) })
	return floods{p}, nil
}
