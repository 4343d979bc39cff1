package middleware

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sallyport-auth/sallyport/scopes"
)

// Warnings tells what of the routes works and deserves a second look, for
// start-up logs: routes that refuse every token because of the audience, the
// sender constraint or the acr value that they demand
// ([validator.Validator.CanMeet], [validator.Validator.CanMeetACR]), and public
// patterns that serve more than they may be meant to. Those are a public subtree
// or wildcard that serves the path of a guarded pattern with a slash more, or
// without the slash at its end, which a handler may take for the same, and a
// public pattern for all methods of a path that is guarded under some of them.
func (m *Mux) Warnings() []string {
	all := m.listed()
	var told []string
	for _, e := range all {
		if err := m.guard.canMeet(e.door.policy); err != nil {
			told = append(told, fmt.Sprintf("pattern %q: %v", e.pattern.text, err))
		}
	}
	for _, public := range all {
		if !public.isPublic() {
			continue
		}
		for _, o := range openings {
			var open []string
			for _, guarded := range all {
				if !guarded.isPublic() && o.serves(public, guarded, all) {
					open = append(open, strconv.Quote(guarded.pattern.text))
				}
			}
			if len(open) > 0 {
				told = append(told, fmt.Sprintf("pattern %q is public and serves the path of %s %s", public.pattern.text, firstOf(open), o.advice))
			}
		}
	}
	return told
}

// openings are the ways in which a public pattern serves more than it may be
// meant to.
var openings = []struct {
	serves func(public, guarded *entry, all []*entry) bool
	advice string
}{
	{servesWithSlash, "with a slash more; guard that path as well if the handler takes it for the same"},
	{servesWithoutSlash, "without the slash at its end; guard that path as well if the handler takes it for the same"},
	{servesOtherMethods, "under all other methods; name the methods that are public"},
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
// more, and with a method of guarded, can reach public.
func servesWithSlash(public, guarded *entry, all []*entry) bool {
	return servesSpelling(public, guarded, guarded.pattern.withSlash(), all)
}

// servesWithoutSlash reports whether a request for the path of guarded without
// the slash at its end, and with a method of guarded, can reach public.
func servesWithoutSlash(public, guarded *entry, all []*entry) bool {
	return servesSpelling(public, guarded, guarded.pattern.withoutSlash(), all)
}

// servesSpelling reports whether a request for a path of spelling, which may be
// nil, with a method of guarded can reach public, and public is broader than
// spelling: otherwise it lists the path itself.
func servesSpelling(public, guarded *entry, spelling *pattern, all []*entry) bool {
	p := public.pattern
	if spelling == nil || !spelling.meets(p) || spelling.covers(p) || !haveMethodInCommon(p, guarded.pattern) {
		return false
	}
	both := spelling.within(p)
	return !slices.ContainsFunc(all, func(other *entry) bool {
		return !other.isPublic() && takesAway(other.pattern, p, both)
	})
}

// takesAway reports whether the guarded pattern g takes the requests for paths
// away from the public pattern p, or the guard answers them because of g.
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

// servesOtherMethods reports whether public lists the paths of guarded for all
// methods that guarded does not name.
func servesOtherMethods(public, guarded *entry, _ []*entry) bool {
	p, g := public.pattern, guarded.pattern
	return p.method == "" && g.method != "" && p.covers(g) && g.covers(p)
}

// Warnings tells which policies of [Guard.Require], [Guard.Optional],
// [Guard.Middleware] and [Guard.Compile] refuse every token because of the
// audience, the sender constraint or the acr value that they demand, for start-up
// logs: each once, and the first 100. Those of a [Mux] are told by
// [Mux.Warnings].
func (g *Guard) Warnings() []string {
	if g == nil {
		return nil
	}
	g.notes.mu.Lock()
	defer g.notes.mu.Unlock()
	return slices.Clone(g.notes.all)
}

// canMeet returns nil, or an error that says why no token of the configured
// issuers is permitted. It finds what the policy asks of validation, and the acr
// values that it asks for without an alternative.
func (g *Guard) canMeet(policy scopes.Policy) error {
	if err := g.validator.CanMeet(policy.Demands()); err != nil {
		return err //nolint:wrapcheck // it is of this module
	}
	required := scopes.NewContract([]scopes.Route{{Policy: policy}}).Routes[0].Requires
	return g.validator.CanMeetACR(required.ACRValues) //nolint:wrapcheck // as above
}

// maxNotes bounds what a program that compiles policies for each request keeps.
const maxNotes = 100

// notes are the Warnings of a Guard.
type notes struct {
	mu  sync.Mutex
	all []string
}

// note keeps what is to be told of a policy.
func (g *Guard) note(policy scopes.Policy) {
	err := g.canMeet(policy)
	if err == nil {
		return
	}
	text := fmt.Sprintf("policy %v: %v", policy, err)
	g.notes.mu.Lock()
	defer g.notes.mu.Unlock()
	if len(g.notes.all) < maxNotes && !slices.Contains(g.notes.all, text) {
		g.notes.all = append(g.notes.all, text)
	}
}
