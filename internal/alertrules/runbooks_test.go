package alertrules_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const runbooks = root + "/docs/runbooks"

// TestEveryAlertHasRunbook covers R-OB-09: every alert names its runbook, which has the three
// parts, and every runbook is of an alert.
func TestEveryAlertHasRunbook(t *testing.T) {
	names := alertNames(t)
	text := read(t, rules)
	for _, name := range names {
		if !strings.Contains(text, "runbook_url: https://github.com/sallyport-auth/sallyport/blob/main/docs/runbooks/"+name+".md\n") {
			t.Errorf("%s does not name its runbook", name)
		}
		runbook := read(t, runbooks+"/"+name+".md")
		if !strings.HasPrefix(runbook, "# "+name+"\n") || !strings.Contains(runbook, "\n## See more\n") || !strings.Contains(runbook, "\n## What to do\n") {
			t.Errorf("the runbook of %s lacks the title or a part", name)
		}
	}
	files, err := os.ReadDir(filepath.FromSlash(runbooks))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !slices.Contains(names, strings.TrimSuffix(file.Name(), ".md")) {
			t.Errorf("%s is of no alert", file.Name())
		}
	}
}

// TestDrillsNameAlerts checks that the alerts that the drills name exist.
func TestDrillsNameAlerts(t *testing.T) {
	named := regexp.MustCompile(`d\.alert\("(\w+)"`).FindAllStringSubmatch(read(t, root+"/cmd/sallyport-demo/incidents.go"), -1)
	if len(named) == 0 {
		t.Error("no alert was found")
	}
	for _, match := range named {
		if !slices.Contains(alertNames(t), match[1]) {
			t.Errorf("a drill names %s", match[1])
		}
	}
}

// blocks returns the code blocks of a language in the runbooks.
func blocks(tb testing.TB, language string) []string {
	tb.Helper()
	var found []string
	for _, name := range alertNames(tb) {
		for _, match := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(read(tb, runbooks+"/"+name+".md"), -1) {
			found = append(found, match[1])
		}
	}
	if len(found) == 0 {
		tb.Fatalf("no block of %s", language)
	}
	return found
}

// queries returns the expressions of the runbooks.
func queries(tb testing.TB) []string {
	tb.Helper()
	var all []string
	for _, block := range blocks(tb, "promql") {
		all = append(all, strings.Split(strings.TrimSpace(block), "\n")...)
	}
	return all
}

// TestPromtoolQueries checks that Prometheus can read the expressions of the runbooks.
func TestPromtoolQueries(t *testing.T) {
	var text strings.Builder
	text.WriteString("groups: [{name: queries, rules: [\n")
	for _, query := range queries(t) {
		text.WriteString("{record: query, expr: '" + strings.ReplaceAll(query, "'", "''") + "'},\n")
	}
	text.WriteString("]}]\n")
	file := filepath.Join(t.TempDir(), "queries.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "check", "rules", "--lint=none", file)
}

// TestRunbookCommands checks that the commands of the runbooks exist: curl, and the
// subcommands of the programs of this repository.
func TestRunbookCommands(t *testing.T) {
	known := []string{"curl", "sallyport verify", "sallyport-demo drill outage", "sallyport-demo drill rotation", "sallyport-demo drill compromise"}
	var commands []string
	options := read(t, root+"/docs/verify.md")
	for _, block := range blocks(t, "sh") {
		commands = append(commands, strings.Split(strings.TrimSpace(block), "\n")...)
	}
	for _, name := range alertNames(t) {
		for _, match := range regexp.MustCompile("`(sallyport(?:-demo)? [^`]+)`").FindAllStringSubmatch(read(t, runbooks+"/"+name+".md"), -1) {
			commands = append(commands, match[1])
		}
	}
	for _, command := range commands {
		if !slices.ContainsFunc(known, func(start string) bool { return command == start || strings.HasPrefix(command, start+" ") }) {
			t.Errorf("%q is no command that this test knows", command)
		}
		for _, flag := range regexp.MustCompile(`--[a-z]+`).FindAllString(command, -1) {
			if strings.HasPrefix(command, "sallyport verify ") && !strings.Contains(options, "| `"+flag+"` |") {
				t.Errorf("%q: docs/verify.md has no option %s", command, flag)
			}
		}
	}
	for file, name := range map[string]string{"cmd/sallyport": "Verify", "cmd/sallyport-demo": "Drill"} {
		if !hasCommand(t, file, name) {
			t.Errorf("%s has no command %s", file, name)
		}
	}
}

// hasCommand reports whether the command line of the program in folder has a field with
// this name and the tag of a command.
func hasCommand(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	field := regexp.MustCompile("(?m)^\t" + name + " +\\S.*`[^`]*cmd:\"\"")
	return slices.ContainsFunc(files, func(file string) bool { return field.MatchString(read(t, file)) })
}

// TestRunbookNames checks that the identifiers in the runbooks are exported by the packages of
// this module.
func TestRunbookNames(t *testing.T) {
	var api strings.Builder
	files, err := filepath.Glob(filepath.Join(root, "internal", "archtest", "testdata", "api", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		api.WriteString(read(t, file))
	}
	for _, name := range alertNames(t) {
		for _, match := range regexp.MustCompile("`(?:[a-z]+\\.)?([A-Z]\\w+)(?:\\.([A-Z]\\w+))?(?:\\([^`]*\\))?`").FindAllStringSubmatch(read(t, runbooks+"/"+name+".md"), -1) {
			for _, identifier := range match[1:] {
				if identifier != "" && !slices.Contains([]string{"Authorization", "Retry", "UNAVAILABLE"}, identifier) && !regexp.MustCompile(`\b`+identifier+`\b`).MatchString(api.String()) {
					t.Errorf("%s: %s is exported by no package", name, match[0])
				}
			}
		}
	}
}

// TestRunbookLogLines checks that the messages in the runbooks are those of docs/logging.md.
func TestRunbookLogLines(t *testing.T) {
	logging, found := read(t, root+"/docs/logging.md"), 0
	for _, name := range alertNames(t) {
		for _, match := range regexp.MustCompile("`([a-z]+(?: [a-z]+)+)`").FindAllStringSubmatch(read(t, runbooks+"/"+name+".md"), -1) {
			if strings.HasPrefix(match[1], "sallyport") {
				continue // a command
			}
			found++
			if row := "| `" + match[1]; !strings.Contains(logging, row+"` |") && !strings.Contains(logging, row+" …` |") {
				t.Errorf("%s: %q is no message of docs/logging.md", name, match[1])
			}
		}
	}
	if found == 0 {
		t.Error("no message was found")
	}
}
