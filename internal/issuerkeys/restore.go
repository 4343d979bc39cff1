package issuerkeys

import (
	"errors"
	"time"

	"github.com/sallyport-auth/sallyport/internal/snapshot"
)

var (
	errPlace  = errors.New("jwkscache: the snapshot is of another source or jwks_uri; it is replaced with the next fetch")
	errTooOld = errors.New("jwkscache: the snapshot is too old to trust, or from the future")
)

// restored returns the version of a saved set, if it may still serve.
func (s *settings) restored(saved *snapshot.Saved) (*version, error) {
	if saved.Source != s.source || s.location != "" && saved.Location != s.location {
		return nil, errPlace
	}
	now := time.Now()
	fetched := saved.Fetched
	fresh := earlier(saved.Fresh, fetched.Add(s.limits.MaxFresh))
	usable := earlier(earlier(saved.Usable, fresh.Add(s.limits.Stale)), fetched.Add(s.limits.MaxAge))
	set, err := s.parse(saved.Document)
	if err != nil {
		return nil, err
	}
	empty := time.Time{}
	if isEmpty(set) {
		empty = fetched
		usable = earlier(usable, fetched.Add(s.limits.MinFresh))
	}
	fresh = earlier(fresh, usable)
	if fetched.After(now.Add(time.Minute)) || !now.Before(usable) {
		return nil, errTooOld
	}
	by := func(wall time.Time) deadline { return until(now.Add(wall.Sub(now))) } // on both clocks
	return &version{
		published: set, origin: "snapshot", document: saved.Document, etag: saved.ETag, location: saved.Location,
		lifetime: lifetime{saved.Fresh.Sub(fetched), byMaxAge}, empty: empty,
		fetched: fetched, renewal: by(fresh), fresh: by(fresh), usable: by(usable),
	}, nil
}
