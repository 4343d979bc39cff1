package jose

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// Headers is a cache of parsed headers. Tokens that one key signs have one header
// or a few, so most headers need not be decoded again. The result is the same as
// without the cache, whoever signed the token: it depends on no issuer, key or
// signature.
//
// The zero Headers is empty and ready to use. It grows to 300 KB at most, is safe
// for concurrent use, and must not be copied after its first use. A nil Headers
// parses and stores nothing.
type Headers struct {
	slots [headerSlots]atomic.Pointer[knownHeader]
}

// Bounds of Headers.
const (
	headerSlots    = 256
	maxKnownHeader = 512 // bytes of a segment
)

// knownHeader is a segment and the header that it was parsed to.
type knownHeader struct {
	segment string
	header  Header
}

// headerSeed is random in each process, so that nobody can choose headers that
// share a slot.
var headerSeed = maphash.MakeSeed()

// slot returns the only slot that may hold segment.
func (h *Headers) slot(segment string) *atomic.Pointer[knownHeader] {
	return &h.slots[maphash.String(headerSeed, segment)%headerSlots]
}

// find returns the header of segment, if it is stored. It compares the whole
// segment.
func (h *Headers) find(segment string) (Header, bool) {
	if h == nil {
		return Header{}, false
	}
	if k := h.slot(segment).Load(); k != nil && k.segment == segment {
		return k.header, true
	}
	return Header{}, false
}

// store keeps segment and its header, unless the header is of a kind that
// [Headers.Remember] leaves out.
func (h *Headers) store(segment string, header Header) {
	if h == nil || len(segment) > maxKnownHeader {
		return
	}
	if header.issuer != "" || header.subject != "" || header.audience != "" || !header.hasKeyID {
		return
	}
	// The segment is parsed again, because header aliases the token's claims.
	decoded, err := appendDecoded(nil, segment)
	if err != nil {
		return
	}
	own, err := parseHeader(string(decoded))
	if err != nil {
		return
	}
	h.slot(segment).Store(&knownHeader{strings.Clone(segment), own})
}
