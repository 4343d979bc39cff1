package jose

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

const (
	// maxKeys bounds the work of importing a set (R-JK-04).
	maxKeys = 100
	// maxCandidates bounds the signature checks for one token (R-JK-15), as
	// does maxCost.
	maxCandidates = 4
	// maxKeyID is the longest kid that can match, in bytes (R-JS-17).
	maxKeyID = 256
)

// Set is the usable keys of one JWK Set (RFC 7517 §5). It is immutable. Two
// issuers never share a Set: a kid means something only within its issuer. A nil
// Set has no keys.
type Set struct {
	keys    []*Key // in the order of the document
	tried   []*Key // those of them that are candidates for some token
	ignored []IgnoredKey
	excess  []IgnoredKey       // the keys that are not in tried
	byID    map[string][]group // none of a kid whose keys were all left out by Without
	byAlg   [algorithms][]*Key
}

// group is the candidates of one kid and one algorithm, cheapest first: at most
// maxCandidates, which cost maxCost together.
type group struct {
	algorithm Algorithm
	keys      []*Key
}

// IgnoredKey tells why one key of a document is not used.
type IgnoredKey struct {
	Index    int    // position in the document's keys, from 0
	KeyID    string // its kid, if it could be read
	Private  bool   // the document publishes private or symmetric key material
	OtherUse bool   // its use or key_ops says that it verifies nothing
	Reason   error  // wraps ErrUnusableKey; holds no key material
}

// ParseSet reads a JWK Set document (RFC 7517 §5). algorithms is the list that
// the issuer's configuration allows: its first RSA algorithm is the one that
// RSA keys without alg are bound to. Which other keys are used does not depend
// on it, but for those named below.
//
// A key that cannot be used is left out and told by [Set.Ignored]; it never
// costs the others. The error, [ErrNotJWKS], is for a document that is no set
// at all or has more than 100 keys. A set without usable keys is no error.
//
// Keys under which a signature check costs more than four checks under ES256 are
// such keys: RSA over 4096 bits or with an exponent over 65537, for which see
// [ParseSetWithin], and P-384 and P-521 where algorithms is a list without ES384
// or ES512.
func ParseSet(document []byte, algorithms []Algorithm) (*Set, error) {
	return ParseSetWithin(document, algorithms, Limits{})
}

// ParseSetWithin is [ParseSet] with other limits than the default ones.
func ParseSetWithin(document []byte, algorithms []Algorithm, limits Limits) (*Set, error) {
	members, err := strictjson.ParseShallow(string(document))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotJWKS, err)
	}
	set := &Set{byID: make(map[string][]group)}
	for _, m := range members {
		if m.Name != "keys" {
			continue
		}
		if m.Value.Kind() != strictjson.Array {
			return nil, fmt.Errorf("%w: the member keys is not an array", ErrNotJWKS)
		}
		if err := set.addAll(m.Value, algorithms, limits.withDefaults()); err != nil {
			return nil, err
		}
		set.limitCost()
		return set, nil
	}
	return nil, fmt.Errorf("%w: the object has no member keys", ErrNotJWKS)
}

func (s *Set) addAll(keys strictjson.Value, algorithms []Algorithm, limits Limits) error {
	bound := make(map[string]Algorithm)
	index := 0
	for v := range keys.Elements() {
		if index == maxKeys {
			return fmt.Errorf("%w: more than %d keys", ErrNotJWKS, maxKeys)
		}
		jwk, err := parseJWK(v.Raw())
		var key *Key
		if err == nil {
			key, err = jwk.key(algorithms, limits)
		}
		if err == nil {
			err = bindOnce(bound, key)
		}
		if err != nil {
			s.ignored = append(s.ignored, IgnoredKey{
				Index: index, KeyID: strings.Clone(jwk.id), Private: jwk.private, OtherUse: errors.Is(err, errUse) || errors.Is(err, errKeyOps), Reason: err,
			})
		} else {
			key.index = index
			s.add(key)
		}
		index++
	}
	return nil
}

var errBoundTwice = unusable("the same key stands in the set under another algorithm, and one key verifies one algorithm only (RFC 8725 §3.1)")

