package snapshot

import (
	"errors"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Bounds of what is kept on disk.
const (
	savedDocumentLimit = 4 << 20
	savedUseLimit      = 24 * time.Hour // from the fetch to the end of use
	savedNamesLimit    = 1000
)

var (
	errOtherIssuer = errors.New("is for another issuer")
	errDocument    = errors.New("holds a JWK Set larger than 4 MiB")
	errTimes       = errors.New("holds times out of order or more than 24 hours apart")
	errNames       = errors.New("names more than 1000 keys, or one by neither or both of kid and thumbprint")
)

var (
	keysFile      = storeFile{holds: "keys", mend: "remove it, and the keys are fetched anew"}
	forbiddenFile = storeFile{holds: "forbidden", mend: "mend it from a copy, or remove it and forbid the keys again", withGroup: true}
)

// Store keeps the last fetched keys of one issuer and the names of the keys that
// were forbidden. It does not check whether what it read may still be used. No
// method may be called concurrently with itself. If two processes save at once into
// one directory, one may fail.
type Store struct {
	files

	issuer string
}

// New returns the store of issuer in dir. It does no I/O.
func New(dir, issuer string) *Store { return &Store{filesOf(dir, issuer), issuer} }

// Saved is one fetched JWK Set with what is needed to go on using it.
type Saved struct {
	Issuer   string
	Source   string    // kind of source: "url" or "discovery"
	Location string    // the URL that the document was fetched from
	ETag     string    // as received
	Document string    // the JWK Set as received
	Fetched  time.Time // wall time, kept to the second, as are the others
	Fresh    time.Time // until when it is fresh
	Usable   time.Time // until when it may serve
}

// keysRecord is a Saved as it is written. Text from outside may be any bytes, which
// JSON text cannot hold, so it is written in base64.
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

// Load reads what Save wrote last. The error is [ErrNone] if there is nothing.
func (s *Store) Load() (*Saved, error) {
	var r keysRecord
	doubt, err := s.read(keysFile, &r)
	if err == nil {
		err = doubt
	}
	if err != nil {
		return nil, err
	}
	if err := r.check(s.issuer); err != nil {
		return nil, unusable(s.path(keysFile), err, keysFile.mend)
	}
	return &Saved{
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

// Save replaces what was saved. It does not write what Load would refuse. After an
// error, the file is the old one or the new one, and a power failure may undo the
// replacement.
func (s *Store) Save(k *Saved) error {
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
		return unusable(s.path(keysFile), err, checkMend)
	}
	return s.write(keysFile, &r)
}

// LoadForbidden reads what SaveForbidden wrote last, and returns no names if there
// is no file. If the error is [ErrGroup], the names are valid, but the group may
// have removed some. With any other error, the names are unknown.
func (s *Store) LoadForbidden() ([]jwkscache.KeyName, error) {
	var r forbiddenRecord
	doubt, err := s.read(forbiddenFile, &r)
	if errors.Is(err, ErrNone) {
		return nil, doubt
	}
	if err != nil {
		return nil, err
	}
	if err := r.check(s.issuer); err != nil {
		return nil, unusable(s.path(forbiddenFile), err, forbiddenFile.mend)
	}
	names := make([]jwkscache.KeyName, len(r.Names))
	for i, name := range r.Names {
		names[i] = jwkscache.KeyName(name)
	}
	return names, doubt
}

// SaveForbidden replaces the list as [Store.Save] replaces the keys. If the error
// is [ErrGroup], the list is written.
func (s *Store) SaveForbidden(names []jwkscache.KeyName) error {
	r := forbiddenRecord{Issuer: s.issuer, Names: make([]forbiddenName, len(names))}
	for i, name := range names {
		r.Names[i] = forbiddenName(name)
	}
	if err := r.check(s.issuer); err != nil {
		return unusable(s.path(forbiddenFile), err, checkMend)
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
	if r.Names == nil { // a missing list is not an empty one
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
