package scopes

import (
	"strings"

	"github.com/sallyport-auth/sallyport/validator"
)

// vocabulary holds every scope that a policy looks for, so that one pass over a
// token's scopes decides all lists of the policy. Each group of scopes of which a
// token must have one has a bit.
type vocabulary struct {
	words   []word            // a hash table with open addressing; its length is a power of two, and it is never full
	all     uint64            // the bits in use
	lengths uint64            // bit n is set if there is a scope whose length modulo 64 is n
	groups  map[string]uint64 // the bit of each group, until close
	bits    map[string]uint64 // the bits of each scope, until close
}

// word is a scope with the bits of the groups that it is in.
type word struct {
	scope string
	bits  uint64
}

const maxGroups = 64

func newVocabulary() vocabulary {
	return vocabulary{groups: map[string]uint64{}, bits: map[string]uint64{}}
}

// learn returns the list with the bits of its groups. If there are too many groups,
// the list gets no bits, and looks for its scopes one by one.
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

// close makes the table. The vocabulary learns nothing after that.
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

// find returns the place of scope, or the free place where it would be.
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

// held returns the bits of the groups that the token has a scope of.
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
