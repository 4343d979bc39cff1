package middleware

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// pattern is a parsed pattern of [http.ServeMux].
type pattern struct {
	text     string // as it was registered
	method   string // "": any
	host     string // "": any
	segments []segment
}

// segment is a part of a pattern's path, from one slash to the next.
type segment struct {
	literal string // without escapes; "/" for a slash that ends the path, as of {$}; "" for a wildcard
	rest    bool   // all that follows: {name...}, or a slash at the end of the pattern
}

// parsePattern parses text. It does not report faults; ServeMux does.
func parsePattern(text string) *pattern {
	p := &pattern{text: text}
	target := text
	if i := strings.IndexAny(text, " \t"); i >= 0 {
		p.method, target = text[:i], strings.TrimLeft(text[i:], " \t")
	}
	host, path, _ := strings.Cut(target, "/")
	p.host = host
	for part := range strings.SplitSeq(path, "/") {
		p.segments = append(p.segments, parseSegment(part))
	}
	return p
}

func parseSegment(text string) segment {
	switch {
	case text == "" || strings.HasSuffix(text, "...}"):
		return segment{rest: true}
	case text == "{$}":
		return segment{literal: "/"}
	case strings.HasPrefix(text, "{"):
		return segment{}
	default:
		return segment{literal: unescaped(text)}
	}
}

// unescaped returns the text of a segment as ServeMux compares it.
func unescaped(segment string) string {
	if text, err := url.PathUnescape(segment); err == nil {
		return text
	}
	return segment
}

// isWild reports whether s matches every segment, but not the slash that ends a
// path.
func (s segment) isWild() bool { return s.literal == "" && !s.rest }

// takes reports whether s matches every path segment that other matches. Neither
// may be a rest.
func (s segment) takes(other segment) bool {
	return s.literal == other.literal || s.isWild() && other.literal != "/"
}

// isTree reports whether p matches a whole subtree of paths.
func (p *pattern) isTree() bool { return p.last().rest }

func (p *pattern) last() segment { return p.segments[len(p.segments)-1] }

// covers reports whether p matches every path that other matches, on every host
// that it matches it on.
func (p *pattern) covers(other *pattern) bool {
	if p.host != "" && p.host != other.host {
		return false
	}
	for i, s := range p.segments {
		switch {
		case i == len(other.segments):
			return false
		case s.rest:
			return true
		case other.segments[i].rest || !s.takes(other.segments[i]):
			return false
		}
	}
	return len(p.segments) == len(other.segments)
}

// meets reports whether there is a path that both match, on a host that both
// match.
func (p *pattern) meets(other *pattern) bool {
	if p.host != "" && other.host != "" && p.host != other.host {
		return false
	}
	for i, s := range p.segments {
		if i == len(other.segments) {
			return false
		}
		o := other.segments[i]
		if s.rest || o.rest {
			return true
		}
		if !s.takes(o) && !o.takes(s) {
			return false
		}
	}
	return len(p.segments) == len(other.segments)
}

// within returns the pattern of the paths and hosts that both p, which has no
// rest, and other, which p meets, match.
func (p *pattern) within(other *pattern) *pattern {
	both := p.withSegments(slices.Clone(p.segments))
	for i, s := range other.segments {
		if s.rest {
			break
		}
		if both.segments[i].isWild() {
			both.segments[i] = s
		}
	}
	if both.host == "" {
		both.host = other.host
	}
	return both
}

// conflictOf reports whether ServeMux refuses p beside other, which it took, and
// how it explains that.
func conflictOf(p, other *pattern) (why string, conflicts bool) {
	both := http.NewServeMux()
	both.Handle(other.text, http.NotFoundHandler())
	defer func() {
		if cause := recover(); cause != nil {
			_, why, conflicts = strings.Cut(fmt.Sprint(cause), ":\n") // in front of it are the patterns, with lines of this file
			why = strings.Join(strings.Fields(why), " ")
		}
	}()
	both.Handle(p.text, http.NotFoundHandler())
	return "", false
}

// goesFirst reports whether ServeMux tries p before other because p has a host.
func (p *pattern) goesFirst(other *pattern) bool { return p.host != "" && other.host == "" }

// serves reports whether p is for requests with method.
func (p *pattern) serves(method string) bool {
	return p.method == "" || p.method == method || p.method == http.MethodGet && method == http.MethodHead
}

// withSlash returns p with a slash after its path, or nil if the path ends with a
// slash or p matches a subtree.
func (p *pattern) withSlash() *pattern {
	if p.isTree() || p.last().literal == "/" {
		return nil
	}
	return p.withSegments(append(slices.Clone(p.segments), segment{literal: "/"}))
}

// withoutSlash returns p for the path without its last slash, if ServeMux would
// redirect that path to p, and nil otherwise.
func (p *pattern) withoutSlash() *pattern {
	if len(p.segments) == 1 || !p.isTree() && p.last().literal != "/" {
		return nil
	}
	return p.withSegments(p.segments[:len(p.segments)-1])
}

func (p *pattern) withSegments(segments []segment) *pattern {
	changed := *p
	changed.segments = segments
	return &changed
}
