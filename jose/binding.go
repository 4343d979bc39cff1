package jose

import (
	"fmt"
	"slices"
)

// bindings decides to which algorithm each key of a document is bound. A key may be
// listed several times, under one kid or under several, with an algorithm each
// (docs/adr/0049).
type bindings struct {
	preferred []Algorithm            // the issuer's list
	listed    map[string][]Algorithm // by thumbprint: the algorithms that the document names, in its order
}

// add records the algorithm of o.
func (b *bindings) add(o *offer) {
	all := b.listed[o.material.thumbprint]
	if o.named && !slices.Contains(all, o.algorithm) {
		b.listed[o.material.thumbprint] = append(all, o.algorithm)
	}
}

// bind returns the Key of o. All keys of one material are bound to one algorithm
// (RFC 8725 §3.1): the first of the issuer's list that the document names for it, or the
// first that it names if the list has none of them. An entry that names another one is
// not used. An entry that names none gets that algorithm too.
func (b *bindings) bind(o *offer) (*Key, error) {
	listed := b.listed[o.material.thumbprint]
	if len(listed) == 0 {
		return o.bind(o.algorithm), nil
	}
	chosen := listed[0]
	for _, a := range b.preferred {
		if slices.Contains(listed, a) {
			chosen = a
			break
		}
	}
	if o.named && o.algorithm != chosen {
		return nil, &otherAlgorithm{o.algorithm, chosen, slices.Contains(b.preferred, chosen)}
	}
	key := o.bind(chosen)
	key.pinned = false
	if len(listed) > 1 {
		key.listed = listed
	}
	return key, nil
}

// otherAlgorithm is the reason for which an entry of a key that is listed for several
// algorithms is not used.
type otherAlgorithm struct {
	named, chosen Algorithm
	preferred     bool // the issuer's list has chosen
}

func (e *otherAlgorithm) Error() string {
	why := fmt.Sprintf("%s is the first of these in Issuer.Algorithms", e.chosen)
	if !e.preferred {
		why = fmt.Sprintf("none of these is in Issuer.Algorithms, and %s is the first in the document", e.chosen)
	}
	return fmt.Sprintf("%s: the set lists the same key for %s and for %s, and one key verifies one algorithm only (RFC 8725 §3.1); %s",
		ErrUnusableKey, e.named, e.chosen, why)
}

func (e *otherAlgorithm) Unwrap() error { return ErrUnusableKey }
