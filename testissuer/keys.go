package testissuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport-auth/sallyport/jose"
)

// Key is a signing key to be added to an [Issuer].
type Key struct {
	// ID names the key in this package and is its kid. Empty means key-1,
	// key-2 and so on. It must be new.
	ID string
	// Algorithm is the one the key signs with. 0 means Config.Algorithm.
	Algorithm jose.Algorithm
	// Members change the published JWK: an entry replaces the member of its
	// name, and nil removes it. {"alg": nil} omits the algorithm,
	// {"kid": nil} the kid, {"kid": "key-1"} repeats that of another key.
	// Tokens carry the kid that is published.
	Members map[string]any
	// Unpublished leaves the key out of the JWK Set until [Issuer.Publish].
	Unpublished bool
}

// key is a Key that was added.
type key struct {
	id        string
	algorithm jose.Algorithm
	private   crypto.Signer
	kid       any    // as published; nil if there is none
	jwk       string // the JSON text published
	published bool
}

// AddKey makes a key and publishes it, and answers with its ID. The issuer goes
// on signing with the key that it has; see [Issuer.Use].
func (i *Issuer) AddKey(k Key) string {
	algorithm := k.Algorithm
	if algorithm == 0 {
		algorithm = i.config.Algorithm
	}
	if !algorithm.Valid() {
		panic("testissuer: AddKey: Algorithm is not one of package jose's constants")
	}
	added := &key{id: i.reserve(k.ID), algorithm: algorithm, private: newPrivate(algorithm), published: !k.Unpublished}
	members := publicJWK(added.private.Public())
	members["kid"], members["alg"], members["use"] = added.id, algorithm, "sig"
	override(members, k.Members)
	added.kid, added.jwk = members["kid"], string(encode(members))
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, added)
	return added.id
}

// reserve makes id the name of a key that is about to be added, or finds one.
func (i *Issuer) reserve(id string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	for n := len(i.ids) + 1; id == ""; n++ {
		if name := fmt.Sprintf("key-%d", n); !i.ids[name] {
			id = name
		}
	}
	if i.ids[id] {
		panic(fmt.Sprintf("testissuer: AddKey: there is a key %q already; to repeat its kid, set Members[\"kid\"]", id))
	}
	i.ids[id] = true
	return id
}

// Rotate adds a key of the algorithm in use and signs with it from now on. The
// key used before stays published, as tokens of it are about; see
// [Issuer.Retire].
func (i *Issuer) Rotate() string {
	i.mu.Lock()
	algorithm := i.signing.algorithm
	i.mu.Unlock()
	id := i.AddKey(Key{Algorithm: algorithm})
	i.Use(id)
	return id
}

// SigningKey is the ID of the key that signs.
func (i *Issuer) SigningKey() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.signing.id
}

// Use makes a key the one that signs, published or not.
func (i *Issuer) Use(id string) { i.change(id, func(k *key) { i.signing = k }) }

// Publish puts a key into the JWK Set.
func (i *Issuer) Publish(id string) { i.change(id, func(k *key) { k.published = true }) }

// Retire takes a key out of the JWK Set. It can still sign.
func (i *Issuer) Retire(id string) { i.change(id, func(k *key) { k.published = false }) }

func (i *Issuer) change(id string, change func(*key)) {
	k := i.key(id)
	i.mu.Lock()
	defer i.mu.Unlock()
	change(k)
}

// ExtraJWKs puts JSON texts into the JWK Set, before the issuer's own keys:
// keys of unknown types, private ones, broken ones. They replace those of an
// earlier call.
func (i *Issuer) ExtraJWKs(texts ...string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.extraJWKs = slices.Clone(texts)
}

// JWKS is the JWK Set document that is published now, whatever [Issuer.Behave]
// makes of it.
func (i *Issuer) JWKS() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.jwks()
}

// jwks is JWKS under the lock.
func (i *Issuer) jwks() []byte {
	texts := slices.Clone(i.extraJWKs)
	for _, k := range i.keys {
		if k.published {
			texts = append(texts, k.jwk)
		}
	}
	return []byte(`{"keys":[` + strings.Join(texts, ",") + `]}`)
}

// key is the key of that ID, which must exist, or the one that signs for "".
func (i *Issuer) key(id string) *key {
	i.mu.Lock()
	k := i.signing
	if id != "" {
		k = i.find(id)
	}
	i.mu.Unlock()
	if k == nil {
		panic(fmt.Sprintf("testissuer: there is no key %q", id))
	}
	return k
}

// find is the key of that ID, or nil. The lock is held.
func (i *Issuer) find(id string) *key {
	for _, k := range i.keys {
		if k.id == id {
			return k
		}
	}
	return nil
}

// override applies the changes of a caller to members.
func override(members, changes map[string]any) {
	for name, value := range changes {
		if value == nil {
			delete(members, name)
		} else {
			members[name] = value
		}
	}
}

func encode(members map[string]any) []byte {
	text, err := json.Marshal(members)
	if err != nil {
		panic(fmt.Sprintf("testissuer: a member cannot be written as JSON: %v", err))
	}
	return text
}

func encoded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// publicJWK is the JWK of a public key, with the members of RFC 7518 §6 and
// RFC 8037 §2 only.
func publicJWK(public crypto.PublicKey) map[string]any {
	switch public := public.(type) {
	case *rsa.PublicKey:
		e := big.NewInt(int64(public.E)).Bytes()
		return map[string]any{"kty": "RSA", "n": encoded(public.N.Bytes()), "e": encoded(e)}
	case *ecdsa.PublicKey:
		point := must(public.Bytes()) // 4, then x and y
		x, y := point[1:1+len(point)/2], point[1+len(point)/2:]
		return map[string]any{"kty": "EC", "crv": public.Params().Name, "x": encoded(x), "y": encoded(y)}
	case ed25519.PublicKey:
		return map[string]any{"kty": "OKP", "crv": "Ed25519", "x": encoded(public)}
	default:
		panic(fmt.Sprintf("testissuer: no JWK of a %T", public))
	}
}

// must is for calls that fail only if the standard library does.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("testissuer: %v", err))
	}
	return v
}

func newPrivate(a jose.Algorithm) crypto.Signer {
	switch a {
	case jose.ES256:
		return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	case jose.ES384:
		return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	case jose.ES512:
		return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	case jose.EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return must(private, err)
	default:
		return takeRSA()
	}
}

// foreignPrivate is a key for a that no issuer publishes.
func foreignPrivate(a jose.Algorithm) crypto.Signer {
	if isRSA(a) {
		return foreignRSA()
	}
	return newPrivate(a)
}

var foreignRSA = sync.OnceValue(newRSA)

// usedRSA holds the RSA keys of closed issuers.
var usedRSA struct {
	sync.Mutex

	keys []*rsa.PrivateKey
}

func newRSA() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) }

func takeRSA() *rsa.PrivateKey {
	usedRSA.Lock()
	defer usedRSA.Unlock()
	last := len(usedRSA.keys) - 1
	if last < 0 {
		return newRSA()
	}
	k := usedRSA.keys[last]
	usedRSA.keys = usedRSA.keys[:last]
	return k
}

// recycle offers an RSA key to later issuers.
func recycle(private crypto.Signer) {
	if k, ok := private.(*rsa.PrivateKey); ok {
		usedRSA.Lock()
		defer usedRSA.Unlock()
		usedRSA.keys = append(usedRSA.keys, k)
	}
}
