package issuerkeys

import (
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

// lookup is the read side of [Keys]: the version in use and what it takes in
// memory. Readers take one atomic load. Callers of publish and drop hold the lock
// of the refresher.
type lookup struct {
	current      atomic.Pointer[version]
	account      account
	everAccepted atomic.Bool // a token of the issuer was accepted, or the issuer is configured
}

// find returns the keys to try for a token with header h, if the version in use is
// fresh and has such keys.
func (l *lookup) find(now time.Time, h jose.Header) (keys []*jose.Key, v *version, ok bool) {
	v = l.current.Load()
	if v == nil || v.fresh.passed(now) {
		return nil, nil, false
	}
	keys, err := v.set.Find(h)
	return keys, v, err == nil
}

// accept records that a token of the issuer was accepted.
func (l *lookup) accept() {
	if !l.everAccepted.Load() {
		l.everAccepted.Store(true)
		l.account.accept()
	}
}

// keyChange is how the keys of a version differ from the version before.
type keyChange struct {
	added   []*jose.Key
	removed []*jose.Key
}

// publish puts v into use and withdraws the keys that v does not have.
func (l *lookup) publish(v *version) keyChange {
	added, removed := v.succeed(l.current.Load())
	l.current.Store(v)
	l.account.use(v.bytes())
	return keyChange{added, withdraw(removed)}
}

// drop takes the version in use out of use.
func (l *lookup) drop() keyChange {
	l.account.use(0)
	return keyChange{removed: withdraw(l.current.Swap(nil).lives)}
}

// withdraw ends lives and returns their keys.
func withdraw(lives map[*jose.Key]*life) []*jose.Key {
	var keys []*jose.Key
	for key, l := range lives {
		l.withdrawn.Store(true)
		keys = append(keys, key)
	}
	return keys
}
