package testissuer

import (
	"crypto"
	"crypto/rsa"
	"sync"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
)

// newPrivate returns a private key for a that no open issuer has.
func newPrivate(a jose.Algorithm) crypto.Signer {
	if testkey.IsRSA(a) {
		return takeRSA()
	}
	return testkey.NewPrivate(a)
}

// foreignPrivate returns a private key for a that no issuer publishes.
func foreignPrivate(a jose.Algorithm) crypto.Signer {
	if testkey.IsRSA(a) {
		return foreignRSA()
	}
	return testkey.NewPrivate(a)
}

var foreignRSA = sync.OnceValue(newRSA)

// usedRSA holds the RSA keys of closed issuers.
var usedRSA struct {
	sync.Mutex

	keys []crypto.Signer
}

// newRSA makes an RSA key, which takes long.
func newRSA() crypto.Signer { return testkey.NewPrivate(jose.RS256) }

// takeRSA returns an RSA key of a closed issuer, or makes one.
func takeRSA() crypto.Signer {
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

// recycle keeps an RSA key for later issuers.
func recycle(private crypto.Signer) {
	if _, ok := private.(*rsa.PrivateKey); ok {
		usedRSA.Lock()
		defer usedRSA.Unlock()
		usedRSA.keys = append(usedRSA.keys, private)
	}
}
