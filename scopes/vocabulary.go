package scopes

import (
	"strings"

	"github.com/sallyport-auth/sallyport/validator"
)

// vocabulary has every scope that a policy looks for, so that one pass over a
// token's scopes answers for all lists of the policy. Each group of scopes, one
// of which a token must have, has a bit.
type vocabulary struct {
	words   []word // a hash table with open addressing; a power of two, and never full
	all     uint64 // the bits in use
	lengths uint64 // of the scopes, modulo 64: most scopes of a token are not looked up
	groups  map[string]uint64
	bits    map[string]uint64 // of each scope
}

// word is a scope with the groups that it is in.
type word struct {
	scope string
	bits  uint64
}

const maxGroups = 64

func newVocabulary() vocabulary {
	return vocabulary{groups: map[string]uint64{}, bits: map[string]uint64{}}
}

// learn gives the list the bits of its groups. If there are too many, the list
// stays without and asks for its scopes one by one.
func (v *vocabulary) learn(list *scopeList) *scopeList {
	known := *list
	known.complete()
	known.bits = 0
	for _, group := range known.groups {
		bit, ok := v.groups[strings.Join(group, " ")]
		if !ok {
			if len(v.groups) == maxGroups {
				known.bits = 0
				return &known
			}
			bit = 1 << len(v.groups)
			v.groups[strings.Join(group, " ")] = bit
		}
		known.bits |= bit
		for _, scope := range group {
			v.bits[scope] |= bit
		}
	}
	return &known
}

// close makes the table.
func (v *vocabulary) close() {
	size := 4
	for size < 2*len(v.bits) {
		size *= 2
	}
	v.words = make([]word, size)
	for scope, bits := range v.bits {
		v.all |= bits
		v.lengths |= 1 << (len(scope) % 64)
		*v.find(scope) = word{scope, bits}
	}
	v.groups, v.bits = nil, nil
}

// find is the place of scope, or the free one where it would be.
func (v *vocabulary) find(scope string) *word {
	last := len(scope) - 1
	at := uint(last)<<4 ^ uint(scope[0])*5 ^ uint(scope[last/2])*9 ^ uint(scope[last])
	for {
		w := &v.words[at&uint(len(v.words)-1)]
		if w.scope == scope || w.scope == "" {
			return w
		}
		at++
	}
}

// held are the groups that the token has a scope of.
func (v *vocabulary) held(token *validator.Token) uint64 {
	if v.all == 0 {
		return 0
	}
	held := uint64(0)
	for scope := range token.EachScope {
		if v.lengths>>(len(scope)%64)&1 == 0 {
			continue
		}
		held |= v.find(scope).bits
		if held == v.all {
			break
		}
	}
	return held
}
