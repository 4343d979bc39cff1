package snapshot

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

// MaxAcceptedIssuers is the greatest number of issuers that an [AcceptedFile] holds.
const MaxAcceptedIssuers = 10_000

// IssuerDigest is a digest of the URL of an issuer. An [AcceptedFile] holds digests,
// so that it does not list the customers.
type IssuerDigest [16]byte

// DigestIssuer returns the digest of an issuer's URL.
func DigestIssuer(url string) IssuerDigest {
	digest := sha256.Sum256([]byte(url))
	return IssuerDigest(digest[:len(IssuerDigest{})])
}

// AcceptedFile is a file of a snapshot directory with the issuers of which a token
// was accepted once. The rules for the directory and its files are those of
// the package. No method may be called concurrently with itself.
type AcceptedFile struct {
	store *files
	trace *jwkscache.Trace
}

// acceptedRecord is what the file holds.
type acceptedRecord struct {
	Digests []byte `json:"digests"` // one after the other, in order
}

var (
	acceptedFile = storeFile{holds: "accepted", mend: "remove it, and it is written anew"}
	errNoFile    = errors.New("snapshot: the AcceptedFile was not made by NewAcceptedFile")
	errDigests   = errors.New("does not list digests of 16 bytes in order, at most 10000")
)

// NewAcceptedFile returns the file of dir. Each use calls trace.Stored, with no
// issuer. NewAcceptedFile does no I/O.
func NewAcceptedFile(dir string, trace *jwkscache.Trace) *AcceptedFile {
	store := filesOf(dir, "") // no issuer has that name
	return &AcceptedFile{&store, trace}
}

// Load reads what Save wrote last. It returns no digests if there is no file.
func (f *AcceptedFile) Load() ([]IssuerDigest, error) {
	var digests []IssuerDigest
	err := f.LoadTo(func(read []IssuerDigest) { digests = read })
	return digests, err
}

// LoadTo is Load with a function that is called with what was read, unless there is
// an error. take is called before the hook, which may take long.
func (f *AcceptedFile) LoadTo(take func([]IssuerDigest)) error {
	if err := f.check(); err != nil {
		return err
	}
	digests, err := f.load()
	if errors.Is(err, ErrNone) {
		err = nil
	}
	if err == nil {
		take(digests)
	}
	CallStored(f.trace, "", jwkscache.Stored{Use: "load", Err: err})
	return err
}

// check reports whether f was made by NewAcceptedFile.
func (f *AcceptedFile) check() error {
	if f == nil || f.store == nil {
		return errNoFile
	}
	return nil
}

func (f *AcceptedFile) load() ([]IssuerDigest, error) {
	var record acceptedRecord
	doubt, err := f.store.read(acceptedFile, &record)
	if err == nil {
		err = doubt
	}
	if err != nil {
		return nil, err
	}
	const size = len(IssuerDigest{})
	if len(record.Digests)%size != 0 || len(record.Digests) > MaxAcceptedIssuers*size {
		return nil, unusable(f.store.path(acceptedFile), errDigests, acceptedFile.mend)
	}
	digests := make([]IssuerDigest, 0, len(record.Digests)/size)
	for chunk := range slices.Chunk(record.Digests, size) {
		digests = append(digests, IssuerDigest(chunk))
	}
	if !slices.IsSortedFunc(digests, IssuerDigest.compare) {
		return nil, unusable(f.store.path(acceptedFile), errDigests, acceptedFile.mend)
	}
	return digests, nil
}

// Save replaces the file. Digests beyond [MaxAcceptedIssuers] are left out.
func (f *AcceptedFile) Save(digests []IssuerDigest) error {
	if err := f.check(); err != nil {
		return err
	}
	digests = slices.SortedFunc(slices.Values(digests[:min(len(digests), MaxAcceptedIssuers)]), IssuerDigest.compare)
	var record acceptedRecord
	for _, digest := range digests {
		record.Digests = append(record.Digests, digest[:]...)
	}
	err := f.store.write(acceptedFile, &record)
	CallStored(f.trace, "", jwkscache.Stored{Use: "save", Err: err})
	return err
}

func (d IssuerDigest) compare(other IssuerDigest) int { return bytes.Compare(d[:], other[:]) }
