package validator

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxActiveTokens is how many tokens are remembered as active that are not in the cache.
const maxActiveTokens = 4096

// activeTokens remembers which tokens an issuer called active when it was asked last,
// where answers are not cached. Such tokens have a share of the requests to the issuer.
type activeTokens struct {
	mu   sync.Mutex // never held while an issuer is asked
	list *simplelru.LRU[digest, struct{}]
}

func newActiveTokens() *activeTokens {
	list, _ := simplelru.NewLRU[digest, struct{}](maxActiveTokens, nil) // the only error is for a size below 1
	return &activeTokens{list: list}
}

// has reports whether the token was active.
func (a *activeTokens) has(d digest) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.list.Contains(d)
}

// set remembers whether the token is active.
func (a *activeTokens) set(d digest, active bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if active {
		a.list.Add(d, struct{}{})
	} else {
		a.list.Remove(d)
	}
}
