package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/metrics"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// drillCommand practises an incident.
type drillCommand struct {
	Incident string `arg:"" enum:"outage,rotation,compromise" help:"What happens: outage of the issuer, rotation of its keys, or compromise of a key."`
}

// drills are the incidents.
var drills = map[string]func(context.Context, *drill){"outage": outage, "rotation": rotation, "compromise": compromise}

// drillLimits are as short as they may be.
var drillLimits = jwkscache.Limits{
	MinFresh: 10 * time.Second, DefaultFresh: 10 * time.Second, Stale: 3 * time.Second,
	MaxBackoff: time.Second, FruitlessInterval: time.Second,
}

// patience is how long a drill waits for what should happen within a few seconds.
const patience = 30 * time.Second

// drill is an issuer and an API, whose operator sees what becomes of them.
type drill struct {
	issuer    *testissuer.Issuer
	snapshots string // folder
	client    *http.Client

	guard    *middleware.Guard // of the API that runs, like the next three; a restart makes new ones
	registry *prometheus.Registry
	url      string
	stop     func()

	mu   sync.Mutex
	out  io.Writer
	step int
	bad  int // things that were not as they should be
}

// runDrill runs the drill of an incident, and returns how many things were not as they
// should be.
func runDrill(ctx context.Context, incident func(context.Context, *drill), out io.Writer) (bad int, err error) {
	issuer, err := testissuer.Start(testissuer.Config{Audience: audience}) //nolint:contextcheck // ends with Close
	if err != nil {
		return 0, err
	}
	defer issuer.Close()
	snapshots, err := os.MkdirTemp("", "sallyport-drill-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(snapshots) //nolint:errcheck // it is a temporary folder
	d := &drill{issuer: issuer, snapshots: snapshots, client: &http.Client{Timeout: patience}, out: out, stop: func() {}}
	defer d.end()
	if err := d.start(ctx); err != nil {
		return 0, err
	}
	incident(ctx, d)
	if ctx.Err() != nil {
		return d.bad, nil
	}
	if d.bad == 0 {
		d.printf("\nThe drill is over: all is as it should be.\n")
	} else {
		d.printf("\nThe drill is over: %d things are not as they should be, marked NOT SO.\n", d.bad)
	}
	return d.bad, nil
}

// end stops the API, and prints nothing of what is logged late.
func (d *drill) end() {
	d.stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.out = io.Discard
}

// start starts an API.
func (d *drill) start(ctx context.Context) error {
	d.registry = prometheus.NewRegistry()
	trace, err := metrics.New(d.registry)
	if err != nil {
		return err
	}
	v, err := validator.New(validator.Config{ //nolint:contextcheck // the logger has no request
		Issuers: []validator.Issuer{{
			URL: d.issuer.URL(), Audiences: []string{audience}, KeyLimits: drillLimits,
			HTTPClient: d.issuer.Client(),
		}},
		SnapshotDir: d.snapshots,
		Logger:      slog.New(slog.NewTextHandler(logWriter{d}, &slog.HandlerOptions{ReplaceAttr: withoutTime})),
	})
	if err != nil {
		return err
	}
	d.guard, err = middleware.New(middleware.Config{Validator: v, Trace: trace}) //nolint:contextcheck // as above
	if err != nil {
		return err
	}
	mux := d.guard.NewMux()
	mux.HandleFunc("GET /orders", scopes.All(readScope), func(http.ResponseWriter, *http.Request) {})
	mux.Handle("GET /events", scopes.All(readScope), d.guard.EndWithToken(http.HandlerFunc(events)))
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.url = "http://" + listener.Addr().String()
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	running, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	guard := d.guard
	ended.Go(func() { _ = server.Serve(listener) })
	ended.Go(func() { _ = guard.Run(running) })
	d.stop = sync.OnceFunc(func() {
		cancel()
		_ = server.Close()
		ended.Wait()
	})
	return d.guard.Warm(ctx)
}

// events is a response that goes on until its token ends.
func events(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, "event: hello\n\n")
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// token returns the Authorization field of a user, signed by the key with this ID, or by
// the one that signs if it is "".
func (d *drill) token(user, key string) string {
	return "Bearer " + d.issuer.Sign(testissuer.Token{Scope: readScope, Key: key, Claims: map[string]any{"sub": user}})
}

// printf prints a text.
func (d *drill) printf(format string, values ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.out, format, values...)
}

