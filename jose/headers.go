package jose

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// Headers remembers headers as they were parsed. The tokens that a key signs
// have one or a few, so that most need not be decoded again. What it gives back
// is what parsing gives, whoever signed the token: it says nothing about issuers,
// keys and signatures. It is made by [NewHeaders] and safe for concurrent use.
// The zero Headers remembers nothing.
type Headers struct {
	seed  maphash.Seed
	slots [headerSlots]atomic.Pointer[knownHeader]
}

// Bounds of what is remembered.
const (
	headerSlots    = 256
	maxKnownHeader = 512 // bytes of a segment
)

type knownHeader struct {
	segment string
	header  Header
}

// NewHeaders makes one that knows nothing, and will take 300 KB at most.
func NewHeaders() *Headers { return &Headers{seed: maphash.MakeSeed()} }

// usable reports whether h was made by NewHeaders.
func (h *Headers) usable() bool { return h != nil && h.seed != maphash.Seed{} }

func (h *Headers) slot(segment string) *atomic.Pointer[knownHeader] {
	return &h.slots[maphash.String(h.seed, segment)%headerSlots]
}

// find answers what segment was parsed to. It is the whole segment that is
// compared.
func (h *Headers) find(segment string) (Header, bool) {
	if !h.usable() || len(segment) > maxKnownHeader {
		return Header{}, false
	}
	if k := h.slot(segment).Load(); k != nil && k.segment == segment {
		return k.header, true
	}
	return Header{}, false
}

// Remember keeps the header of u, perhaps instead of another. It is for tokens
// that were accepted whole, so that nobody else can fill the memory: the caller
// sees to that. Headers without kid, and those that repeat claims, are not kept.
func (h *Headers) Remember(u *Unverified) {
	if !h.usable() || u == nil {
		return
	}
	p := u.read()
	if p.known || len(p.protected) > maxKnownHeader {
		return
	}
	if p.header.issuer != "" || p.header.subject != "" || p.header.audience != "" || !p.header.hasKeyID {
		return
	}
	// Read anew, since what was read aliases the token's claims.
	decoded, err := appendDecoded(nil, p.protected)
	if err != nil {
		return
	}
	header, err := parseHeader(string(decoded))
	if err != nil {
		return
	}
	h.slot(p.protected).Store(&knownHeader{strings.Clone(p.protected), header})
}
