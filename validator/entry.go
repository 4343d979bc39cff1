package validator

import (
	"crypto/rand"
	"crypto/sha256"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
)

const (
	digestPiece       = 128 // bytes that are hashed at once
	digestSecretBytes = 16
	entryOverhead     = 822 // bytes of the facts about a token and its entry, beside their text; measured, see TestMemory
)

// selection is a way to choose the configuration that a token is checked with:
// all JWTs are one selection, which their iss decides, and each issuer of opaque
// tokens is one. The facts of one selection are not found in another, even for the
// same token, because each has a secret of its own. The secret also keeps what is
// in memory from being compared with the digests of known tokens.
type selection struct{ secret [digestSecretBytes]byte }

// newSelection returns a selection that differs from all others.
func newSelection() (s selection) {
	_, _ = rand.Read(s.secret[:]) // it never fails
	return s
}

// digest stands for a token under a selection, as the key of the cache.
type digest [sha256.Size]byte

// digest returns the key of a token under s. It takes the token in pieces and is not
// inlined, because a large buffer on the stack makes the stack of a new goroutine grow,
// and HTTP/2 and gRPC have a new one for each request: that takes longer than the hash.
//
//go:noinline
func (s *selection) digest(token string) (d digest) {
	var piece [digestPiece]byte
	hash := sha256.New()
	n := copy(piece[:], s.secret[:])
	for {
		m := copy(piece[n:], token)
		hash.Write(piece[:n+m])
		if token = token[m:]; token == "" {
			break
		}
		n = 0
	}
	hash.Sum(d[:0])
	return d
}

// entry is what the cache keeps of a token: its facts, and until when they are
// believed.
type entry struct {
	*draft // apart, so that what is read for every token is close together

	digest    digest        // set when the entry is added
	since     clock.Moment  // when the facts were had from the issuer
	lasts     time.Duration // how long they are believed
	until     int64         // the second since 1970 in which they end, whatever lasts is
	textBytes int32         // bytes of the claims and what else is kept with them
	used      atomic.Bool   // since it was settled, or since an eviction skipped it
}

// isOutdated reports whether the facts were had too long ago. The token has to be
// verified again, and its entry is replaced then.
func (e *entry) isOutdated(now clock.Moment) bool { return e.since.Age(now) >= e.lasts }

// isOver reports whether the facts end before instant. There is no leeway.
func (e *entry) isOver(instant time.Time) bool { return instant.Unix() >= e.until }

// bytes returns an estimate of what e takes in memory.
func (e *entry) bytes() int { return entryOverhead + int(e.textBytes) }
