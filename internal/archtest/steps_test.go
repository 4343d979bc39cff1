package archtest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ci is the command that everything has to pass.
const ci = "bash .ci/run"

// vectorOutput is what the tests over third-party vectors print, as far as
// .ci/run reads it.
const vectorOutput = `vectors: wycheproof JWS: 26 accepted, 361 refused, 14 not applicable
--- PASS: TestWycheproofJWS (0.03s)
vectors: wycheproof JWK: 1 accepted, 22 refused, 3 not applicable
--- PASS: TestWycheproofJWK (0.01s)
vectors: rfc7515.json, JWS and thumbprints: 3 accepted, 6 refused, 0 thumbprints, 1 not applicable
--- PASS: TestRFCVectors (0.06s)
vectors: rfc/rfc9068.json 8 of 8 claims cases
--- PASS: TestRFCClaims9068 (0.08s)
`

// interopOutput is what the tests with real authorization servers print, as far as .ci/run
// reads it.
const interopOutput = `--- PASS: TestFositeOpaque (0.03s)
--- PASS: TestGlewlwyd (0.03s)
--- PASS: TestOIDCProvider (0.03s)
`

// alertOutput is what the tests of the alert rules print, as far as .ci/run reads it.
const alertOutput = `--- PASS: TestPromtoolRules (5.03s)
--- PASS: TestPromtoolQueries (0.03s)
--- PASS: TestPromtoolMetrics (0.03s)
`

// workshop is a copy of the Makefile and of .ci/run in a folder of its own,
// with stand-ins for the programs that they call. See testdata/standin.sh.
type workshop struct {
	t     *testing.T
	dir   string
	calls string // file that the stand-ins append to
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	w := &workshop{t: t, dir: t.TempDir()}
	w.calls = filepath.Join(w.dir, "calls")
	for _, name := range []string{"Makefile", ".ci/run"} {
		w.write(name, w.read(filepath.Join(root, filepath.FromSlash(name))))
	}
	w.write("go.mod", "module example.com/m\n")
	w.write("nested/go.mod", "module example.com/m/nested\n")
	w.write("examples/verify/sallyport.yaml", "")
	w.write("examples/verify/tokens.ndjson", "")
	w.write("examples/verify/expected.ndjson", `{"name":"a","accept":true}`+"\n")
	w.write("vectors/output", vectorOutput)
	w.write("interop/output", interopOutput)
	w.write("alerts/output", alertOutput)
	w.write("interop/oidc-provider/package.json", "{}")
	w.write("interop/oidc-provider/package-lock.json", "{}")
	for _, name := range []string{"go", "gofmt", "git", "npm", "glewlwyd", "sqlite3", "promtool"} {
		w.write("programs/"+name, w.read("testdata/standin.sh"))
	}
	return w
}

