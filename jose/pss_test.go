package jose_test

import (
	"crypto"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"math/big"
	"slices"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
)

// signPSS signs as in RFC 8017 §8.1.1, with any salt and any hash for MGF1. The
// standard library cannot make these invalid signatures.
func signPSS(key *rsa.PrivateKey, hash, mgf crypto.Hash, salt []byte, input string) []byte {
	bits := key.N.BitLen() - 1
	size := (bits + 7) / 8
	h := hash.New()
	h.Write(make([]byte, 8))
	h.Write(sum(hash, input))
	h.Write(salt)
	digest := h.Sum(nil)

	db := make([]byte, size-len(digest)-1)
	db[len(db)-len(salt)-1] = 1
	copy(db[len(db)-len(salt):], salt)
	for i := range db {
		g := mgf.New()
		g.Write(digest)
		g.Write(binary.BigEndian.AppendUint32(nil, uint32(i/mgf.Size())))
		db[i] ^= g.Sum(nil)[i%mgf.Size()]
	}
	db[0] &= 0xff >> (8*size - bits)
	encoded := slices.Concat(db, digest, []byte{0xbc})
	s := new(big.Int).Exp(new(big.Int).SetBytes(encoded), key.D, key.N)
	return s.FillBytes(make([]byte, key.Size()))
}

// TestPSSParameters covers R-JS-09: the salt must be as long as the hash, and MGF1
// must use the same hash.
func TestPSSParameters(t *testing.T) {
	for _, a := range []jose.Algorithm{jose.PS256, jose.PS384, jose.PS512} {
		key := onlyKey(t, a, rsaKey())
		hash := testkey.HashOf(a)
		in := input(a, "{}")
		longest := rsaKey().Size() - 2 - hash.Size()
		for _, n := range []int{0, 1, 20, 32, 48, 64, hash.Size() - 1, hash.Size(), hash.Size() + 1, longest} {
			for _, mgf := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
				salt := slices.Repeat([]byte{0x5a}, n)
				err := key.Verify(parse(t, in+"."+b64(signPSS(rsaKey(), hash, mgf, salt, in))))
				var want error
				if n != hash.Size() || mgf != hash {
					want = jose.ErrSignature
				}
				if !errors.Is(err, want) {
					t.Errorf("%v, salt of %d bytes, MGF1 with %v: error %v, want %v", a, n, mgf, err, want)
				}
			}
		}
	}
}
