package jose

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// maxKeys bounds the work of importing a set (R-JK-04). Entra ID advises to have room for
// a thousand.
const maxKeys = 1000

var (
	errExcess        = unusable("more keys of its algorithm have the kid than may be tried for one token; give each key a kid of its own")
	errExcessUnnamed = unusable("more keys of its algorithm have no kid than may be tried for one token; give each key a kid")
)

// Set holds the usable keys of one JWK Set (RFC 7517 §5). It is immutable. Two
// issuers never share a Set, because a kid has a meaning only within its issuer. A
// nil Set has no keys.
type Set struct {
	keys    []*Key // in the order of the document
	tried   []*Key // the keys that Find can return
	ignored []IgnoredKey
	excess  []IgnoredKey       // the keys that are not in tried
	byID    map[string][]group // empty for a kid whose keys were all left out by Without
	unnamed [algorithms]group  // the keys without kid
	noKid   [algorithms]group  // the keys to try for a token without kid
}

// IgnoredKey describes a key of a document that is not used.
type IgnoredKey struct {
	Index          int    // position in the document's keys, from 0
	KeyID          string // its kid, if it could be read
	Private        bool   // the document publishes private or symmetric key material
	OtherUse       bool   // its use or key_ops says that it verifies nothing
	OtherAlgorithm bool   // the document lists the same key for another algorithm, for which it is used
	OtherIssuer    bool   // it belongs to another issuer; see [KeyRules]
	Reason         error  // wraps ErrUnusableKey, without key material
}

// Expected reports whether k is left out without a fault of the document: the key is for
// another use, another algorithm or another issuer.
func (k IgnoredKey) Expected() bool { return k.OtherUse || k.OtherAlgorithm || k.OtherIssuer }

// ignoredKey returns the IgnoredKey of an element of a document.
func ignoredKey(index int, k *jwk, reason error) IgnoredKey {
	_, algorithm := errors.AsType[*otherAlgorithm](reason)
	_, issuer := errors.AsType[*otherIssuer](reason)
	return IgnoredKey{
		Index: index, KeyID: strings.Clone(k.id), Private: k.private, OtherUse: errors.Is(reason, errUse) || errors.Is(reason, errKeyOps),
		OtherAlgorithm: algorithm, OtherIssuer: issuer, Reason: reason,
	}
}

// KeyRules say which keys of a document are used.
type KeyRules struct {
	// Algorithms is the list that the issuer's configuration allows, in order of
	// preference; see [ParseSet].
	Algorithms []Algorithm
	// Issuers are the values that the member issuer of a key may have, byte for byte. A
	// key without the member is used. nil means that the member is not looked at.
	Issuers []string
	Limits  Limits // of what a signature check may cost
}

// ParseSet reads a JWK Set document (RFC 7517 §5). algorithms is the list that the
// issuer's configuration allows. RSA keys without alg are bound to the first RSA
// algorithm in it. A key that the document lists for several algorithms is bound to the
// first of them in the list. Other keys are used whether or not the list has their
// algorithm, except the costly ones.
//
// A key that cannot be used is left out and listed by [Set.Ignored]; the others
// are used. The error is [ErrNotJWKS] if the document is not a JWK Set or has more
// than 1 000 keys. A set without usable keys is not an error.
//
// Costly keys are left out. These are RSA keys over 4096 bits or with an exponent
// over 65537, unless [Limits] allow them, and keys on P-384 and P-521, if
// algorithms is not empty and lacks ES384 or ES512.
func ParseSet(document []byte, algorithms []Algorithm) (*Set, error) {
	return KeyRules{Algorithms: algorithms}.ParseSet(document)
}

// ParseSet returns what the function [ParseSet] returns, with the rules r.
func (r KeyRules) ParseSet(document []byte) (*Set, error) {
	keys, err := keysOf(string(document))
	if err != nil {
		return nil, err
	}
	r.Limits = r.Limits.withDefaults()
	set := &Set{byID: make(map[string][]group)}
	if err := set.addAll(keys, r); err != nil {
		return nil, err
	}
	set.limitCost()
	return set, nil
}

// addAll imports the elements of keys. The limits of rules must have their defaults.
func (s *Set) addAll(keys strictjson.Value, rules KeyRules) error {
	bound := bindings{preferred: rules.Algorithms, listed: make(map[string][]Algorithm)}
	var offers []*offer
	index := 0
	for v := range keys.Elements() {
		if index == maxKeys {
			return notJWKS(fmt.Sprintf("more than %d keys", maxKeys), "let the issuer withdraw keys that sign no more tokens", len(keys.Raw()))
		}
		k, err := parseJWK(v.Raw())
		var o *offer
		if err == nil {
			o, err = k.offer(rules)
		}
		if err != nil {
			s.ignored = append(s.ignored, ignoredKey(index, &k, err))
		} else {
			o.index = index
			bound.add(o)
			offers = append(offers, o)
		}
		index++
	}
	for _, o := range offers {
		key, err := bound.bind(o)
		if err != nil {
			s.ignored = append(s.ignored, ignoredKey(o.index, &jwk{id: o.id}, err))
			continue
		}
		s.add(key)
	}
	return nil
}

