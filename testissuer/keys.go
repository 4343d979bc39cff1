package testissuer

import (
	"crypto"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
)

// Key is a signing key that [Issuer.AddKey] makes.
type Key struct {
	// ID is the name of the key in this package and its kid. Empty means key-1,
	// key-2 and so on. No other key may have it.
	ID string
	// Algorithm is what the key signs with. 0 means Config.Algorithm.
	Algorithm jose.Algorithm
	// Members change the published JWK: an entry replaces the member of its
	// name, and nil removes it. {"alg": nil} omits the algorithm,
	// {"kid": nil} omits the kid, and {"kid": "key-1"} repeats the kid of
	// another key. Tokens have the kid that is published.
	Members map[string]any
	// Unpublished leaves the key out of the JWK Set until [Issuer.Publish].
	Unpublished bool
}

// key is a Key that was made.
type key struct {
	id        string
	algorithm jose.Algorithm
	private   crypto.Signer
	kid       any    // as published; nil if there is none
	jwk       string // the published JSON text
	published bool
}

// signer returns k as it signs.
func (k *key) signer() testkey.Key {
	return testkey.Key{ID: k.id, Algorithm: k.algorithm, Private: k.private}
}

// keyring holds the keys of an issuer.
type keyring struct {
	mu        sync.Mutex
	keys      []*key
	signing   *key
	ids       map[string]bool // of keys, and of those that are being made
	extraJWKs []string
}

// add makes the key k, whose Algorithm is set, and returns its ID.
func (r *keyring) add(k Key) string {
	if !k.Algorithm.Valid() {
		panic("testissuer: AddKey: Algorithm is not one of package jose's constants")
	}
	added := &key{id: r.reserve(k.ID), algorithm: k.Algorithm, private: newPrivate(k.Algorithm), published: !k.Unpublished}
	members := map[string]any{"use": "sig"}
	for name, value := range added.signer().Members() {
		members[name] = value
	}
	override(members, k.Members)
	added.kid, added.jwk = members["kid"], string(encode(members))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = append(r.keys, added)
	return added.id
}

// reserve makes id the ID of a key that is being made, and returns it. If id is
// empty, reserve chooses one.
func (r *keyring) reserve(id string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := len(r.ids) + 1; id == ""; n++ {
		if name := fmt.Sprintf("key-%d", n); !r.ids[name] {
			id = name
		}
	}
	if r.ids[id] {
		panic(fmt.Sprintf("testissuer: AddKey: there is a key %q already; to repeat its kid, set Members[\"kid\"]", id))
	}
	r.ids[id] = true
	return id
}

// change calls change with the key of that ID, which must exist, under the lock.
func (r *keyring) change(id string, change func(*key)) {
	k := r.key(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	change(k)
}

// key returns the key of that ID, which must exist. For "" it returns the key that
// signs.
func (r *keyring) key(id string) *key {
	r.mu.Lock()
	k := r.signing
	if id != "" {
		k = r.find(id)
	}
	r.mu.Unlock()
	if k == nil {
		panic(fmt.Sprintf("testissuer: there is no key %q", id))
	}
	return k
}

// find returns the key of that ID, or nil. The caller holds the lock.
func (r *keyring) find(id string) *key {
	for _, k := range r.keys {
		if k.id == id {
			return k
		}
	}
	return nil
}

// setExtra replaces the JWKs that precede the issuer's own.
func (r *keyring) setExtra(texts []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.extraJWKs = slices.Clone(texts)
}

// jwks returns the JWK Set that is published now.
func (r *keyring) jwks() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	texts := slices.Clone(r.extraJWKs)
	for _, k := range r.keys {
		if k.published {
			texts = append(texts, k.jwk)
		}
	}
	return []byte(`{"keys":[` + strings.Join(texts, ",") + `]}`)
}

// recycle keeps the private keys for later issuers.
func (r *keyring) recycle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.keys {
		recycle(k.private)
	}
}
