package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/benchmarks/latency"
	"github.com/sallyport-auth/sallyport/jose"
)

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, ", ") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
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
	add     bool
	faults  bool
}

// texts are flags as they were written.
type texts struct {
	faults, protocols, loads, only, algorithm, base, guarded string

	headers     list
	flood, rate float64
	window      time.Duration
	windows     int
	delay       time.Duration
}

func parse(args []string) (settings, error) {
	var s settings
	var t texts
	flags := flag.NewFlagSet("p95", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	full := latency.Thorough()
	flags.BoolVar(&s.quick, "quick", false, "few short windows; writes no files unless -out is given")
	flags.StringVar(&s.out, "out", "", "`folder` for the files (default "+results+", none with -quick, -only, -base and single faults)")
	flags.BoolVar(&s.render, "render", false, "measure nothing, and write the pages and plots from p95.json")
	flags.IntVar(&s.retries, "retries", 2, "how often a row above its budget is measured again")
	flags.BoolVar(&s.sure, "sure", false, "a budget fails only if three quarters of the rounds exceed it, for machines that others use too")
	flags.BoolVar(&s.add, "add", false, "keep the rows of an earlier run that are not measured again")
	flags.StringVar(&t.faults, "faults", "", "measure valid requests before, during and after the faults whose names match `regexp` ('.' for all), instead of loads: "+strings.Join(latency.FaultNames(), ", "))
	flags.Float64Var(&t.flood, "flood", 0, "requests a second of the flood of random kids; bad signatures are three tenths of that (default 10 000, and at most a fiftieth of the saturation)")
	flags.StringVar(&t.protocols, "protocols", "", "`list` of protocols (default "+strings.Join(full.Protocols, ",")+", with -faults "+latency.HTTP1+")")
	flags.StringVar(&t.loads, "loads", "", "`list` of loads, in percent of the saturation of the server without auth (default 10,50,70,90, with -faults 10)")
	flags.Float64Var(&t.rate, "rate", 0, "requests a second, instead of -loads")
	flags.DurationVar(&t.window, "window", 0, "length of a window, instead of the default")
	flags.IntVar(&t.windows, "windows", 0, "windows of each server at each load, instead of the default")
	flags.StringVar(&t.only, "only", "", "measure the servers whose names match `regexp`, such as 'Sallyport, repeat|go-oidc'")
	flags.StringVar(&t.algorithm, "alg", full.Algorithm, "`algorithm` of JWTs: RS256, PS256, ES256 or EdDSA")
	flags.StringVar(&t.base, "base", "", "`URL` of a server without auth that runs already; needs -guarded")
	flags.StringVar(&t.guarded, "guarded", "", "`URL` of the same handler behind the middleware")
	flags.DurationVar(&t.delay, "delay", 0, "let each middleware sleep before each request, to see a budget fail")
	flags.Var(&t.headers, "header", "field of the requests to -base and -guarded, as `Name: value`; may be repeated")
	flags.Var((*list)(&s.budgets), "budget", "fail above this `ratio` to no auth: p95=1.10, p95=1.10@70 for one load, 'NAME: p99=2' for the server NAME; may be repeated")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q; -help lists the flags", flags.Arg(0))
	}
	return s, s.read(&t)
}

// read sets the options.
func (s *settings) read(t *texts) error {
	s.options = latency.Thorough()
	if s.quick {
		s.options = latency.Quick()
	}
	if s.render || !s.quick && t.only == "" && t.base == "" && (t.faults == "" || t.faults == ".") {
		s.out = cmp.Or(s.out, results)
	}
	s.options.Delay, s.options.Rate = t.delay, t.rate
	s.options.Window, s.options.Windows = cmp.Or(t.window, s.options.Window), cmp.Or(t.windows, s.options.Windows)
	if t.rate < 0 || s.options.Windows < 1 || s.options.Window <= 0 || t.delay < 0 || s.retries < 0 {
		return errors.New("-rate, -window, -windows, -delay and -retries cannot be negative")
	}
	a, err := jose.ParseAlgorithm(t.algorithm)
	if err != nil {
		return fmt.Errorf("-alg: %w", err)
	}
	s.options.Algorithm = a.String()
	if t.only != "" {
		if s.options.Only, err = regexp.Compile(t.only); err != nil {
			return fmt.Errorf("-only: %w", err)
		}
	}
	if t.faults != "" {
		if err := s.readFaults(t); err != nil {
			return err
		}
	}
	if t.protocols != "" {
		if s.options.Protocols, err = protocolList(t.protocols); err != nil {
			return err
		}
	}
	if t.base != "" { // a URL
		s.options.Protocols = slices.DeleteFunc(slices.Clone(s.options.Protocols), func(p string) bool { return p == latency.GRPC })
	}
	if t.loads != "" {
		if s.options.Loads, err = loadList(t.loads); err != nil {
			return err
		}
	}
	s.options.Servers, err = serverPair(t.base, t.guarded, t.headers)
	return err
}

// readFaults changes the options to those of a measurement of faults.
func (s *settings) readFaults(t *texts) error {
	if len(s.budgets) > 0 || t.only != "" || t.base != "" {
		return errors.New("-faults cannot be combined with -budget, -only and -base")
	}
	if t.flood < 0 {
		return errors.New("-flood must not be negative")
	}
	s.faults = true
	s.options = s.options.UnderFaults()
	s.options.Protocols, s.options.Flood = []string{latency.HTTP1}, t.flood
	var err error
	if s.options.Only, err = regexp.Compile(t.faults); err != nil {
		return fmt.Errorf("-faults: %w", err)
	}
	return nil
}

func protocolList(text string) ([]string, error) {
	var all []string
	for name := range strings.SplitSeq(text, ",") {
		i := slices.IndexFunc(latency.Protocols, func(p string) bool { return strings.EqualFold(p, strings.TrimSpace(name)) })
		if i < 0 {
			return nil, fmt.Errorf("-protocols: %q is none of %s", name, strings.Join(latency.Protocols, ", "))
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
