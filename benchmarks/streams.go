package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Streams is a measurement of many open gRPC streams over loopback sockets, with client
// and server in this process.
type Streams struct {
	Count    int
	Quiet    time.Duration // how long nothing happens, to measure the visits and unary calls
	Progress io.Writer
}

// StreamsReport is the result of Streams.
type StreamsReport struct {
	Machine Machine
	Count   int
	Plain   StreamsCost // without a gate
	Gated   StreamsCost // behind the gate
	Expiry  MassEnd     // all tokens expire in one second
	Key     MassEnd     // the key of all tokens is forbidden
}

// StreamsCost is what open streams cost, client and server together.
type StreamsCost struct {
	Goroutines float64 // a stream
	Heap       float64 // bytes a stream
	Stacks     float64 // bytes a stream
	CPU        float64 // share of one CPU while nothing happens
}

// MassEnd is the end of all streams, and unary calls on another connection meanwhile.
type MassEnd struct {
	First, Median, Last time.Duration // from the event to the client's status
	Before, During      Latency       // in windows of equal length
	CPU                 time.Duration // of client and server, from the event to the last status, with the unary calls
	Goroutines          int           // left when all streams have ended, beyond those before they were opened
	Codes               map[codes.Code]int

	ends   []float64 // seconds after the event
	probes []probe
	event  time.Time
}

// Latency is how long unary calls took.
type Latency struct {
	Calls         int
	P50, P99, Max time.Duration
}

func latencyOf(probes []probe) Latency {
	took := make([]float64, len(probes))
	for i, p := range probes {
		took[i] = float64(p.took)
	}
	slices.Sort(took)
	at := func(q float64) time.Duration { return time.Duration(percentile(took, q)) }
	return Latency{len(took), at(0.5), at(0.99), at(1)}
}

// streamsAPI is an issuer, with a gate.
type streamsAPI struct {
	*Material

	validator *validator.Validator
	gate      *grpcauth.Gate
}

func newStreamsAPI() (*streamsAPI, error) {
	m, err := NewMaterial(jose.ES256, 1)
	if err != nil {
		return nil, err
	}
	api := &streamsAPI{Material: m}
	if api.validator, err = newValidator(m, func(c *validator.Config) {
		c.Leeway.Expiry, c.Cache.Entries = validator.NoLeeway, 20_000
	}); err != nil {
		return nil, err
	}
	guard, err := middleware.New(middleware.Config{Validator: api.validator})
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	read := scopes.All("orders:read")
	if api.gate, err = grpcauth.New(guard, grpcauth.Methods{callMethod: read, streamMethod: read}); err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	return api, nil
}

