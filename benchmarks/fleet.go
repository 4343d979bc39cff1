package benchmarks

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
)

// FleetBucket is the time over which the requests at the issuer are counted.
const FleetBucket = 10 * time.Second

// Fleet simulates the processes of a service, each of which fetches the keys of one
// issuer. Time is virtual. When a process fetches is decided by the code that decides it
// in a process that runs ([issuerkeys.Policy]); the network, the issuer and the tokens
// are simulated. The issuer answers any number of requests.
type Fleet struct {
	Replicas int
	TTL      time.Duration // max-age of the key set
	Seed     uint64        // of all random numbers; the same seed gives the same report

	OnDemand bool          // without Run: a request that finds stale keys causes the fetch
	Traffic  float64       // requests a second at each process
	Lifetime time.Duration // of the tokens in these requests
	Latency  time.Duration // from asking the issuer to the answer
	Rollout  time.Duration // how long a rolling deploy takes
	Outage   time.Duration // how long the issuer is down
	Flood    time.Duration // how long the flood lasts
	Kids     float64       // made-up kids a second, over all processes

	Progress io.Writer // may be nil
}

// DefaultFleet is the fleet of docs/scaling.md.
var DefaultFleet = Fleet{
	Replicas: 10_000, TTL: 10 * time.Minute, Seed: 1,
	Traffic: 10, Lifetime: 10 * time.Minute, Latency: 50 * time.Millisecond,
	Rollout: 10 * time.Minute, Outage: 30 * time.Minute, Flood: 10 * time.Minute, Kids: 10_000,
}

// A scenario plans what happens to a simulation.
type scenario struct {
	name, title string
	plan        func(*fleetRun)
}

var scenarios = []scenario{
	{"startup", "all processes start at once", (*fleetRun).planStartup},
	{"steady", "steady state", (*fleetRun).planSteady},
	{"rollout", "rolling deploy", (*fleetRun).planRollout},
	{"rotation", "two rotations", (*fleetRun).planRotation},
	{"flood", "flood of made-up kids", (*fleetRun).planFlood},
	{"outage", "outage of the issuer", (*fleetRun).planOutage},
}

// FleetScenarios returns the names of all scenarios.
func FleetScenarios() []string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return names
}

