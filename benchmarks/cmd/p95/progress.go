package main

import (
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows a bar on a terminal, and otherwise a line for each new server and load.
type progress struct {
	start time.Time
	bar   *progressbar.ProgressBar // nil: no terminal
	steps int
	begun int
	said  map[string]bool
}

func newProgress() *progress {
	p := &progress{start: time.Now(), said: make(map[string]bool)}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		p.bar = progressbar.NewOptions(1, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionShowCount(),
			progressbar.OptionFullWidth(), progressbar.OptionSetPredictTime(true), progressbar.OptionSetElapsedTime(true))
	}
	return p
}

// Plan implements [latency.Progress].
func (p *progress) Plan(steps int) {
	p.steps += steps
	if p.bar != nil {
		p.bar.ChangeMax(p.steps)
	}
}

// Step implements [latency.Progress].
func (p *progress) Step(what string) {
	p.begun++
	if p.bar != nil {
		p.bar.Describe(what)
		_ = p.bar.Set(p.begun - 1) // a terminal that cannot be written to shows nothing
		return
	}
	if !p.said[what] {
		p.said[what] = true
		fmt.Fprintf(os.Stderr, "%6.1f s  %3d/%d  %s\n", time.Since(p.start).Seconds(), p.begun, p.steps, what)
	}
}

func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
		fmt.Fprintln(os.Stderr)
	}
}
