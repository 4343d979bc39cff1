// Command p95 measures what a middleware adds to the latency of requests, under open load
// over real connections.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"runtime/debug"

	"github.com/sallyport-auth/sallyport/benchmarks/latency"
)

const usage = `Usage: p95 [flags]

Measures how long requests take with and without validation of their tokens, over
HTTP/1.1, HTTP/2 and gRPC on a loopback address. Client and servers are separate
processes. Requests are due at a constant rate, and their latency counts from when they
were due. Servers with a middleware and one without run in alternating windows.

  go run ./benchmarks/cmd/p95                     hours; writes p95.json, p95.md and plots
  go run ./benchmarks/cmd/p95 -faults .           more than an hour; adds faults to the same files
  go run ./benchmarks/cmd/p95 -quick -loads 70    minutes; prints only
  go run ./benchmarks/cmd/p95 -quick -protocols HTTP/1.1 -only repeat -loads 70 -budget p95=1.10

Two servers of your own, with the same handler behind a middleware and without:

  go run ./benchmarks/cmd/p95 -base http://127.0.0.1:8080/x -guarded http://127.0.0.1:8081/x \
      -header "Authorization: Bearer $TOKEN" -rate 1000 -budget p95=1.10

With a budget, the exit status is 1 if a row exceeds it each time that it is measured.

`

// results is where a full run writes, from the root of the repository.
const results = "benchmarks/results"

// docs is the page whose tables a full run renews.
const docs = "docs/performance.md"

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
		if err := report.WritePages(s.out); err != nil {
			return err
		}
		return writeDocs(report, s.out)
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
	if s.faults {
		err = m.RunFaults(ctx)
	} else {
		err = m.Run(ctx)
	}
	if err != nil {
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
	if err := write(&m.Report, s); err != nil {
		return err
	}
	for _, excess := range excesses {
		fmt.Println("BUDGET:", excess.What)
	}
	if len(excesses) > 0 {
		return fmt.Errorf("%d rows above their budgets in %d further measurements; see the lines above, and whether the machine is busy", len(excesses), s.retries)
	}
	return nil
}

// write writes the files, with what an earlier run measured and this one did not. It
// writes nothing without a folder.
func write(report *latency.Report, s settings) error {
	if s.out == "" {
		return nil
	}
	old, err := latency.ReadReport(s.out)
	switch {
	case err == nil:
		report.Keep(old, s.add)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := report.WriteFiles(s.out); err != nil {
		return err
	}
	return writeDocs(report, s.out)
}

// writeDocs renews the tables of the documentation if dir is the default.
func writeDocs(report *latency.Report, dir string) error {
	if dir != results {
		return nil
	}
	old, err := os.ReadFile(docs)
	if err != nil {
		return fmt.Errorf("run it in the root of the repository, or give -out: %w", err)
	}
	text, err := report.Refresh(string(old))
	if err != nil {
		return fmt.Errorf("%s: %w", docs, err)
	}
	return os.WriteFile(docs, []byte(text), 0o644)
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
