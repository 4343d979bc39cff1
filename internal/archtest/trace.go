package archtest

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

var (
	requirementID  = regexp.MustCompile(`\bR-[A-Z]{2}-[0-9]{2}\b`)
	requirementRow = regexp.MustCompile(`(?m)^\| (R-[A-Z]{2}-[0-9]{2}) \|`)
)

// Catalogue lists the requirement ids of a catalogue, in its order: those that
// open a table row.
func Catalogue(text string) []string {
	var ids []string
	for _, match := range requirementRow.FindAllStringSubmatch(text, -1) {
		ids = append(ids, match[1])
	}
	return ids
}

// Traced maps each requirement id that a test file names to the places, as
// path:line. The tests of this package do not count, since their ids are made
// up.
func Traced(fsys fs.FS) (map[string][]string, error) {
	traced := map[string][]string{}
	err := walk(fsys, func(name string) error {
		if !strings.HasSuffix(name, "_test.go") || within(name, "internal/archtest") {
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		for i, line := range splitLines(string(text)) {
			for _, id := range requirementID.FindAllString(line, -1) {
				where := fmt.Sprintf("%s:%d", name, i+1)
				if !slices.Contains(traced[id], where) {
					traced[id] = append(traced[id], where)
				}
			}
		}
		return nil
	})
	return traced, err
}

// Report says of each id whether and where a test names it, and how many are
// named.
func Report(ids []string, traced map[string][]string) string {
	var b strings.Builder
	n := 0
	for _, id := range ids {
		if places := traced[id]; len(places) > 0 {
			n++
			fmt.Fprintf(&b, "%s  tested   %s\n", id, strings.Join(places, ", "))
		} else {
			fmt.Fprintf(&b, "%s  not yet\n", id)
		}
	}
	fmt.Fprintf(&b, "%d of %d requirements are named by a test\n", n, len(ids))
	return b.String()
}

// CheckKnown reports ids that tests name and the catalogue does not have.
func CheckKnown(ids []string, traced map[string][]string) []string {
	var out []string
	for id, places := range traced {
		if !slices.Contains(ids, id) {
			out = append(out, fmt.Sprintf("%s: %s is not in the catalogue", places[0], id))
		}
	}
	slices.Sort(out)
	return out
}

// CheckTraced compares the committed list of traced ids with what the tests
// name: an id that is no longer named is a loss, and one that is not listed
// could be lost unseen.
func CheckTraced(listed []string, traced map[string][]string) []string {
	var out []string
	for _, id := range listed {
		if len(traced[id]) == 0 {
			out = append(out, id+": was named by a test and is no longer")
		}
	}
	for id, places := range traced {
		if !slices.Contains(listed, id) {
			out = append(out, fmt.Sprintf("%s: is new, in %s: add it with -update", id, places[0]))
		}
	}
	slices.Sort(out)
	return out
}
