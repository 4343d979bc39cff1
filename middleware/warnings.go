package middleware

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Warnings returns texts about routes that may not do what was intended, for logs at
// start-up:
//
//   - a route that refuses every token because of the audience, the sender
//     constraint, the acr value or the answer of an issuer that it demands
//     ([validator.Validator.CanMeet], [validator.Validator.CanMeetACR])
//   - an open subtree or wildcard (see [Mux]) that serves the path of a guarded
//     pattern with another trailing slash, which a handler may take for the same path
//   - an open pattern for all methods of a path that is guarded under some methods
func (m *Mux) Warnings() []string {
	all := m.listed()
	var warnings []string
	for _, e := range all {
		if err := m.guard.canMeet(e.handler.route.policy); err != nil {
			warnings = append(warnings, fmt.Sprintf("pattern %q: %v", e.pattern.text, err))
		}
	}
	for _, open := range all {
		if !open.isOpen() {
			continue
		}
		for _, o := range openings {
			var paths []string
			for _, guarded := range all {
				if !guarded.isOpen() && o.serves(open, guarded, all) {
					paths = append(paths, strconv.Quote(guarded.pattern.text))
				}
			}
			if len(paths) > 0 {
				warnings = append(warnings, fmt.Sprintf("pattern %q is %s and serves the path of %s %s", open.pattern.text, kindOf(open), firstOf(paths), o.advice))
			}
		}
	}
	return warnings
}

// kindOf returns how e is open, for a text.
func kindOf(e *entry) string {
	if e.handler.route.policy.IsOptional() {
		return "optional"
	}
	return "public"
}

// openings are the ways in which an open pattern can serve more than was intended.
var openings = []struct {
	serves func(open, guarded *entry, all []*entry) bool
	advice string
}{
	{servesWithSlash, "with a slash more; guard that path as well if the handler takes it for the same"},
	{servesWithoutSlash, "without the slash at its end; guard that path as well if the handler takes it for the same"},
	{servesOtherMethods, "under all other methods; name the methods that need no token"},
}

// firstOf lists the first ten texts and the number of the others.
func firstOf(texts []string) string {
	const most = 10
	if more := len(texts) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(texts[:most], ", "), more)
	}
	return strings.Join(texts, ", ")
}

// servesWithSlash reports whether a request for the path of guarded with a slash
// after it, and with a method of guarded, can reach open.
func servesWithSlash(open, guarded *entry, all []*entry) bool {
	return servesSpelling(open, guarded, guarded.pattern.withSlash(), all)
}

// servesWithoutSlash reports whether a request for the path of guarded without
// the slash at its end, and with a method of guarded, can reach open.
func servesWithoutSlash(open, guarded *entry, all []*entry) bool {
	return servesSpelling(open, guarded, guarded.pattern.withoutSlash(), all)
}

// servesSpelling reports whether a request for a path of spelling, with a method of
// guarded, can reach open. It returns false if spelling is nil, and if open is
// not broader than spelling, because open then names that path itself.
func servesSpelling(open, guarded *entry, spelling *pattern, all []*entry) bool {
	p := open.pattern
	if spelling == nil || !spelling.meets(p) || spelling.covers(p) || !haveMethodInCommon(p, guarded.pattern) {
		return false
	}
	both := spelling.within(p)
	return !slices.ContainsFunc(all, func(other *entry) bool {
		return !other.isOpen() && takesAway(other.pattern, p, both)
	})
}

// takesAway reports whether g, a guarded pattern, serves the requests for paths
// instead of the open pattern p, or p does not serve them because of g.
func takesAway(g, p, paths *pattern) bool {
	if g.covers(p) || p.goesFirst(g) {
		return false
	}
	short := g.withoutSlash() // ServeMux redirects it if nothing but a subtree matches
	return g.covers(paths) || p.isTree() && short != nil && short.covers(paths)
}

func haveMethodInCommon(p, g *pattern) bool {
	return p.method == "" || g.serves(p.method) || p.serves(g.method)
}

// servesOtherMethods reports whether open serves the paths of guarded under all
// methods that guarded does not name.
func servesOtherMethods(open, guarded *entry, _ []*entry) bool {
	p, g := open.pattern, guarded.pattern
	return p.method == "" && g.method != "" && p.covers(g) && g.covers(p)
}
