package scopes

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// Drift returns nil if committed, a document of [Contract.JSON], says the same as c.
// Otherwise the error names each route that was added, removed or changed. A test
// can fail with it.
func (c Contract) Drift(committed []byte) error {
	var before Contract
	if err := strictjson.UnmarshalKnown(string(committed), &before); err != nil {
		return fmt.Errorf("scopes: the committed contract cannot be read: %w; commit a document of Contract.JSON", err)
	}
	lines := routeChanges(before.Routes, c.Routes)
	if !slices.Equal(before.Audiences, c.Audiences) {
		lines = append(lines, fmt.Sprintf("~ audiences: %q, committed is %q", c.Audiences, before.Audiences))
	}
	if len(lines) == 0 {
		return nil
	}
	return errors.New("scopes: the routes differ from the committed contract; if they are right, commit a new one:\n  " +
		strings.Join(lines, "\n  "))
}

func routeChanges(before, after []RouteContract) []string {
	var lines []string
	unseen := slices.Clone(before)
	for i := range after {
		now := &after[i]
		at := slices.IndexFunc(unseen, func(old RouteContract) bool { return old.Route == now.Route })
		if at < 0 {
			lines = append(lines, fmt.Sprintf("+ %s: %s", now.Route, now.Policy))
			continue
		}
		if is, was := now.line(), unseen[at].line(); is != was {
			lines = append(lines, fmt.Sprintf("~ %s: %s\n      committed is %s", now.Route, is, was))
		}
		unseen = slices.Delete(unseen, at, at+1)
	}
	for i := range unseen {
		lines = append(lines, fmt.Sprintf("- %s: %s", unseen[i].Route, unseen[i].Policy))
	}
	return lines
}

// line returns the route's contract in one line.
func (c *RouteContract) line() string {
	text, err := strictjson.Marshal(c)
	if err != nil { // a text is not UTF-8, so no committed line is equal
		return err.Error()
	}
	return text
}
