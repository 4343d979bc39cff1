package introspection

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/introspect"
)

const (
	sealedVersion = 1
	maxSealed     = 64 << 10 // the largest value, in bytes
	minSecret     = 32       // the shortest StoreSecret, in bytes
	// maxAhead is how far the clock of the process that wrote a value may be ahead of
	// the reader's. An answer that began in the future counts as begun now; without this
	// bound it would be fresh until then.
	maxAhead = 5 * time.Minute
)

var errUnreadable = errors.New("introspection: the value from the Store cannot be used")

// seal makes the keys and the values of a Store. Neither says anything about a token to
// one who does not have the StoreSecret.
//
// A key is HMAC-SHA-256 of the version, the issuer, the client ID, whether answers must
// be signed, and the token, each with its length before it. A value is the version, and
// then the record encrypted by AES-256-GCM, with the key and the version as additional
// data and a key of its own for each token. All keys are derived from the StoreSecret
// by HKDF.
type seal struct {
	prefix        []byte // of what keys are made from: all but the token
	names, values []byte // from which keys and keys of values are derived
}

func newSeal(secret string, client *introspect.Client, issuer string) (*seal, error) {
	if len(secret) < minSecret {
		return nil, fmt.Errorf("introspection: StoreSecret has %d bytes; it needs at least %d", len(secret), minSecret)
	}
	root, err := hkdf.Extract(sha256.New, []byte(secret), nil)
	if err != nil {
		return nil, err
	}
	s := &seal{prefix: []byte{sealedVersion}}
	if s.names, err = hkdf.Expand(sha256.New, root, "sallyport introspection names", sha256.Size); err != nil {
		return nil, err
	}
	if s.values, err = hkdf.Expand(sha256.New, root, "sallyport introspection values", sha256.Size); err != nil {
		return nil, err
	}
	mode := "plain"
	if client.Signed { // whose answers must not be had from a process that takes others
		mode = "signed"
	}
	for _, part := range []string{issuer, client.ID, mode} {
		s.prefix = appendPart(s.prefix, part)
	}
	return s, nil
}

func appendPart(b []byte, part string) []byte {
	return append(binary.BigEndian.AppendUint64(b, uint64(len(part))), part...)
}

// key returns the key of the answer about a token.
func (s *seal) key(token string) (key [32]byte) {
	mac := hmac.New(sha256.New, s.names)
	_, _ = mac.Write(s.prefix)
	_, _ = mac.Write(appendPart(nil, token))
	mac.Sum(key[:0])
	return key
}

// cipher returns the cipher of the value of key.
func (s *seal) cipher(key [32]byte) (cipher.AEAD, error) {
	mac := hmac.New(sha256.New, s.values)
	_, _ = mac.Write(key[:])
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// record is what a value holds of an answer.
type record struct {
	began    time.Time
	exp      time.Time // zero if the answer has none
	document string
}

const recordHead = 16 // bytes before the document: began and exp in ms since 1970, or 0

// close returns the value of key for r.
func (s *seal) close(key [32]byte, r record) ([]byte, error) {
	aead, err := s.cipher(key)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, 0, recordHead+len(r.document))
	plain = binary.BigEndian.AppendUint64(plain, uint64(r.began.UnixMilli()))
	exp := int64(0)
	if !r.exp.IsZero() {
		exp = r.exp.UnixMilli()
	}
	plain = binary.BigEndian.AppendUint64(plain, uint64(exp))
	plain = append(plain, r.document...)
	value := make([]byte, 1, 1+len(plain)+aead.Overhead())
	value[0] = sealedVersion
	return aead.Seal(value, nil, plain, additional(key)), nil //nolint:gosec // the cipher makes a random nonce itself
}

// open returns the record in value.
func (s *seal) open(key [32]byte, value []byte) (record, error) {
	if len(value) == 0 || len(value) > maxSealed || value[0] != sealedVersion {
		return record{}, errUnreadable
	}
	aead, err := s.cipher(key)
	if err != nil {
		return record{}, err
	}
	plain, err := aead.Open(nil, nil, value[1:], additional(key))
	if err != nil || len(plain) < recordHead {
		return record{}, errUnreadable
	}
	r := record{
		began:    time.UnixMilli(int64(binary.BigEndian.Uint64(plain))), //nolint:gosec // as it was written
		document: string(plain[recordHead:]),
	}
	if exp := int64(binary.BigEndian.Uint64(plain[8:])); exp != 0 { //nolint:gosec // as it was written
		r.exp = time.UnixMilli(exp)
	}
	return r, nil
}

func additional(key [32]byte) []byte { return append(key[:], sealedVersion) }

// recordOf returns the record of an answer, and false if the answer must not be stored:
// only proper answers "active" are, and none whose exp is over or no date.
func recordOf(a *Answer, now time.Time) (record, bool) {
	if !a.Active || a.Odd != nil || len(a.Document) > maxSealed {
		return record{}, false
	}
	r := record{began: a.Began, document: a.Document}
	for _, m := range a.Members {
		if m.Name != "exp" {
			continue
		}
		exp, ok := clock.NumericDate(m.Value.Raw())
		if !ok || !exp.After(now) {
			return record{}, false
		}
		r.exp = exp
	}
	return r, true
}

// answer returns the answer that r holds, judged by the clock of the reader: false if it
// is too old, over, or not an active answer.
func (r *record) answer(q *Question, ttl time.Duration, now time.Time) (Answer, bool) {
	began := r.began
	if began.After(now) {
		if began.Sub(now) > maxAhead || !q.NotBefore.IsZero() { // nobody knows how old it is
			return Answer{}, false
		}
		began = now
	}
	if now.Sub(began) > ttl || began.Before(q.NotBefore) || !r.exp.IsZero() && !r.exp.After(now) {
		return Answer{}, false
	}
	members, err := strictjson.ParseObject(r.document, strictjson.Checked, nil) // an Asker accepted it
	if err != nil {
		return Answer{}, false
	}
	for _, m := range members {
		if m.Name == "active" && m.Value.Raw() == "true" {
			return Answer{Active: true, Document: r.document, Members: members, Began: began, Stored: true}, true
		}
	}
	return Answer{}, false
}

// lifetime returns how long the value of r is of use.
func (r *record) lifetime(ttl time.Duration, now time.Time) time.Duration {
	if r.exp.IsZero() {
		return ttl
	}
	return min(ttl, r.exp.Sub(now))
}