// bindOnce holds key material that is listed twice to the algorithm of its
// first entry.
func bindOnce(bound map[string]Algorithm, key *Key) error {
	if first, listed := bound[key.thumbprint]; listed && first != key.algorithm {
		return errBoundTwice
	}
	bound[key.thumbprint] = key.algorithm
	return nil
}

func (s *Set) add(key *Key) {
	s.keys = append(s.keys, key)
	s.byAlg[key.algorithm] = append(s.byAlg[key.algorithm], key)
	if !key.hasID {
		return
	}
	groups := s.byID[key.id]
	i := slices.IndexFunc(groups, func(g group) bool { return g.algorithm == key.algorithm })
	switch {
	case i < 0:
		s.byID[key.id] = append(groups, group{key.algorithm, []*Key{key}})
	case !slices.ContainsFunc(groups[i].keys, key.same):
		groups[i].keys = append(groups[i].keys, key)
	}
}

// noKeys is what a nil Set reads as.
var noKeys Set

func (s *Set) read() *Set {
	if s == nil {
		return &noKeys
	}
	return s
}

// same reports whether k and other have the same key material.
func (k *Key) same(other *Key) bool { return k.thumbprint == other.thumbprint }

// limitCost takes out the candidates that one token must not cost, after all
// keys were added.
func (s *Set) limitCost() {
	for _, groups := range s.byID {
		for i := range groups {
			groups[i].limitCost()
		}
	}
	for _, key := range s.keys {
		if !key.hasID || slices.ContainsFunc(s.candidates(key.id, key.algorithm), key.same) {
			s.tried = append(s.tried, key)
		} else {
			s.excess = append(s.excess, IgnoredKey{Index: key.index, KeyID: key.id, Reason: errExcess})
		}
	}
}

// candidates are the keys of one kid and one algorithm.
func (s *Set) candidates(id string, algorithm Algorithm) []*Key {
	groups := s.byID[id]
	for i := range groups {
		if groups[i].algorithm == algorithm {
			return groups[i].keys
		}
	}
	return nil
}

// Keys are the keys that are used, in the order of the document.
func (s *Set) Keys() []*Key { return append([]*Key(nil), s.read().tried...) }

// Ignored tells which keys of the document are not used, and why, in the order of
// the document.
func (s *Set) Ignored() []IgnoredKey {
	s = s.read()
	all := slices.Concat(s.ignored, s.excess)
	slices.SortFunc(all, func(a, b IgnoredKey) int { return cmp.Compare(a.Index, b.Index) })
	return all
}

// Len returns how many keys are usable.
func (s *Set) Len() int { return len(s.read().keys) }

// MightGain reports whether a newer version of the set could have a key for a
// token with header h: whether h has a kid that can be looked up and that no
// key of the set has. For a source that can fetch.
func (s *Set) MightGain(h Header) bool {
	_, known := s.read().byID[h.keyID]
	return h.hasKeyID && len(h.keyID) <= maxKeyID && !known
}

// Without returns the set less the keys that drop names. Their kids stay known,
// so that [Set.MightGain] does not hope for them, and find nothing.
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

// Find returns the keys to try for a token with header h, never none without
// an error. With a kid: the keys of exactly that kid and of h's algorithm, the
// cheapest first, at most four and no more than cost four checks under ES256;
// [ErrAlgorithm] if the kid's keys have other algorithms. Without:
// the one key of h's algorithm, if there is exactly one (OpenID Connect Core
// §10.1). Otherwise [ErrUnknownKey]; a key with another kid is never offered. The
// slice is not to be modified.
func (s *Set) Find(h Header) ([]*Key, error) {
	s = s.read()
	if !h.algorithm.Valid() {
		return nil, ErrAlgorithm
	}
	if !h.hasKeyID {
		if same := s.byAlg[h.algorithm]; len(same) == 1 {
			return same, nil
		}
		return nil, ErrUnknownKey
	}
	if keys := s.candidates(h.keyID, h.algorithm); keys != nil {
		return keys, nil
	}
	if len(s.byID[h.keyID]) > 0 {
		return nil, ErrAlgorithm
	}
	return nil, ErrUnknownKey
}
