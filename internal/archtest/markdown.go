package archtest

import (
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// block is one fenced code block of a document.
type block struct {
	info  string // the word behind the opening fence
	doc   string
	line  int // of the opening fence
	lines []string
}

// documents lists the Markdown files that users read: those in the root and
// below docs.
func documents(fsys fs.FS) ([]string, error) {
	var out []string
	err := walk(fsys, func(name string) error {
		if path.Ext(name) == ".md" && (path.Dir(name) == "." || within(name, "docs")) {
			out = append(out, name)
		}
		return nil
	})
	return out, err
}

// documentBlocks returns the fenced code blocks of all documents, without
// shared indentation and blank lines around.
func documentBlocks(fsys fs.FS) ([]block, error) {
	docs, err := documents(fsys)
	if err != nil {
		return nil, err
	}
	var out []block
	for _, doc := range docs {
		text, err := fs.ReadFile(fsys, doc)
		if err != nil {
			return nil, err
		}
		blocks, _ := splitBlocks(string(text))
		for _, b := range blocks {
			b.doc, b.lines = doc, dedent(trimBlank(b.lines))
			out = append(out, b)
		}
	}
	return out, nil
}

// CheckSnippets reports fenced Go blocks of the documents that do not stand,
// line for line, in some Go file of the repository. Those files compile, so
// the snippets do. Indentation that all lines share does not count.
func CheckSnippets(fsys fs.FS) ([]string, error) {
	blocks, err := documentBlocks(fsys)
	if err != nil {
		return nil, err
	}
	var sources [][]string
	err = walk(fsys, func(name string) error {
		if path.Ext(name) != ".go" || within(name, "internal/archtest") {
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		sources = append(sources, splitLines(string(text)))
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, b := range blocks {
		if b.info != "go" || slices.ContainsFunc(sources, func(s []string) bool { return containsLines(s, b.lines) }) {
			continue
		}
		out = append(out, fmt.Sprintf("%s:%d: this Go block stands in no Go file: put it into an example and copy it from there", b.doc, b.line))
	}
	return out, nil
}

var link = regexp.MustCompile(`\]\(\s*<?([^)\s>]+)`)

// CheckLinks reports relative links of the documents that lead to no file, or
// out of the repository.
func CheckLinks(fsys fs.FS) ([]string, error) {
	docs, err := documents(fsys)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, doc := range docs {
		text, err := fs.ReadFile(fsys, doc)
		if err != nil {
			return nil, err
		}
		_, prose := splitBlocks(string(text))
		for i, line := range prose {
			for _, match := range link.FindAllStringSubmatch(line, -1) {
				target, err := url.Parse(match[1])
				if err == nil && (target.Scheme != "" || target.Host != "" || target.Path == "") {
					continue
				}
				if err == nil {
					_, err = fs.Stat(fsys, path.Join(path.Dir(doc), target.Path))
				}
				if err != nil {
					out = append(out, fmt.Sprintf("%s:%d: %s leads nowhere", doc, i+1, match[1]))
				}
			}
		}
	}
	return out, nil
}

// splitBlocks separates a document's fenced code blocks from its prose. The
// prose keeps its line numbers: lines of blocks are empty in it.
func splitBlocks(text string) (blocks []block, prose []string) {
	fence := ""
	for i, line := range splitLines(text) {
		trimmed := strings.TrimSpace(line)
		switch {
		case fence == "" && (strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~")):
			info := strings.TrimLeft(trimmed, trimmed[:1])
			fence = trimmed[:len(trimmed)-len(info)]
			word, _, _ := strings.Cut(strings.TrimSpace(info), " ")
			blocks = append(blocks, block{info: word, line: i + 1})
			line = ""
		case fence != "" && strings.HasPrefix(trimmed, fence) && strings.Trim(trimmed, fence[:1]) == "":
			fence, line = "", ""
		case fence != "":
			b := &blocks[len(blocks)-1]
			b.lines = append(b.lines, line)
			line = ""
		}
		prose = append(prose, line)
	}
	return blocks, prose
}

// containsLines reports whether part, which is dedented, stands in lines at
// some indentation.
func containsLines(lines, part []string) bool {
	if len(part) == 0 {
		return true
	}
	first := strings.TrimLeft(part[0], " \t")
	for i := 0; i+len(part) <= len(lines); i++ {
		if strings.TrimLeft(lines[i], " \t") == first && slices.Equal(dedent(lines[i:i+len(part)]), part) {
			return true
		}
	}
	return false
}

// dedent removes the leading blanks that all lines but empty ones share.
func dedent(lines []string) []string {
	shared, found := "", false
	for _, line := range lines {
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		switch {
		case line == "":
		case !found:
			shared, found = indent, true
		default:
			for !strings.HasPrefix(indent, shared) {
				shared = shared[:len(shared)-1]
			}
		}
	}
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = strings.TrimPrefix(line, shared)
	}
	return out
}

func trimBlank(lines []string) []string {
	for len(lines) > 0 && lines[0] == "" {
		lines = lines[1:]
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// splitLines splits text into lines without trailing blanks.
func splitLines(text string) []string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \t\r")
	}
	return lines
}
