package middleware

import (
	"net/http"
	"slices"
	"strings"
)

// screenedHeader returns a copy of the header of r without the fields that handlers
// do not get, or nil if r has no such field.
func (g *Guard) screenedHeader(r *http.Request) http.Header {
	var header http.Header
	trusted := g.trustsPeer(r)
	for name := range r.Header {
		if g.passes(name, trusted) {
			continue
		}
		if header == nil {
			header = r.Header.Clone()
		}
		delete(header, name)
	}
	return header
}

// passes reports whether handlers get a field with this name. A field from a trusted
// proxy passes in the spelling that proxies use. Another spelling of the same field
// came from a client.
func (g *Guard) passes(name string, trusted bool) bool {
	f := fieldsByName.find(name)
	switch {
	case f == nil:
		return true
	case slices.ContainsFunc(g.kept, func(kept string) bool { return strings.EqualFold(kept, name) }):
		return true
	default:
		return trusted && f.kind != overrideField && f.spells(name)
	}
}
