package archtest

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// configures finds the Go code that decides which tokens are accepted.
var configures = regexp.MustCompile(`\b(validator\.(New\(|Config\{|Issuer\{)|middleware\.(New\(|For\(|Config\{)|resourcemeta\.(New\(|Config\{))`)

// The lines around the snippets whose tests accept a good token and refuse bad
// ones.
const (
	snippetStart = "// snippet"
	snippetEnd   = "// end of snippet"
)

// CheckConfigurations reports blocks of the documents that configure
// validation and are not, as a whole, a marked snippet of one of the folders
// dirs, whose tests run them with good and bad tokens.
func CheckConfigurations(fsys fs.FS, dirs ...string) ([]string, error) {
	blocks, err := documentBlocks(fsys)
	if err != nil {
		return nil, err
	}
	var snippets [][]string
	err = walk(fsys, func(name string) error {
		if path.Ext(name) != ".go" || !slices.ContainsFunc(dirs, func(dir string) bool { return within(name, dir) }) {
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		snippets = append(snippets, markedSnippets(splitLines(string(text)))...)
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, b := range blocks {
		if !configures.MatchString(strings.Join(b.lines, "\n")) || slices.ContainsFunc(snippets, func(s []string) bool { return slices.Equal(s, b.lines) }) {
			continue
		}
		out = append(out, fmt.Sprintf("%s:%d: this block configures validation and no test runs it: make it a snippet of %s", b.doc, b.line, dirs[0]))
	}
	return out, nil
}

// markedSnippets returns the dedented lines between each pair of marks.
func markedSnippets(lines []string) [][]string {
	var out [][]string
	start := -1
	for i, line := range lines {
		switch strings.TrimSpace(line) {
		case snippetStart:
			start = i + 1
		case snippetEnd:
			if start >= 0 {
				out = append(out, dedent(trimBlank(lines[start:i])))
			}
			start = -1
		}
	}
	return out
}

// CheckCommentCode reports code in comments that configures validation and
// does not stand in a test file of the same folder.
func CheckCommentCode(fsys fs.FS) ([]string, error) {
	var comments []block
	tests := make(map[string][][]string) // lines of the test files of a folder
	err := walk(fsys, func(name string) error {
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		lines := splitLines(string(text))
		if strings.HasSuffix(name, "_test.go") {
			tests[path.Dir(name)] = append(tests[path.Dir(name)], lines)
		} else {
			comments = append(comments, commentCode(name, lines)...)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, b := range comments {
		stands := func(lines []string) bool { return containsLines(lines, b.lines) }
		if configures.MatchString(strings.Join(b.lines, "\n")) && !slices.ContainsFunc(tests[path.Dir(b.doc)], stands) {
			out = append(out, fmt.Sprintf("%s:%d: this code configures validation and no test runs it: put it into a test of the folder", b.doc, b.line))
		}
	}
	return out, nil
}

// commentCode returns the dedented code blocks of the comments of a Go file:
// runs of lines that are indented by a tab or four blanks.
func commentCode(name string, lines []string) []block {
	var out []block
	inside := false
	for i, line := range lines {
		text, isComment := strings.CutPrefix(strings.TrimSpace(line), "//")
		code := isComment && (strings.HasPrefix(text, "\t") || strings.HasPrefix(text, "    "))
		switch {
		case code && !inside:
			out = append(out, block{doc: name, line: i + 1, lines: []string{text}})
		case code || inside && isComment && text == "":
			out[len(out)-1].lines = append(out[len(out)-1].lines, text)
			continue
		}
		inside = code
	}
	for i := range out {
		out[i].lines = dedent(trimBlank(out[i].lines))
	}
	return out
}