// tokens returns different tokens that expire at the same time.
func (a *streamsAPI) tokens(count int, expiry time.Time) ([]string, error) {
	all := make([]string, count)
	now := time.Now()
	usual := fmt.Sprintf(`"exp":%d`, now.Add(time.Hour).Unix())
	for i := range all {
		claims := strings.Replace(Claims(now, i+1), usual, fmt.Sprintf(`"exp":%d`, expiry.Unix()), 1)
		var err error
		if all[i], err = a.Sign(a.Header(), claims); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// streamPart is a part of a measurement: one server with open streams.
type streamPart struct {
	Streams

	api        *streamsAPI
	server     *streamServer
	empty      occupancy // before the streams were opened
	expiry     time.Time // of all tokens of streams
	unaryToken string
	opening    time.Duration
}

// occupancy is what the process has in use.
type occupancy struct {
	goroutines   int
	heap, stacks uint64
}

func occupied() occupancy {
	heap() // collects garbage
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return occupancy{runtime.NumGoroutine(), stats.HeapAlloc, stats.StackInuse}
}

// Run measures.
func (o Streams) Run() (r StreamsReport, err error) {
	r.Machine, r.Count = ThisMachine(), o.Count
	plain, err := o.start("without a gate", false, time.Hour)
	if err != nil {
		return r, err
	}
	r.Plain, err = plain.cost()
	plain.close()
	if err != nil {
		return r, err
	}
	withdrawn, err := o.start("behind the gate", true, time.Hour)
	if err != nil {
		return r, err
	}
	r.Gated, err = withdrawn.cost()
	if err == nil {
		o.progressf("the key of all tokens is forbidden in %v", o.Quiet)
		r.Key, err = withdrawn.end(time.Now().Add(o.Quiet), func() error {
			return withdrawn.api.validator.ForbidKey(context.Background(), Issuer, jwkscache.KeyName{KeyID: withdrawn.api.KeyID})
		})
	}
	withdrawn.close()
	if err != nil {
		return r, err
	}
	expiring, err := o.start("behind the gate, with tokens that expire together", true, 2*withdrawn.opening+o.Quiet+5*time.Second)
	if err != nil {
		return r, err
	}
	defer expiring.close()
	r.Expiry, err = expiring.end(expiring.expiry, nil)
	return r, err
}

func (o Streams) progressf(format string, args ...any) {
	if o.Progress != nil {
		fmt.Fprintf(o.Progress, format+"\n", args...)
	}
}

// start starts a server and opens the streams. The tokens live for lifetime.
func (o Streams) start(name string, gated bool, lifetime time.Duration) (*streamPart, error) {
	api, err := newStreamsAPI()
	if err != nil {
		return nil, err
	}
	p := &streamPart{Streams: o, api: api}
	gate := api.gate
	if !gated {
		gate = nil
	}
	if p.server, err = newStreamServer(gate); err != nil {
		return nil, err
	}
	o.progressf("%s: %d tokens are signed, then as many streams opened", name, o.Count)
	began := time.Now()
	p.expiry = began.Add(lifetime).Truncate(time.Second)
	tokens, err := api.tokens(o.Count, p.expiry)
	if err == nil {
		var unary []string
		unary, err = api.tokens(1, began.Add(2*time.Hour))
		p.unaryToken = strings.Join(unary, "")
	}
	if err == nil {
		err = p.server.call(p.unaryToken, streamConnections+1) // connects
	}
	p.empty = occupied()
	if err == nil {
		err = p.server.open(tokens)
	}
	p.opening = time.Since(began)
	o.progressf("%s: open after %.1f s", name, p.opening.Seconds())
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *streamPart) close() { p.server.close() }

// cost measures what the open streams need while nothing happens.
func (p *streamPart) cost() (StreamsCost, error) {
	full := occupied()
	per := func(n float64) float64 { return n / float64(p.Count) }
	c := StreamsCost{
		Goroutines: per(float64(full.goroutines - p.empty.goroutines)),
		Heap:       per(float64(full.heap) - float64(p.empty.heap)),
		Stacks:     per(float64(full.stacks) - float64(p.empty.stacks)),
	}
	p.progressf("nothing happens for %v", p.Quiet)
	began, used := time.Now(), cpuTime()
	time.Sleep(p.Quiet)
	c.CPU = float64(cpuTime()-used) / float64(time.Since(began))
	if ended := p.server.ended.Load(); ended > 0 {
		return c, fmt.Errorf("benchmarks: %d streams ended although nothing happened", ended)
	}
	return c, nil
}

// endsWithin is how long a mass end may take before the measurement fails. It is far
// more than the second that is promised, because a busy machine is slow.
const endsWithin = 30 * time.Second

// end measures the end of all streams at event, when act is called unless it is nil, and
// unary calls before and after.
func (p *streamPart) end(event time.Time, act func() error) (MassEnd, error) {
	m := MassEnd{Codes: make(map[codes.Code]int), event: event}
	if late := time.Until(event); late < p.Quiet/2 {
		return m, fmt.Errorf("benchmarks: the streams were open only %v before their tokens expired; the machine is too busy, try fewer", late)
	}
	time.Sleep(time.Until(event.Add(-p.Quiet)))
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var probing error
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.probes, probing = p.server.probe(ctx, p.unaryToken, act != nil)
	}()
	time.Sleep(time.Until(event))
	used := cpuTime()
	var err error
	if act != nil {
		err = act()
	}
	for err == nil && p.server.ended.Load() < int64(p.Count) {
		if time.Since(event) > endsWithin {
			err = fmt.Errorf("benchmarks: %d of %d streams are open %v after their end", int64(p.Count)-p.server.ended.Load(), p.Count, endsWithin)
		}
		time.Sleep(10 * time.Millisecond)
	}
	m.CPU = cpuTime() - used
	stop()
	<-done
	if err = errors.Join(err, probing); err != nil {
		return m, err
	}
	p.server.reading.Wait()
	m.sum(p.server.ends)
	m.Goroutines = occupied().goroutines - p.empty.goroutines
	return m, nil
}

// sum fills in the figures.
func (m *MassEnd) sum(ends []streamEnd) {
	for _, end := range ends {
		m.Codes[end.code]++
		m.ends = append(m.ends, end.at.Sub(m.event).Seconds())
	}
	slices.Sort(m.ends)
	at := func(q float64) time.Duration { return time.Duration(percentile(m.ends, q) * float64(time.Second)) }
	m.First, m.Median, m.Last = at(0), at(0.5), at(1)
	var before, during []probe
	for _, probe := range m.probes {
		switch since := probe.at.Add(probe.took).Sub(m.event); {
		case since < 0:
			if -since <= m.Last {
				before = append(before, probe)
			}
		case probe.at.Sub(m.event) <= m.Last:
			during = append(during, probe)
		}
	}
	m.Before, m.During = latencyOf(before), latencyOf(during)
}
