package introspect

import (
	"context"
	"time"
)

// Store keeps answers for several processes, so that a token that one of them asked
// about costs the others no request. It is a cache: values may be lost at any time.
//
// Keys are keyed digests and values are encrypted, both with Client.StoreSecret, so
// that a Store holds no token and learns nothing about one. A value that cannot be
// decrypted, is of another version or is too old by the reader's own clock counts as
// absent. The time to live is only for tidying up.
//
// Calls get a context with a deadline of 100 ms. After an error, the Store is left alone
// for a second, and the issuer is asked instead. Both methods must be safe for
// concurrent use.
type Store interface {
	// Get returns the value of key. found is false if there is none.
	Get(ctx context.Context, key [32]byte) (value []byte, found bool, err error)
	// Set replaces the value of key, which may be dropped after ttl.
	Set(ctx context.Context, key [32]byte, value []byte, ttl time.Duration) error
}
