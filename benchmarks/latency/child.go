package latency

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// childVariable is set in the environment of a process that [Child] takes over.
const childVariable = "SALLYPORT_LATENCY_CHILD"

// Child does the work of a server or of a flood if this process was started for that, and
// then ends the process. Otherwise it returns at once. Call it first in main.
func Child() {
	if os.Getenv(childVariable) == "" {
		return
	}
	if err := child(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "latency: a server process:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// order is what a child is started for. One field is set.
type order struct {
	Server *serverOrder `json:"server,omitempty"`
	Flood  *floodOrder  `json:"flood,omitempty"`
}

// reply is what a child answers to a line: one line.
type reply struct {
	Address string        `json:"address,omitempty"`
	CPU     time.Duration `json:"cpu"` // of the process since it was started
	// Answers are how many requests of a flood had each status, 0 for none.
	Answers map[int]int `json:"answers,omitempty"`
	Error   string      `json:"error,omitempty"`
}

// The lines that a child takes after its order. It ends with its input, so that it does
// not outlive its parent.
const (
	askUsage = "usage"
	askRenew = "renew" // the server starts over, with nothing in memory
	askStart = "start" // the flood begins
	askStop  = "stop"  // the flood ends
)

// worker is a server or a flood in a child.
type worker interface {
	ask(what string) reply
	close()
}

func child(in io.Reader, out io.Writer) error {
	lines, answers := json.NewDecoder(in), json.NewEncoder(out)
	var o order
	if err := lines.Decode(&o); err != nil {
		return fmt.Errorf("reading the order: %w", err)
	}
	var w worker
	var first reply
	var err error
	if o.Flood != nil {
		w, err = newFlood(*o.Flood)
	} else {
		w, first.Address, err = newServer(*o.Server)
	}
	if err != nil {
		return errors.Join(err, answers.Encode(reply{Error: err.Error()}))
	}
	defer w.close()
	for answer := first; ; {
		answer.CPU = cpuTime()
		if err := answers.Encode(answer); err != nil {
			return fmt.Errorf("answering: %w", err)
		}
		var what string
		if err := lines.Decode(&what); err != nil {
			return nil // the parent has ended, or wants this process to end
		}
		answer = w.ask(what)
	}
}

// cpuTime returns the CPU time of all threads of this process.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // the arguments are constants
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// process is a child as its parent sees it.
type process struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	mu      sync.Mutex
}

// start starts this program again with an order, and returns its first answer.
func start(ctx context.Context, o order) (*process, reply, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, reply{}, fmt.Errorf("latency: %w", err)
	}
	p := &process{command: exec.CommandContext(ctx, program)}
	p.command.Env = append(os.Environ(), childVariable+"=1")
	p.command.Stderr = os.Stderr
	if p.in, err = p.command.StdinPipe(); err != nil {
		return nil, reply{}, fmt.Errorf("latency: %w", err)
	}
	out, err := p.command.StdoutPipe()
	if err != nil {
		return nil, reply{}, fmt.Errorf("latency: %w", err)
	}
	p.out = bufio.NewReader(out)
	if err := p.command.Start(); err != nil {
		return nil, reply{}, fmt.Errorf("latency: a server process: %w", err)
	}
	first, err := p.ask(o)
	if err != nil {
		p.close()
		return nil, reply{}, err
	}
	return p, first, nil
}

// ask sends one line, and returns the answer.
func (p *process) ask(what any) (reply, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line, err := json.Marshal(what)
	if err != nil {
		return reply{}, fmt.Errorf("latency: %w", err)
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return reply{}, fmt.Errorf("latency: a server process: %w", err)
	}
	text, err := p.out.ReadBytes('\n')
	if err != nil {
		return reply{}, fmt.Errorf("latency: a server process has ended: %w", err)
	}
	var answer reply
	if err := json.Unmarshal(text, &answer); err != nil {
		return reply{}, fmt.Errorf("latency: a server process: %w", err)
	}
	if answer.Error != "" {
		return reply{}, fmt.Errorf("latency: a server process: %s", answer.Error)
	}
	return answer, nil
}

// close ends the child.
func (p *process) close() {
	_ = p.in.Close()
	timer := time.AfterFunc(5*time.Second, func() { _ = p.command.Process.Kill() })
	defer timer.Stop()
	_ = p.command.Wait() // what failed in the child is in its answers, and on standard error
}
