package jwkscache

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// Bounds of what is kept on disk.
const (
	savedDocumentLimit = 1 << 20
	savedUseLimit      = 24 * time.Hour // from the fetch to the end of use
	savedNamesLimit    = 1000
)

var (
	// errNoSnapshot means that nothing was saved yet.
	errNoSnapshot = errors.New("jwkscache: no disk snapshot")
	// errSnapshot means that a directory or file is not used, or could not be
	// written. What wraps it has the path, the cause and the mend, and nothing
	// of what is in the file.
	errSnapshot = errors.New("jwkscache: disk snapshot")
)

// Causes of errSnapshot in what a file holds.
var (
	errMembers     = errors.New("does not have the members of format 1")
	errOtherIssuer = errors.New("is for another issuer")
	errDocument    = errors.New("holds a JWK Set larger than 1 MiB")
	errTimes       = errors.New("holds times out of order or more than 24 hours apart")
	errNames       = errors.New("names more than 1000 keys, or one by neither or both of kid and thumbprint")
)

// store keeps what a restart needs of one issuer in a directory: its last
// fetched keys and the keys that were forbidden. Who can write to the directory
// chooses the issuer's keys, so keys are kept only if that is the process's user
// or root, from / on; access lists beyond the mode are not looked at. What a
// group can write to is used for the names of forbidden keys alone.
//
// It does not judge whether what it read is still of use. No method may be
// called concurrently with itself; of two processes that save at once into one
// directory, one may fail.
type store struct {
	dir, name string
	issuer    string
	user      int // the process's effective user
}

// saved is one fetched JWK Set with what is needed to go on using it.
type saved struct {
	Issuer   string
	Source   string    // kind of source: "url" or "discovery"
	Location string    // the URL that the document was fetched from
	ETag     string    // as received
	Document string    // the JWK Set as received
	Fetched  time.Time // wall time, kept to the second, as are the others
	Fresh    time.Time // until when it is fresh
	Usable   time.Time // until when it may serve
}

// keysRecord is a saved as it is written. What others sent may be any bytes,
// which JSON text cannot hold: it is in base64.
type keysRecord struct {
	Issuer   string `json:"issuer"`
	Source   string `json:"source"`
	Location string `json:"location"`
	ETag     []byte `json:"etag"`
	Document []byte `json:"document"`
	Fetched  int64  `json:"fetched"`
	Fresh    int64  `json:"fresh"`
	Usable   int64  `json:"usable"`
}

type forbiddenRecord struct {
	Issuer string          `json:"issuer"`
	Names  []forbiddenName `json:"names"`
}

type forbiddenName struct {
	KeyID      string `json:"kid,omitzero"`
	Thumbprint string `json:"thumbprint,omitzero"`
}

// newStore is the store of issuer in dir. It does no I/O.
func newStore(dir, issuer string) *store {
	digest := sha256.Sum256([]byte(issuer))
	// Clean, since a slash at the end would make a look at dir follow a link.
	return &store{dir: filepath.Clean(dir), name: hex.EncodeToString(digest[:16]), issuer: issuer, user: os.Geteuid()}
}

// load reads what save wrote last. The error is errNoSnapshot if there is
// nothing, and else errSnapshot.
func (s *store) load() (*saved, error) {
	var r keysRecord
	doubt, err := s.read(keysFile, &r)
	if err == nil {
		err = doubt
	}
	if err != nil {
		return nil, err
	}
	if err := r.check(s.issuer); err != nil {
		return nil, storeError(s.path(keysFile), err, keysFile.mend)
	}
	return &saved{
		Issuer:   r.Issuer,
		Source:   r.Source,
		Location: r.Location,
		ETag:     string(r.ETag),
		Document: string(r.Document),
		Fetched:  time.Unix(r.Fetched, 0),
		Fresh:    time.Unix(r.Fresh, 0),
		Usable:   time.Unix(r.Usable, 0),
	}, nil
}

// save replaces what was saved. What load would refuse is not written. After an
// error the old file is there as it was, or the new one is, and a power failure
// may undo it.
func (s *store) save(k *saved) error {
	r := keysRecord{
		Issuer:   k.Issuer,
		Source:   k.Source,
		Location: k.Location,
		ETag:     []byte(k.ETag),
		Document: []byte(k.Document),
		Fetched:  k.Fetched.Unix(),
		Fresh:    k.Fresh.Unix(),
		Usable:   k.Usable.Unix(),
	}
	if err := r.check(s.issuer); err != nil {
		return storeError(s.path(keysFile), err, checkMend)
	}
	return s.write(keysFile, &r)
}

// loadForbidden reads what saveForbidden wrote last: nothing if there is no
// file. If the error is errGroup, the names are valid, but the group may have
// removed some. With any other error, the names are unknown.
func (s *store) loadForbidden() ([]KeyName, error) {
	var r forbiddenRecord
	doubt, err := s.read(forbiddenFile, &r)
	if errors.Is(err, errNoSnapshot) {
		return nil, doubt
	}
	if err != nil {
		return nil, err
	}
	if err := r.check(s.issuer); err != nil {
		return nil, storeError(s.path(forbiddenFile), err, forbiddenFile.mend)
	}
	names := make([]KeyName, len(r.Names))
	for i, name := range r.Names {
		names[i] = KeyName(name)
	}
	return names, doubt
}

// saveForbidden replaces the list as [store.save] replaces the keys. With
// errGroup it is written.
func (s *store) saveForbidden(names []KeyName) error {
	r := forbiddenRecord{Issuer: s.issuer, Names: make([]forbiddenName, len(names))}
	for i, name := range names {
		r.Names[i] = forbiddenName(name)
	}
	if err := r.check(s.issuer); err != nil {
		return storeError(s.path(forbiddenFile), err, checkMend)
	}
	return s.write(forbiddenFile, &r)
}

func (r *keysRecord) check(issuer string) error {
	fetched, fresh, usable := time.Unix(r.Fetched, 0), time.Unix(r.Fresh, 0), time.Unix(r.Usable, 0)
	switch {
	case r.Issuer != issuer:
		return errOtherIssuer
	case len(r.Document) > savedDocumentLimit:
		return errDocument
	case fresh.Before(fetched), usable.Before(fresh), usable.Sub(fetched) > savedUseLimit:
		return errTimes
	default:
		return nil
	}
}

func (r *forbiddenRecord) check(issuer string) error {
	if r.Issuer != issuer {
		return errOtherIssuer
	}
	if r.Names == nil { // a list that is not there is no empty list
		return errMembers
	}
	if len(r.Names) > savedNamesLimit {
		return errNames
	}
	for _, name := range r.Names {
		if (name.KeyID == "") == (name.Thumbprint == "") {
			return errNames
		}
	}
	return nil
}