func (w *workshop) read(file string) string {
	w.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// write writes an executable file into the workshop.
func (w *workshop) write(name, text string) {
	w.t.Helper()
	file := filepath.Join(w.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
		w.t.Fatal(err)
	}
}

// plant makes calls of the stand-ins misbehave.
type plant struct {
	failAt int    // number of the call that fails; 0 for none
	call   string // start of the calls that print text and exit with status
	text   string
	status int
	times  int // how often; 0 means always
}

// run runs command with the stand-ins, from an environment with as little as
// possible in it, and returns its exit status, its output and the calls.
func (w *workshop) run(p plant, command ...string) (status int, output string, calls []string) {
	w.t.Helper()
	w.write("calls", "")
	if err := os.RemoveAll(filepath.Join(w.dir, "bin")); err != nil { // what an earlier run built
		w.t.Fatal(err)
	}
	times := p.times
	if times == 0 {
		times = 1000
	}
	status, output = execute(w.t, w.dir, []string{
		"PATH=" + filepath.Join(w.dir, "programs") + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + w.dir, "GOWORK=off",
		"ROOT=" + w.dir, "CALLS=" + w.calls, "SALLYPORT_VECTORS=" + filepath.Join(w.dir, "vectors"),
		"FAIL_AT=" + strconv.Itoa(p.failAt), "PLANT_CALL=" + p.call, "PLANT_TEXT=" + p.text,
		"PLANT_STATUS=" + strconv.Itoa(p.status), "PLANT_TIMES=" + strconv.Itoa(times),
	}, command...)
	calls = strings.Split(strings.TrimSuffix(w.read(w.calls), "\n"), "\n")
	if calls[0] == "" {
		calls = nil
	}
	return status, output, calls
}

// execute runs command in dir and returns its exit status and output.
func execute(t *testing.T, dir string, env []string, command ...string) (status int, output string) {
	t.Helper()
	program, err := exec.LookPath(command[0])
	if err != nil {
		t.Fatalf("this test needs what the README names, %s among it: %v", command[0], err)
	}
	cmd := exec.CommandContext(t.Context(), program, command[1:]...)
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// expectRed lets each call that command makes fail in turn, and wants a
// failure of command each time.
func (w *workshop) expectRed(command ...string) (calls []string) {
	w.t.Helper()
	status, output, calls := w.run(plant{}, command...)
	if status != 0 {
		w.t.Fatalf("%q exits with %d, and nothing failed\n%s", command, status, output)
	}
	for i, call := range calls {
		if status, output, _ := w.run(plant{failAt: i + 1}, command...); status == 0 {
			w.t.Errorf("%q exits with 0, and this call failed: %s\n%s", command, call, output)
		}
	}
	return calls
}

// Every target of the Makefile fails if any program that it calls does.
func TestTargetsCanFail(t *testing.T) {
	w := newWorkshop(t)
	targets := regexp.MustCompile(`(?m)^\.PHONY: ([\w-]+)$`).FindAllStringSubmatch(w.read(filepath.Join(root, "Makefile")), -1)
	if len(targets) < 10 {
		t.Fatalf("the Makefile has the targets %q only", targets)
	}
	for _, target := range targets {
		if calls := w.expectRed("make", target[1]); len(calls) == 0 && target[1] != "help" {
			t.Errorf("make %s calls nothing", target[1])
		}
	}
}

// .ci/run takes every step in every module, ends with the tests and a look at
// the tree, and fails if any program that it calls does.
func TestContinuousIntegrationCanFail(t *testing.T) {
	w := newWorkshop(t)
	calls := w.expectRed(strings.Fields(ci)...)
	for call, want := range map[string]int{
		"go mod download": 2, "go mod tidy -diff": 2, "go build -o /dev/null ./...": 2, "go vet ./...": 2, "golangci-lint-": 2,
		"go list -m all": 1, "buf-": 1,
		"sallyport verify ": 1, "sallyport-demo --once": 1, "gofmt -l": 1, "go test -race -timeout 25m work": 1, "go test -count=1 -v -run Wycheproof|RFC work": 1,
		"npm ci ": 1, "go test -count=1 -v ./interop": 1, "go test -count=1 -v ./internal/alertrules": 1,
		"go test -run ^$ -fuzz ": 3, "go run ./benchmarks/cmd/compare -gate -quick": 1,
		"go run ./benchmarks/cmd/p95 -quick -only Sallyport, repeat -loads 70 ": 1, "go test work": 1,
	} {
		n := 0
		for _, made := range calls {
			if strings.HasPrefix(made, call) {
				n++
			}
		}
		if n != want {
			t.Errorf("%d calls of %q, want %d", n, call, want)
		}
	}
	if last := calls[len(calls)-2:]; last[0] != "go test work" || !strings.HasPrefix(last[1], "git -c safe.directory=* status ") {
		t.Errorf("the last calls are %q", last)
	}
}

// What a program finds without failing itself is a failure too.
func TestFindingsAreFailures(t *testing.T) {
	const (
		test     = "go test work"
		fuzz     = "go test -run ^$ -fuzz ^FuzzTwo$"
		list     = "go test -list "
		vectors  = "go test -count=1 -v -run "
		interop  = "go test -count=1 -v ./interop"
		alerts   = "go test -count=1 -v ./internal/alertrules"
		deadline = "--- FAIL: FuzzTwo (5.01s)\n    context deadline exceeded\nFAIL"
		race     = "go test -race "
		crash    = "ThreadSanitizer: CHECK failed: tsan_rtl.cpp:282 \"((!thr->slot_locked)) != (0)\" (0x0, 0x0) (tid=9)\n"
		crashed  = "ok  \texample.com/m/a\t0.1s\n" + crash + "FAIL\texample.com/m/b\t3.1s\n"
	)
	w := newWorkshop(t)
	tests := []struct {
		name, command string
		plant         plant
		green         bool
	}{
		{name: "no module", command: "make lint", plant: plant{call: "go list -m"}},
		{name: "no module", command: "make setup", plant: plant{call: "go list -m"}},
		{name: "no module", command: ci, plant: plant{call: "go list -m"}},
		{name: "module whose folder is gone", command: "make tidy", plant: plant{call: "go list -m", text: "/nonexistent"}},
		{name: "no fuzz target", command: "make fuzz", plant: plant{call: list, text: "ok  \texample.com/m/a\t0.1s"}},
		{name: "fuzz target without its package", command: "make fuzz", plant: plant{call: list, text: "FuzzOne\nok  \texample.com/m/a\t0.1s\nFuzzTwo"}},
		{name: "fuzz target that fails", command: "make fuzz", plant: plant{call: fuzz, text: "--- FAIL: FuzzTwo (0.01s)", status: 1}},
		{name: "fuzz target that fails", command: ci, plant: plant{call: fuzz, text: "--- FAIL: FuzzTwo (0.01s)", status: 1}},
		{name: "failing input and the end of the time", command: "make fuzz", plant: plant{call: fuzz, text: "Failing input written to x\n" + deadline, status: 1, times: 1}},
		{name: "end of the time, once", command: "make fuzz", plant: plant{call: fuzz, text: deadline, status: 1, times: 1}, green: true},
		{name: "end of the time, twice", command: "make fuzz", plant: plant{call: fuzz, text: deadline, status: 1}},
		{name: "crash of the race detector, once", command: "make race", plant: plant{call: race, text: crashed + "FAIL", status: 1, times: 1}, green: true},
		{name: "crash of the race detector, once", command: ci, plant: plant{call: race, text: crashed + "FAIL", status: 1, times: 1}, green: true},
		{name: "crash of the race detector, twice", command: "make race", plant: plant{call: race, text: crashed + "FAIL", status: 1}},
		{name: "race, and then a crash", command: "make race", plant: plant{call: race, text: "WARNING: DATA RACE\n" + crashed, status: 1, times: 1}},
		{name: "crash, and then a race", command: "make race", plant: plant{call: race, text: crash + "WARNING: DATA RACE\n" + crashed, status: 1, times: 1}},
		{name: "failing test, and then a crash", command: "make race", plant: plant{call: race, text: "--- FAIL: TestX (0.01s)\n" + crashed, status: 1, times: 1}},
		{name: "panic and a crash", command: "make race", plant: plant{call: race, text: "panic: test timed out after 10m0s\n" + crashed, status: 1, times: 1}},
		{name: "crash, and a failing test of another package", command: "make race", plant: plant{call: race, text: crashed + "--- FAIL: TestX (0.01s)\nFAIL\texample.com/m/c\t0.1s", status: 1, times: 1}},
		{name: "crash, and another package that exits", command: "make race", plant: plant{call: race, text: crashed + "exit status 1\nFAIL\texample.com/m/c\t0.1s", status: 1, times: 1}},
		{name: "crash, and another package that does not build", command: "make race", plant: plant{call: race, text: crashed + "FAIL\texample.com/m/c [build failed]", status: 1, times: 1}},
		{name: "crash in a package that is ok, and another that exits", command: "make race", plant: plant{call: race, text: crash + "ok  \texample.com/m/a\t0.1s\nFAIL\texample.com/m/b\t0.1s", status: 1, times: 1}},
		{name: "crash without a failing package", command: "make race", plant: plant{call: race, text: crash, status: 1, times: 1}},
		{name: "other verdicts", command: ci, plant: plant{call: "sallyport verify", text: `{"name":"a","accept":false}`}},
		{name: "no verdicts", command: ci, plant: plant{call: "sallyport verify"}},
		{name: "file that gofmt would change", command: ci, plant: plant{call: "gofmt", text: "a.go"}},
		{name: "no C compiler", command: ci, plant: plant{call: "go env CGO_ENABLED", text: "0"}},
		{name: "no package for users", command: ci, plant: plant{call: "go list -f"}},
		{name: "user without the root", command: ci, plant: plant{call: "go list -m all", text: "example.com/other v1.0.0"}},
		{name: "user with gRPC", command: ci, plant: plant{call: "go list -m all", text: w.dir + "\ngoogle.golang.org/grpc v1.85.0"}},
		{name: "user with OpenTelemetry", command: ci, plant: plant{call: "go list -m all", text: w.dir + "\ngo.opentelemetry.io/otel v1.47.0"}},
		{name: "user with Connect", command: ci, plant: plant{call: "go list -m all", text: w.dir + "\nconnectrpc.com/connect v1.21.1"}},
		{name: "user with the root alone", command: ci, plant: plant{call: "go list -m all", text: w.dir + "\nexample.com/other v1.0.0"}, green: true},
		{name: "skipped vectors", command: ci, plant: plant{call: vectors, text: vectorOutput + "    --- SKIP: TestRFCClaims (0.00s)"}},
		{name: "no Wycheproof test", command: ci, plant: plant{call: vectors, text: strings.ReplaceAll(vectorOutput, "PASS: TestWycheproof", "")}},
		{name: "no RFC test", command: ci, plant: plant{call: vectors, text: strings.ReplaceAll(vectorOutput, "PASS: TestRFC", "")}},
		{name: "no vector", command: ci, plant: plant{call: vectors, text: strings.ReplaceAll(vectorOutput, "vectors:", "")}},
		{name: "no case of a file", command: ci, plant: plant{call: vectors, text: strings.ReplaceAll(vectorOutput, " 26 accepted, 361 refused", " 0 accepted, 0 refused")}},
		{name: "skipped server", command: ci, plant: plant{call: interop, text: interopOutput + "--- SKIP: TestGlewlwydOutage (0.00s)"}},
		{name: "no test with fosite", command: ci, plant: plant{call: interop, text: strings.ReplaceAll(interopOutput, "TestFosite", "")}},
		{name: "no test with oidc-provider", command: ci, plant: plant{call: interop, text: strings.ReplaceAll(interopOutput, "TestOIDCProvider", "")}},
		{name: "no test with Glewlwyd", command: ci, plant: plant{call: interop, text: strings.ReplaceAll(interopOutput, "TestGlewlwyd", "")}},
		{name: "skipped alert rules", command: ci, plant: plant{call: alerts, text: alertOutput + "--- SKIP: TestPromtoolOthers (0.00s)"}},
		{name: "no test of the alert rules", command: ci, plant: plant{call: alerts, text: strings.ReplaceAll(alertOutput, "TestPromtoolRules", "")}},
		{name: "no test of the queries", command: ci, plant: plant{call: alerts, text: strings.ReplaceAll(alertOutput, "TestPromtoolQueries", "")}},
		{name: "no test of the metrics", command: ci, plant: plant{call: alerts, text: strings.ReplaceAll(alertOutput, "TestPromtoolMetrics", "")}},
		{name: "failing alert rules, without promtool", command: "env SALLYPORT_NO_PROMTOOL=1 " + ci, plant: plant{call: alerts, status: 1}, green: true},
		{name: "server that cannot be installed, without servers", command: "env SALLYPORT_NO_INTEROP=1 " + ci, plant: plant{call: "npm ", status: 1}, green: true},
		{name: "failing test, failures ignored", command: "make -i test", plant: plant{call: test, status: 1}},
		{name: "failing test, failures ignored", command: "make -ki --no-print-directory test", plant: plant{call: test, status: 1}},
		{name: "failing test, failures ignored", command: "make --ignore-errors test", plant: plant{call: test, status: 1}},
		{name: "failing test, failures ignored", command: "env MAKEFLAGS=i make test", plant: plant{call: test, status: 1}},
		{name: "failing test, failures ignored", command: "env GNUMAKEFLAGS=-i make test", plant: plant{call: test, status: 1}},
		{name: "failing test, failures ignored", command: "env MAKEFLAGS=i " + ci, plant: plant{call: test, status: 1}},
		{name: "failing test, failures ignored", command: "env GNUMAKEFLAGS=-i " + ci, plant: plant{call: test, status: 1}},
		{name: "failing test, failures ignored in another file", command: "env MAKEFILES=ignore.mk " + ci, plant: plant{call: test, status: 1}},
		{name: "sound, failures ignored by the caller", command: "env MAKEFLAGS=i " + ci, plant: plant{call: "none"}, green: true},
		{name: "sound, words with an i", command: "make -k --no-print-directory test ARGS=i", plant: plant{call: "none"}, green: true},
		{name: "no claims case, without vectors", command: "env SALLYPORT_NO_VECTORS=1 " + ci, plant: plant{call: vectors, status: 1}, green: true},
		{name: "file that is gone", command: ci, plant: plant{call: "git -c safe.directory=* status", text: "?? a.go", times: 1}},
		{name: "no claims case", command: ci, plant: plant{call: vectors, text: strings.ReplaceAll(vectorOutput, " 8 of 8", " 0 of 8")}},
	}
	w.write("ignore.mk", ".IGNORE:\n")
	for _, tt := range tests {
		if status, output, _ := w.run(tt.plant, strings.Fields(tt.command)...); (status == 0) != tt.green {
			t.Errorf("%s: %s: exits with %d\n%s", tt.command, tt.name, status, output)
		}
	}
	w.write("programs/git", "#!/bin/sh\nexit 0\n")
	if status, output, _ := w.run(plant{}, strings.Fields(ci)...); status == 0 {
		t.Errorf("git lists no Go file: exits with 0\n%s", output)
	}
}

// make race tests again only the packages in which the race detector crashed.
func TestRaceOnceMore(t *testing.T) {
	const crash = "ThreadSanitizer: CHECK failed: tsan_rtl.cpp:94\n"
	text := crash + "FAIL\texample.com/m/a\t0.1s\nok  \texample.com/m/b\t0.1s\n" + crash + "exit status 66\nFAIL\texample.com/m/c\t0.1s\nFAIL"
	status, output, calls := newWorkshop(t).run(plant{call: "go test -race -timeout 25m work", text: text, status: 1}, "make", "race")
	const again = "example.com/m/a example.com/m/c"
	if want := []string{"go test -race -timeout 25m work", "go test -race -timeout 25m -cpu 1 " + again}; status != 0 || !slices.Equal(calls, want) {
		t.Errorf("exits with %d after the calls %q, want %q\n%s", status, calls, want, output)
	}
	if !strings.Contains(output, "once more, since the race detector crashed: "+again+"\n") {
		t.Errorf("does not say what is tested again:\n%s", output)
	}
}

// The hosted run calls .ci/run, may only read, and takes its actions in one
// version each.
func TestHostedRun(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, ".github", "workflows", "ci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\n      - run: .ci/run\n", "\npermissions:\n  contents: read\n\n", " SALLYPORT_NO_VECTORS: \"1\"\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in it", want)
		}
	}
	actions := regexp.MustCompile(`(?m)^\s*- uses: (.*)$`).FindAllStringSubmatch(string(text), -1)
	if len(actions) == 0 {
		t.Error("no actions")
	}
	for _, action := range actions {
		if !regexp.MustCompile(`^actions/[a-z-]+@(v\d+\.\d+\.\d+|[0-9a-f]{40})$`).MatchString(action[1]) {
			t.Errorf("%s names no full version", action[1])
		}
	}
	if script := (&workshop{t: t}).read(filepath.Join(root, ".ci", "run")); !strings.Contains(script, "${SALLYPORT_NO_VECTORS:-}") {
		t.Error(".ci/run does not read SALLYPORT_NO_VECTORS")
	}
}

