// Command p95 measures what a middleware adds to the latency of requests, under open load
// over real connections.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-auth/sallyport/benchmarks/latency"
	"github.com/sallyport-auth/sallyport/jose"
)

const usage = `Usage: p95 [flags]

Measures how long requests take with and without validation of their tokens, over
HTTP/1.1, HTTP/2 and gRPC on a loopback address. Client and servers are separate
processes. Requests are due at a constant rate, and their latency counts from when they
were due. Servers with a middleware and one without run in alternating windows.

  go run ./benchmarks/cmd/p95                     hours; writes p95.json, p95.md and plots
  go run ./benchmarks/cmd/p95 -quick -loads 70    minutes; prints only
  go run ./benchmarks/cmd/p95 -quick -protocols HTTP/1.1 -only repeat -loads 70 -budget p95=1.10

Two servers of your own, with the same handler behind a middleware and without:

  go run ./benchmarks/cmd/p95 -base http://127.0.0.1:8080/x -guarded http://127.0.0.1:8081/x \
      -header "Authorization: Bearer $TOKEN" -rate 1000 -budget p95=1.10

With a budget, the exit status is 1 if a row exceeds it each time that it is measured.

`

// results is where a full run writes, from the root of the repository.
const results = "benchmarks/results"

func main() {
	latency.Child()
	// The client should not spend the processors on collecting garbage.
	debug.SetGCPercent(400)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "p95:", err)
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	options latency.Options
	budgets []string
	retries int
	out     string
	render  bool
	quick   bool
	sure    bool
}

func run(ctx context.Context, args []string) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	if s.render {
		report, err := latency.ReadReport(s.out)
		if err != nil {
			return err
		}
		return report.WritePages(s.out)
	}
	subject := latency.RepeatName
	if s.options.Servers != nil {
		subject = latency.GuardedName
	}
	var budgets []latency.Budget
	for _, text := range s.budgets {
		b, err := latency.ParseBudget(text, subject)
		if err != nil {
			return err
		}
		b.Sure = s.sure
		budgets = append(budgets, b)
	}
	bar := newProgress()
	s.options.Progress = bar
	m := latency.NewMeasurement(s.options)
	defer m.Close()
	if err := m.Run(ctx); err != nil {
		return err
	}
	excesses, err := insist(ctx, m, budgets, s.retries)
	bar.finish()
	if err != nil {
		return err
	}
	fmt.Print(m.Report.Text())
	for _, loss := range m.Report.Losses() {
		fmt.Println("-", loss)
	}
	if s.out != "" {
		if err := m.Report.WriteFiles(s.out); err != nil {
			return err
		}
	}
	for _, excess := range excesses {
		fmt.Println("BUDGET:", excess.What)
	}
	if len(excesses) > 0 {
		return fmt.Errorf("%d rows above their budgets in %d further measurements; see the lines above, and whether the machine is busy", len(excesses), s.retries)
	}
	return nil
}

// insist measures the rows above their budgets again, and returns those that still are.
// A real loss shows every time; that of a busy machine does not.
func insist(ctx context.Context, m *latency.Measurement, budgets []latency.Budget, retries int) ([]latency.Excess, error) {
	excesses, err := m.Report.Excesses(budgets)
	for range retries {
		done := make(map[string]bool)
		for _, excess := range excesses {
			row := excess.Row
			cell := fmt.Sprint(row.Protocol, row.Traffic, row.Load)
			if done[cell] || err != nil {
				continue
			}
			done[cell] = true
			err = m.Again(ctx, row)
		}
		if err == nil {
			excesses, err = m.Report.Excesses(budgets)
		}
	}
	return excesses, err
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, ", ") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

