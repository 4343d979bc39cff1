package interop_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// startLimit is how long a server may take to start.
const startLimit = 20 * time.Second

// process is a server that was started.
type process struct {
	cmd     *exec.Cmd
	output  *buffer
	once    sync.Once
	exited  chan struct{}
	started chan string // gets the first line of standard output
}

// buffer is the output of a process, which its goroutines write.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start starts a program. It is killed when the test ends, and its output is logged if the
// test failed.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, output: &buffer{}, exited: make(chan struct{}), started: make(chan string, 1)}
	cmd.Stderr = p.output
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		lines := bufio.NewScanner(stdout)
		for first := true; lines.Scan(); first = false {
			if first {
				p.started <- lines.Text()
			}
			_, _ = p.output.Write(append(lines.Bytes(), '\n'))
		}
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", cmd.Path, p.output)
		}
	})
	return p
}

// kill ends the process at once, as a crash does.
func (p *process) kill() {
	p.once.Do(func() { _ = p.cmd.Process.Kill() })
	<-p.exited
}

// mustRun fails the test if the process has ended.
func (p *process) mustRun(t *testing.T) {
	t.Helper()
	select {
	case <-p.exited:
		t.Fatalf("%s ended: %s", p.cmd.Path, p.output)
	default:
	}
}

// readiness reads the line of JSON that the process prints when it is ready.
func (p *process) readiness(t *testing.T, into any) {
	t.Helper()
	select {
	case line := <-p.started:
		if err := json.Unmarshal([]byte(line), into); err != nil {
			t.Fatalf("%s says %q: %v", p.cmd.Path, line, err)
		}
	case <-p.exited:
		t.Fatalf("%s ended: %s", p.cmd.Path, p.output)
	case <-time.After(startLimit):
		t.Fatalf("%s is not ready after %s: %s", p.cmd.Path, startLimit, p.output)
	}
}

// eventually calls done every few milliseconds until it returns true. It fails the test
// after limit, and returns how long it took.
func eventually(t *testing.T, limit time.Duration, what string, done func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		if time.Since(begin) > limit {
			t.Fatalf("not within %s: %s", limit, what)
		}
		<-tick.C
	}
	return time.Since(begin)
}

// freePort returns a port that nothing listens on.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
