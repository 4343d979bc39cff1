package validator

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/sallyport-auth/sallyport/internal/clock"
)

// maxNegatives is how many tokens are remembered that an issuer said are not active.
const maxNegatives = 4096

// negatives remembers tokens that were refused after their issuer was asked, for some
// seconds, so that a client that goes on to present one costs no further requests. They
// have a place of their own, so that junk does not displace tokens that are in use.
type negatives struct {
	mu   sync.Mutex // never held while an issuer is asked
	list *simplelru.LRU[digest, *negative]
}

// negative is why a token was refused, and for how long that is believed.
type negative struct {
	refused *Error
	issuer  *opaqueIssuer
	began   clock.Moment  // when the request for the answer began
	since   clock.Moment  // when the answer arrived
	lasts   time.Duration // how long it is an answer for other requests; 0: not at all
}

func newNegatives() *negatives {
	list, _ := simplelru.NewLRU[digest, *negative](maxNegatives, nil) // the only error is for a size below 1
	return &negatives{list: list}
}

// get returns why the token was refused, or nil if the issuer has to be asked. A hit does
// not prolong it.
func (n *negatives) get(d digest, now clock.Moment) *Error {
	found := n.last(d)
	if found == nil || found.since.Age(now) >= found.lasts {
		return nil
	}
	return found.refused
}

// last returns the last refusal of the token that is remembered, also if it is no answer
// any more, or nil. An answer whose request began before it is out of date.
func (n *negatives) last(d digest) *negative {
	n.mu.Lock()
	defer n.mu.Unlock()
	found, _ := n.list.Peek(d)
	return found
}

// put remembers why a token was refused.
func (n *negatives) put(d digest, refused *negative) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list.Add(d, refused)
}

// drop forgets that a token was refused.
func (n *negatives) drop(d digest) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list.Remove(d)
}

// dropAll forgets all tokens that an issuer refused.
func (n *negatives) dropAll(o *opaqueIssuer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range n.list.Keys() {
		if found, _ := n.list.Peek(d); found.issuer == o {
			n.list.Remove(d)
		}
	}
}