// add adds key to all indexes of s.
func (s *Set) add(key *Key) {
	s.keys = append(s.keys, key)
	s.noKid[key.algorithm].add(key)
	if !key.hasID {
		s.unnamed[key.algorithm].add(key)
		return
	}
	groups := s.byID[key.id]
	i := slices.IndexFunc(groups, func(g group) bool { return g.algorithm == key.algorithm })
	if i < 0 {
		s.byID[key.id] = append(groups, group{key.algorithm, []*Key{key}})
		return
	}
	groups[i].add(key)
}

// noKeys is read in place of a nil Set.
var noKeys Set

func (s *Set) read() *Set {
	if s == nil {
		return &noKeys
	}
	return s
}

// limitCost limits each group to the keys that may be tried for one token. It is
// called after all keys were added.
//
// For a token without kid, all keys of its algorithm are tried if all of them may be,
// and otherwise those without kid: which keys are tried must not depend on the order
// of the document.
func (s *Set) limitCost() {
	for _, groups := range s.byID {
		for i := range groups {
			groups[i].limitCost()
		}
	}
	for a := range s.noKid {
		s.unnamed[a].limitCost()
		all := len(s.noKid[a].keys)
		if s.noKid[a].limitCost(); len(s.noKid[a].keys) < all {
			s.noKid[a] = s.unnamed[a]
		}
	}
	for _, key := range s.keys {
		candidates, reason := s.unnamed[key.algorithm].keys, errExcessUnnamed
		if key.hasID {
			candidates, reason = s.candidates(key.id, key.algorithm), errExcess
		}
		if slices.ContainsFunc(candidates, key.same) {
			s.tried = append(s.tried, key)
		} else {
			s.excess = append(s.excess, IgnoredKey{Index: key.index, KeyID: key.id, Reason: reason})
		}
	}
}

// candidates returns the keys of one kid and one algorithm.
func (s *Set) candidates(id string, algorithm Algorithm) []*Key {
	groups := s.byID[id]
	for i := range groups {
		if groups[i].algorithm == algorithm {
			return groups[i].keys
		}
	}
	return nil
}

// Keys returns the keys that are used, in the order of the document.
func (s *Set) Keys() []*Key { return append([]*Key(nil), s.read().tried...) }

// Ignored returns the keys of the document that are not used, in its order.
func (s *Set) Ignored() []IgnoredKey {
	s = s.read()
	all := slices.Concat(s.ignored, s.excess)
	slices.SortFunc(all, func(a, b IgnoredKey) int { return cmp.Compare(a.Index, b.Index) })
	return all
}

// Len returns the number of usable keys.
func (s *Set) Len() int { return len(s.read().keys) }

// MightGain reports whether a newer version of the set could have a key for a
// token with header h: h has a kid of a valid length, and no key of the set has
// it. Sources that can fetch use it.
func (s *Set) MightGain(h Header) bool {
	_, known := s.read().byID[h.keyID]
	return h.hasKeyID && len(h.keyID) <= maxKeyID && !known
}

// Without returns a copy of s without the keys for which drop returns true. Find
// finds nothing for their kids, and [Set.MightGain] is false for them.
func (s *Set) Without(drop func(*Key) bool) *Set {
	s = s.read()
	rest := &Set{ignored: s.ignored, byID: make(map[string][]group, len(s.byID))}
	for id := range s.byID {
		rest.byID[id] = nil
	}
	for _, key := range s.keys {
		if !drop(key) {
			rest.add(key)
		}
	}
	rest.limitCost()
	return rest
}

// Find returns the keys to try for a token with header h: at least one, or an
// error. The caller must not modify the slice. The keys are of h's algorithm, cheapest
// first: at most four, of the cost of four checks under ES256 in total.
//
// If h has a kid, Find returns the keys of exactly that kid. The error is [ErrAlgorithm]
// if the keys of the kid have other algorithms. A kid that is empty and that no key has
// is for the keys without kid.
//
// If h has no kid, Find returns all keys of the algorithm, if they are within the
// bounds, and otherwise those without kid. The error is [ErrUnknownKey] if there are
// none.
func (s *Set) Find(h Header) ([]*Key, error) {
	s = s.read()
	if !h.algorithm.Valid() {
		return nil, h.unsupported()
	}
	if !h.hasKeyID {
		return s.orUnknown(s.noKid[h.algorithm].keys, h)
	}
	if keys := s.candidates(h.keyID, h.algorithm); keys != nil {
		return keys, nil
	}
	groups, known := s.byID[h.keyID]
	switch {
	case len(groups) > 0:
		return nil, s.otherAlgorithm(h)
	case h.keyID == "" && !known:
		return s.orUnknown(s.unnamed[h.algorithm].keys, h)
	default:
		return nil, s.unknownKey(h)
	}
}

// orUnknown returns keys, or the error of Find if there are none.
func (s *Set) orUnknown(keys []*Key, h Header) ([]*Key, error) {
	if len(keys) == 0 {
		return nil, s.unknownKey(h)
	}
	return keys, nil
}
