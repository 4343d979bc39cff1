package middleware

import "strings"

// patternTree finds patterns by the path of a request, in a time that does not
// grow with their number.
type patternTree struct {
	literals map[string]*patternTree // by the next segment of the path
	wild     *patternTree            // for any next segment
	ends     []*pattern              // patterns that end here
	rests    []*pattern              // patterns that match all that follows
}

func newPatternTree(patterns []*pattern) *patternTree {
	t := new(patternTree)
	for _, p := range patterns {
		t.add(p, p.segments)
	}
	return t
}

func (t *patternTree) add(p *pattern, segments []segment) {
	switch {
	case len(segments) == 0:
		t.ends = append(t.ends, p)
	case segments[0].rest:
		t.rests = append(t.rests, p)
	case segments[0].isWild():
		if t.wild == nil {
			t.wild = new(patternTree)
		}
		t.wild.add(p, segments[1:])
	default:
		next := t.literals[segments[0].literal]
		if next == nil {
			next = new(patternTree)
			if t.literals == nil {
				t.literals = make(map[string]*patternTree)
			}
			t.literals[segments[0].literal] = next
		}
		next.add(p, segments[1:])
	}
}

// hasOther reports whether a pattern for another method than method matches path on
// host. path is escaped and not ambiguous ([ambiguousPath]); host has no port.
func (t *patternTree) hasOther(method, host, path string) bool {
	if t == nil {
		return false
	}
	if path == "" {
		return hasOther(t.ends, method, host)
	}
	if hasOther(t.rests, method, host) {
		return true
	}
	if path == "/" {
		return t.literals["/"].hasOther(method, host, "")
	}
	end := strings.IndexByte(path[1:], '/') + 1
	if end == 0 {
		end = len(path)
	}
	return t.literals[unescaped(path[1:end])].hasOther(method, host, path[end:]) || t.wild.hasOther(method, host, path[end:])
}

func hasOther(patterns []*pattern, method, host string) bool {
	for _, p := range patterns {
		if (p.host == "" || p.host == host) && !p.serves(method) {
			return true
		}
	}
	return false
}