func parse(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("p95", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	full := latency.Thorough()
	flags.BoolVar(&s.quick, "quick", false, "few short windows; writes no files unless -out is given")
	flags.StringVar(&s.out, "out", "", "`folder` for the files (default "+results+", none with -quick, -only and -base)")
	flags.BoolVar(&s.render, "render", false, "measure nothing, and write the pages and plots from p95.json")
	flags.IntVar(&s.retries, "retries", 2, "how often a row above its budget is measured again")
	flags.BoolVar(&s.sure, "sure", false, "a budget fails only if three quarters of the rounds exceed it, for machines that others use too")
	protocols := flags.String("protocols", strings.Join(full.Protocols, ","), "`list` of protocols")
	loads := flags.String("loads", "10,50,70,90", "`list` of loads, in percent of the saturation of the server without auth")
	rate := flags.Float64("rate", 0, "requests a second, instead of -loads")
	window := flags.Duration("window", 0, "length of a window, instead of the default")
	windows := flags.Int("windows", 0, "windows of each server at each load, instead of the default")
	only := flags.String("only", "", "measure the servers whose names match `regexp`, such as 'Sallyport, repeat|go-oidc'")
	algorithm := flags.String("alg", full.Algorithm, "`algorithm` of JWTs: RS256, PS256, ES256 or EdDSA")
	base := flags.String("base", "", "`URL` of a server without auth that runs already; needs -guarded")
	guarded := flags.String("guarded", "", "`URL` of the same handler behind the middleware")
	delay := flags.Duration("delay", 0, "let each middleware sleep before each request, to see a budget fail")
	var headers, budgets list
	flags.Var(&headers, "header", "field of the requests to -base and -guarded, as `Name: value`; may be repeated")
	flags.Var(&budgets, "budget", "fail above this ratio to no auth: p95=1.10, p95=1.10@70 for one load, 'NAME: p99=2' for the server NAME; may be repeated")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q; -help lists the flags", flags.Arg(0))
	}
	s.budgets = budgets
	s.options = full
	if s.quick {
		s.options = latency.Quick()
	}
	if s.render || !s.quick && *only == "" && *base == "" {
		s.out = cmp.Or(s.out, results)
	}
	s.options.Delay, s.options.Rate = *delay, *rate
	s.options.Window, s.options.Windows = cmp.Or(*window, s.options.Window), cmp.Or(*windows, s.options.Windows)
	if *rate < 0 || s.options.Windows < 1 || s.options.Window <= 0 || *delay < 0 || s.retries < 0 {
		return s, errors.New("-rate, -window, -windows, -delay and -retries cannot be negative")
	}
	a, err := jose.ParseAlgorithm(*algorithm)
	if err != nil {
		return s, fmt.Errorf("-alg: %w", err)
	}
	s.options.Algorithm = a.String()
	if *only != "" {
		if s.options.Only, err = regexp.Compile(*only); err != nil {
			return s, fmt.Errorf("-only: %w", err)
		}
	}
	if s.options.Protocols, err = protocolList(*protocols, *base != ""); err != nil {
		return s, err
	}
	if s.options.Loads, err = loadList(*loads); err != nil {
		return s, err
	}
	s.options.Servers, err = serverPair(*base, *guarded, headers)
	return s, err
}

func protocolList(text string, own bool) ([]string, error) {
	var all []string
	for name := range strings.SplitSeq(text, ",") {
		i := slices.IndexFunc(latency.Protocols, func(p string) bool { return strings.EqualFold(p, strings.TrimSpace(name)) })
		if i < 0 {
			return nil, fmt.Errorf("-protocols: %q is none of %s", name, strings.Join(latency.Protocols, ", "))
		}
		if latency.Protocols[i] == latency.GRPC && own {
			continue // -base is a URL
		}
		all = append(all, latency.Protocols[i])
	}
	return all, nil
}

func loadList(text string) ([]int, error) {
	var all []int
	for word := range strings.SplitSeq(text, ",") {
		load, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || load < 1 || load > 1000 {
			return nil, fmt.Errorf("-loads: %q is not a load in percent", word)
		}
		all = append(all, load)
	}
	return all, nil
}

func serverPair(base, guarded string, fields []string) (*latency.Servers, error) {
	if base == "" && guarded == "" {
		if len(fields) > 0 {
			return nil, errors.New("-header is for -base and -guarded")
		}
		return nil, nil //nolint:nilnil // nil means our servers
	}
	if base == "" || guarded == "" {
		return nil, errors.New("-base and -guarded need each other")
	}
	servers := &latency.Servers{Base: base, Guarded: guarded, Header: make(http.Header)}
	for _, field := range fields {
		name, value, ok := strings.Cut(field, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, errors.New("-header: a field is written as Name: value")
		}
		servers.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return servers, nil
}