// .ci/run calls go with flags of its own only: with -run or -skip in GOFLAGS,
// tests would be left out.
func TestContinuousIntegrationSetsGoFlags(t *testing.T) {
	w := newWorkshop(t)
	w.write("standin/go", w.read("testdata/standin.sh"))
	w.write("programs/go", "#!/bin/sh\necho \"$GOFLAGS\" >>\"$ROOT/flags\"\nexec \"$ROOT/standin/go\" \"$@\"\n")
	status, output, _ := w.run(plant{}, append([]string{"env", "GOFLAGS=-run=^$ -skip=."}, strings.Fields(ci)...)...)
	flags := slices.Compact(strings.Fields(w.read(filepath.Join(w.dir, "flags"))))
	if status != 0 || !slices.Equal(flags, []string{"-buildvcs=false"}) {
		t.Errorf("exits with %d, GOFLAGS %q\n%s", status, flags, output)
	}
}

// .ci/run fails if a step leaves a file in the tree, ignored by git or not. The
// lint tool in bin/tools may stay.
func TestContinuousIntegrationLeavesNothing(t *testing.T) {
	w := newWorkshop(t)
	if err := os.Remove(filepath.Join(w.dir, "programs", "git")); err != nil { // the real one is next in PATH
		t.Fatal(err)
	}
	w.write("a.go", "package a\n")
	w.write(".gitignore", "/bin/\n*.prof\n")
	if status, output := execute(t, w.dir, os.Environ(), "git", "init", "-q"); status != 0 {
		t.Fatal(output)
	}
	w.write("standin/go", w.read("testdata/standin.sh"))
	for _, left := range []string{"", "nested/m", "cpu.prof", "bin/sallyport"} {
		leave := "touch \"$ROOT/" + left + "\""
		if left == "" {
			leave = ":"
		}
		w.write("programs/go", "#!/bin/sh\n[ \"$*\" != \"test work\" ] || { "+leave+"; }\nexec \"$ROOT/standin/go\" \"$@\"\n")
		w.write("calls", "")
		for _, command := range []string{ // so that the tree is clean, whatever the stand-ins write into calls
			"git add -A", "git -c user.name=t -c user.email=t@example.com commit -qm tree", "git update-index --assume-unchanged calls",
		} {
			if status, output := execute(t, w.dir, os.Environ(), strings.Fields(command)...); status != 0 {
				t.Fatal(output)
			}
		}
		status, output, _ := w.run(plant{}, strings.Fields(ci)...)
		if (status == 0) != (left == "") || !strings.Contains(output, left) {
			t.Errorf("a step leaves %q: exits with %d\n%s", left, status, output)
		}
		if _, err := os.Stat(filepath.Join(w.dir, "bin", "tools")); err != nil {
			t.Errorf("no lint tool: %v", err)
		}
		if left != "" {
			if err := os.Remove(filepath.Join(w.dir, filepath.FromSlash(left))); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The Makefile with the real go tool, in modules with one failing test and one
// failing fuzz target.
func TestRealFailures(t *testing.T) {
	w := newWorkshop(t)
	w.write("go.work", "go 1.26.0\n\nuse (\n\t.\n\t./nested\n)\n")
	w.write("go.mod", "module example.com/m\n\ngo 1.26.0\n")
	w.write("m.go", "package m\n")
	w.write("nested/go.mod", "module example.com/m/nested\n\ngo 1.26.0\n")
	const body = "package nested\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) { %TEST% }\n\n" +
		"func FuzzX(f *testing.F) {\n\tf.Add(1)\n\tf.Fuzz(func(t *testing.T, n int) { %FUZZ% })\n}\n"
	const fail = "t.Error(\"planted\")"
	env := slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains([]string{"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "GOFLAGS"}, name)
	})
	env = append(env, "GOWORK=off", "GOPROXY=off", "GOTOOLCHAIN=local") // the Makefile names its go.work
	tests := []struct {
		name, test, fuzz, command string
		want                      string // in the output of a failure; empty: it succeeds
	}{
		{name: "sound", command: "make test"},
		{name: "failing test", test: fail, command: "make test", want: "--- FAIL: TestX"},
		{name: "test that does not build", test: "undefined()", command: "make test", want: "undefined: undefined"},
		{name: "fuzz target that does not build", fuzz: "undefined()", command: "make fuzz FUZZTIME=1x", want: "undefined: undefined"},
		{name: "sound", command: "make fuzz FUZZTIME=1x"},
		{name: "failing fuzz target", fuzz: fail, command: "make fuzz FUZZTIME=1x", want: "--- FAIL: FuzzX"},
	}
	for _, tt := range tests {
		w.write("nested/x_test.go", strings.NewReplacer("%TEST%", tt.test, "%FUZZ%", tt.fuzz).Replace(body))
		status, output := execute(t, w.dir, env, strings.Fields(tt.command)...)
		if (status == 0) != (tt.want == "") || !strings.Contains(output, tt.want) {
			t.Errorf("%s: %s: exits with %d\n%s", tt.command, tt.name, status, output)
		}
	}
}
