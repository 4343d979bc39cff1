package testkey

import (
	"crypto"
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-auth/sallyport/jose"
)

// Key is a private key that signs with one algorithm.
type Key struct {
	// ID is the kid of the JWK. Empty means that the JWK has none.
	ID        string
	Algorithm jose.Algorithm
	Private   crypto.Signer
}

// Of returns the key of a label for a, with the label as its ID. A process makes it
// once: two calls with the same label return the same key, and all RSA algorithms
// share the RSA key of a label. The EdDSA key of a label is the same in every
// process, which fuzz targets need.
func Of(a jose.Algorithm, label string) Key {
	return Key{ID: label, Algorithm: a, Private: labelled(a, label)}
}

// New returns a new key for a with that ID.
func New(a jose.Algorithm, id string) Key {
	return Key{ID: id, Algorithm: a, Private: NewPrivate(a)}
}

// WithID returns a copy of k that has another ID.
func (k Key) WithID(id string) Key {
	k.ID = id
	return k
}

// Sign returns a token in compact serialisation with any text as header and payload.
func (k Key) Sign(header, payload string) string {
	input := Encode([]byte(header)) + "." + Encode([]byte(payload))
	return input + "." + Encode(k.Signature(input))
}

// Members returns the members of the public JWK: those of [PublicJWK], alg and kid.
func (k Key) Members() map[string]string {
	members := PublicJWK(k.Private.Public())
	members["alg"] = k.Algorithm.String()
	if k.ID != "" {
		members["kid"] = k.ID
	}
	return members
}

// JWK returns the public JWK as a JSON text.
func (k Key) JWK() string {
	members := k.Members()
	texts := make([]string, 0, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		texts = append(texts, strconv.Quote(name)+":"+strconv.Quote(members[name]))
	}
	return "{" + strings.Join(texts, ",") + "}"
}

// Set returns a JWK Set of the public keys.
func Set(keys ...Key) []byte {
	texts := make([]string, 0, len(keys))
	for _, k := range keys {
		texts = append(texts, k.JWK())
	}
	return []byte(`{"keys":[` + strings.Join(texts, ",") + `]}`)
}

// Encode returns b in base64url without padding (RFC 7515 §2).
func Encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