// logWriter prints the log of an API.
type logWriter struct{ *drill }

func (w logWriter) Write(line []byte) (int, error) {
	w.printf("   log     %s", line)
	return len(line), nil
}

// withoutTime leaves out the time of a line, which a reader of the drill does not need.
func withoutTime(groups []string, attribute slog.Attr) slog.Attr {
	if len(groups) == 0 && attribute.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return attribute
}

// title begins a step.
func (d *drill) title(text string) {
	d.step++
	d.printf("\n%d. %s\n", d.step, text)
}

// checkf prints what is so, or counts and marks that it is not.
func (d *drill) checkf(ok bool, format string, values ...any) {
	text := fmt.Sprintf(format, values...)
	if ok {
		d.printf("   ok      %s\n", text)
		return
	}
	d.bad++
	d.printf("   NOT SO  %s\n", text)
}

// get sends a request and checks the status of the answer.
func (d *drill) get(ctx context.Context, whose, authorization string, want int) {
	status, retryAfter, err := d.send(ctx, authorization)
	text := fmt.Sprintf("GET /orders with %s gets %d", whose, status)
	if retryAfter != "" {
		text += ", Retry-After: " + retryAfter
	}
	if err != nil {
		text = fmt.Sprintf("GET /orders with %s: %v", whose, err)
	}
	if status != want {
		text += fmt.Sprintf(", want %d", want)
	}
	d.checkf(err == nil && status == want && (want == http.StatusServiceUnavailable) == (retryAfter != ""), "%s", text)
}

func (d *drill) send(ctx context.Context, authorization string) (status int, retryAfter string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/orders", nil)
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Authorization", authorization)
	response, err := d.client.Do(request)
	if err != nil {
		return 0, "", err
	}
	_ = response.Body.Close()
	return response.StatusCode, response.Header.Get("Retry-After"), nil
}

// until waits until something is so.
func (d *drill) until(ctx context.Context, what string, so func() bool) {
	begun := time.Now()
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for !so() && time.Since(begun) < patience && ctx.Err() == nil {
		select {
		case <-ticks.C:
		case <-ctx.Done():
		}
	}
	d.checkf(so(), "%s after %.1f s", what, time.Since(begun).Seconds())
}

// keys returns the state of the issuer's keys.
func (d *drill) keys() jwkscache.Status { return d.guard.Validator().Status().Issuers[0] }

// uses reports whether the key with this ID is in use.
func (d *drill) uses(id string) bool {
	return slices.ContainsFunc(d.keys().Keys, func(key *jose.Key) bool {
		kid, _ := key.ID()
		return kid == id
	})
}

// alert names an alert that such an incident fires.
func (d *drill) alert(name, when string) {
	d.printf("   alert   %s %s; see docs/runbooks/%s.md\n", name, when, name)
}

// show prints the series of these names whose value is not 0.
func (d *drill) show(names ...string) {
	families, err := d.registry.Gather()
	if err != nil {
		d.checkf(false, "metrics: %v", err)
	}
	for _, family := range families {
		if !slices.Contains(names, family.GetName()) {
			continue
		}
		for _, m := range family.GetMetric() {
			value := m.GetCounter().GetValue() + m.GetGauge().GetValue()
			if value == 0 {
				continue
			}
			var labels []string
			for _, label := range m.GetLabel() {
				if label.GetName() != "issuer" { // there is only one
					labels = append(labels, fmt.Sprintf("%s=%q", label.GetName(), label.GetValue()))
				}
			}
			name := family.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ", ") + "}"
			}
			d.printf("   metric  %s %.0f\n", name, value)
		}
	}
}

// run returns the exit status.
func (c *drillCommand) run(ctx context.Context, out, errOut io.Writer) int {
	bad, err := runDrill(ctx, drills[c.Incident], out)
	switch {
	case err != nil:
		fmt.Fprintf(errOut, "sallyport-demo: %v\n", err)
		return exitUsage
	case bad > 0 || ctx.Err() != nil:
		fmt.Fprintf(errOut, "sallyport-demo: the drill %s did not go as it should\n", c.Incident)
		return exitBad
	default:
		return exitGood
	}
}
