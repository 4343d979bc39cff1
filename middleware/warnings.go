package middleware

import (
	"fmt"
	"slices"
	"sync"

	"github.com/sallyport-auth/sallyport/scopes"
)

// Warnings tells what of the routes works and deserves a second look, for
// start-up logs: routes whose policy no token of a configured issuer satisfies
// ([validator.Validator.CanMeet]), and public patterns that serve more than they
// may be meant to. Those are a public subtree that covers the path of a guarded
// pattern with a slash more, which a handler may take for the same, and a public
// pattern for all methods of a path that is guarded under some of them.
func (m *Mux) Warnings() []string {
	all := m.listed()
	var told []string
	for _, e := range all {
		if err := m.guard.validator.CanMeet(e.door.policy.Demands()); err != nil {
			told = append(told, fmt.Sprintf("pattern %q: %v", e.pattern.text, err))
		}
	}
	for _, public := range all {
		for _, guarded := range all {
			if !public.isPublic() || guarded.isPublic() {
				continue
			}
			if alsoServesSlash(public, guarded, all) {
				told = append(told, fmt.Sprintf("pattern %q is public and serves the path of %q with a slash more; "+
					"guard that path as well if the handler takes it for the same", public.pattern.text, guarded.pattern.text))
			}
			if servesOtherMethods(public.pattern, guarded.pattern) {
				told = append(told, fmt.Sprintf("pattern %q is public and serves the path of %q under all other methods; "+
					"name the methods that are public", public.pattern.text, guarded.pattern.text))
			}
		}
	}
	return told
}

// alsoServesSlash reports whether a request for the path of guarded with a slash
// more, and with a method of guarded, can reach public.
func alsoServesSlash(public, guarded *entry, all []*entry) bool {
	p, g := public.pattern, guarded.pattern
	spelling := g.withSlash()
	if spelling == nil || !p.isTree() || !spelling.meets(p) || !haveMethodInCommon(p, g) {
		return false
	}
	return !slices.ContainsFunc(all, func(other *entry) bool {
		// The guarded pattern takes the requests, or the guard answers them.
		return !other.isPublic() && other.pattern.covers(spelling) && p.covers(other.pattern) && !other.pattern.covers(p)
	})
}

func haveMethodInCommon(p, g *pattern) bool {
	return p.method == "" || g.serves(p.method) || p.serves(g.method)
}

// servesOtherMethods reports whether public lists the paths of guarded for all
// methods that guarded does not name.
func servesOtherMethods(public, guarded *pattern) bool {
	return public.method == "" && guarded.method != "" && public.covers(guarded) && guarded.covers(public)
}

// Warnings tells which policies of [Guard.Require], [Guard.Optional],
// [Guard.Middleware] and [Guard.Compile] no token of a configured issuer
// satisfies, for start-up logs: each once, and the first 100. Those of a [Mux]
// are told by [Mux.Warnings].
func (g *Guard) Warnings() []string {
	if g == nil {
		return nil
	}
	g.notes.mu.Lock()
	defer g.notes.mu.Unlock()
	return slices.Clone(g.notes.all)
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
	err := g.validator.CanMeet(policy.Demands())
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