// Run simulates the scenario of that name.
func (f Fleet) Run(name string) (*FleetReport, error) {
	i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
	if i < 0 {
		return nil, fmt.Errorf("benchmarks: there is no scenario %q, only %s", name, strings.Join(FleetScenarios(), ", "))
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	r := newFleetRun(f)
	r.report = &FleetReport{Scenario: name, Title: scenarios[i].title}
	scenarios[i].plan(r)
	if err := r.run(); err != nil {
		return nil, err
	}
	return r.report, nil
}

func (f Fleet) check() error {
	switch {
	case f.Replicas < 1 || f.Replicas > 1_000_000:
		return errors.New("benchmarks: a fleet has 1 to 1 000 000 processes")
	case f.TTL < time.Minute || f.TTL > 24*time.Hour:
		return errors.New("benchmarks: the TTL of a fleet is 1 min to 24 h, within which the library keeps it")
	case !(f.Traffic > 0) || !(f.Kids > 0):
		return errors.New("benchmarks: requests and made-up kids a second are above 0")
	case f.Lifetime <= 0 || f.Latency <= 0 || f.Rollout <= 0 || f.Outage <= 0 || f.Flood <= 0:
		return errors.New("benchmarks: the times of a fleet are above 0")
	default:
		return nil
	}
}

// planStartup starts all processes at one moment. Nothing else happens.
func (r *fleetRun) planStartup() {
	r.startAll(0)
	r.end = 12 * r.TTL
	r.phase("start", 0, FleetBucket)
	r.phase("first two TTLs, after the start", FleetBucket, 2*r.TTL)
	r.phase("from the third TTL on", 2*r.TTL, r.end)
}

// planSteady starts the processes at different times. Nothing else happens.
func (r *fleetRun) planSteady() {
	r.startAll(r.TTL)
	r.end = 12 * r.TTL
	r.phase("from the third TTL on", 2*r.TTL, r.end)
}

// before lets a fleet run until it is in its steady state, and returns the time.
func (r *fleetRun) before() time.Duration {
	r.startAll(r.TTL)
	at := 4 * r.TTL
	r.phase("before", 2*r.TTL, at)
	return at
}

// planRollout replaces all processes, one after the other.
func (r *fleetRun) planRollout() {
	at := r.before()
	for i := range r.replicas {
		r.push(at+r.Rollout*time.Duration(i)/time.Duration(len(r.replicas)), eventBoot, i)
	}
	done := at + r.Rollout
	r.end = done + 8*r.TTL
	r.mark("deploy begins", at)
	r.mark("ends", done)
	r.phase("rolling deploy", at, done)
	r.phase("two TTLs after it", done, done+2*r.TTL)
	r.phase("from the third TTL after it on", done+2*r.TTL, r.end)
}

// planRotation publishes a key a TTL before the issuer signs with it, and later another
// one at the moment of its first signature.
func (r *fleetRun) planRotation() {
	published := r.before()
	signed, sudden := published+r.TTL, published+4*r.TTL
	r.rotations = []rotation{{published, signed}, {sudden, sudden}}
	for i, rotation := range r.rotations {
		for replica := range r.replicas {
			r.push(rotation.signed+r.firstNewKid(), eventNewKid+eventKind(i), replica)
		}
	}
	r.end = sudden + 8*r.TTL
	r.mark("key published", published)
	r.mark("used", signed)
	r.mark("published and used", sudden)
	r.phase("key published a TTL before its use", published, published+4*r.TTL)
	r.phase("key used at once: the first minute", sudden, sudden+time.Minute)
	r.phase("the rest of two TTLs", sudden+time.Minute, sudden+2*r.TTL)
	r.phase("from the third TTL after it on", sudden+2*r.TTL, r.end)
}

// planFlood sends made-up kids to all processes for some time.
func (r *fleetRun) planFlood() {
	at := r.before()
	r.floodFrom, r.floodTo = at, at+r.Flood
	for i := range r.replicas {
		r.push(at+r.wait(r.Kids/float64(len(r.replicas))), eventFlood, i)
	}
	r.end = r.floodTo + 8*r.TTL
	r.mark("flood begins", at)
	r.mark("ends", r.floodTo)
	r.phase("flood: the first minute", at, min(at+time.Minute, r.floodTo))
	r.phase("flood", at, r.floodTo)
	r.phase("two TTLs after it", r.floodTo+FleetBucket, r.floodTo+2*r.TTL)
	r.phase("from the third TTL after it on", r.floodTo+2*r.TTL, r.end)
}

// planOutage lets all requests fail for some time.
func (r *fleetRun) planOutage() {
	at := r.before()
	r.downFrom, r.downTo = at, at+r.Outage
	r.end = r.downTo + 8*r.TTL
	r.mark("outage begins", at)
	r.mark("ends", r.downTo)
	r.phase("outage", at, r.downTo)
	r.phase("the minute after it", r.downTo, r.downTo+time.Minute)
	r.phase("the rest of two TTLs", r.downTo+time.Minute, r.downTo+2*r.TTL)
	r.phase("from the third TTL after it on", r.downTo+2*r.TTL, r.end)
}

// startAll starts the processes at random times within so long.
func (r *fleetRun) startAll(within time.Duration) {
	for i := range r.replicas {
		at := time.Duration(0)
		if within > 0 {
			at = r.duration(within)
		}
		r.push(at, eventBoot, i)
	}
}

// wait returns the time until the next of so many independent events a second.
func (r *fleetRun) wait(perSecond float64) time.Duration {
	return seconds(r.random.ExpFloat64() / perSecond)
}

// firstNewKid returns the time from the first signature with a key until its first token
// arrives at a process: tokens have ages from nothing to their lifetime, so the part of
// them that the key has signed grows through one lifetime.
func (r *fleetRun) firstNewKid() time.Duration {
	tokens, lifetime := r.random.ExpFloat64()/r.Traffic, r.Lifetime.Seconds()
	if half := lifetime / 2; tokens > half {
		return seconds(lifetime + tokens - half)
	}
	return seconds(math.Sqrt(2 * lifetime * tokens))
}

func (r *fleetRun) duration(n time.Duration) time.Duration {
	return time.Duration(r.random.Int64N(int64(n)))
}

// seconds returns s as a duration, within a year.
func seconds(s float64) time.Duration {
	const year = 365 * 24 * time.Hour
	return time.Duration(min(s, year.Seconds()) * float64(time.Second))
}

func newFleetRun(f Fleet) *fleetRun {
	r := &fleetRun{
		Fleet: f, replicas: make([]replica, f.Replicas), epoch: time.Date(2030, time.January, 1, 0, 0, 0, 0, time.UTC),
		random: rand.New(rand.NewPCG(f.Seed, f.Seed)), //nolint:gosec // a simulation
	}
	r.jitter = r.duration
	return r
}

// policy returns the policy of a process that starts.
func (r *fleetRun) policy() (*issuerkeys.Policy, error) {
	policy, err := issuerkeys.NewPolicy(r.limits, r.jitter)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	return policy, nil
}
