package jwkscache

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-auth/sallyport/jose"
)

// KeyName names keys of one issuer: by kid, or by JWK SHA-256 thumbprint
// (RFC 7638) in base64url. Exactly one of them is set. A kid also names keys
// that are published later, and a thumbprint the same key under any kid.
type KeyName struct {
	KeyID      string // at most 256 bytes
	Thumbprint string // 43 characters
}

const (
	maxForbidden    = 1000
	maxKeyID        = 256 // longer ones name no key; see package jose
	thumbprintBytes = 32
)

// Check tells whether n names a key.
func (n KeyName) Check() error {
	switch {
	case (n.KeyID == "") == (n.Thumbprint == ""):
		return errors.New("jwkscache: KeyName: set either KeyID or Thumbprint")
	case len(n.KeyID) > maxKeyID:
		return fmt.Errorf("jwkscache: KeyName: KeyID is longer than %d bytes, and no key has such a kid", maxKeyID)
	case !utf8.ValidString(n.KeyID):
		return errors.New("jwkscache: KeyName: KeyID is not UTF-8, and no key has such a kid")
	case n.Thumbprint != "":
		if b, err := base64.RawURLEncoding.Strict().DecodeString(n.Thumbprint); err != nil || len(b) != thumbprintBytes {
			return errors.New("jwkscache: KeyName: Thumbprint is not a SHA-256 thumbprint (RFC 7638) in base64url, which has 43 characters")
		}
	}
	return nil
}

func forbids(forbidden map[KeyName]bool, key *jose.Key) bool {
	if _, found := forbidden[KeyName{Thumbprint: key.Thumbprint()}]; found {
		return true
	}
	id, _ := key.ID() // "" if it has none, which names nothing
	_, found := forbidden[KeyName{KeyID: id}]
	return found
}

func (k *Keys) forbidsID(kid string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, found := k.forbidden[KeyName{KeyID: kid}]
	return found
}

// Forbid stops the keys of that name now, wherever they come from and whatever
// a later refresh brings; their tokens are refused as those of unknown keys. If
// there is a SnapshotDir, the name is written there before Forbid returns, so
// that a restart does not forget it. An error after that of a bad name, also
// that of a nil ctx, means that the name could not be written, or was written
// where a group can remove it: it is forbidden all the same, until the process
// ends.
func (k *Keys) Forbid(ctx context.Context, name KeyName) error {
	if err := name.Check(); err != nil {
		return err
	}
	if err := k.amend(name, true); err != nil {
		return err
	}
	if err := k.load(ctx); err != nil {
		return fmt.Errorf("jwkscache: the key is forbidden until the process ends, and that could not be written: %w", err)
	}
	return k.keepForbidden(ctx)
}

// Permit undoes [Keys.Forbid]. A name of the configuration is forbidden again
// with the next start.
func (k *Keys) Permit(ctx context.Context, name KeyName) error {
	if err := name.Check(); err != nil {
		return err
	}
	if err := k.load(ctx); err != nil {
		return err
	}
	if err := k.amend(name, false); err != nil {
		return err
	}
	return k.keepForbidden(ctx)
}

// amend changes what is forbidden, in memory.
func (k *Keys) amend(name KeyName, forbid bool) error {
	if k == nil || k.storing == nil {
		return errNotOpened
	}
	k.mu.Lock()
	if _, already := k.forbidden[name]; forbid && !already && len(k.forbidden) >= maxForbidden {
		k.mu.Unlock()
		return fmt.Errorf("jwkscache: %d keys are forbidden already; an issuer with more wants another jwks_uri", maxForbidden)
	}
	if forbid {
		k.forbidden[name] = true
	} else {
		delete(k.forbidden, name)
	}
	done := FetchDone{Cause: "permit"}
	if forbid {
		done.Cause = "forbid"
	}
	if v := k.current.Load(); v != nil {
		changed := k.publish(v)
		done.Added, done.Removed = changed.added, changed.removed
		done.Keys, done.Ignored = len(k.current.Load().set.Keys()), v.set.Ignored()
	}
	k.mu.Unlock()
	k.binding.Trace.fetchDone(k.binding.Issuer, done)
	return nil
}

// load waits until what the store says of forbidden keys is known.
func (k *Keys) load(ctx context.Context) error {
	if err := k.usable(ctx); err != nil {
		return err
	}
	for {
		k.mu.Lock()
		loaded := k.loaded
		k.mu.Unlock()
		if loaded {
			return nil
		}
		f := k.begin(ctx, causeMissing, "")
		if f == nil {
			return k.Ready()
		}
		if err := f.wait(ctx, k.limits.Waiters); err != nil {
			return err
		}
	}
}

// keepForbidden writes the names to the store.
func (k *Keys) keepForbidden(ctx context.Context) error {
	if k.store == nil {
		return nil
	}
	select {
	case k.storing <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("jwkscache: what is forbidden holds until the process ends, and could not be written: %w", context.Cause(ctx))
	}
	k.mu.Lock()
	names := slices.Collect(maps.Keys(k.forbidden))
	names = slices.DeleteFunc(names, func(name KeyName) bool { return !k.forbidden[name] })
	k.mu.Unlock()
	slices.SortFunc(names, KeyName.compare)
	err := k.store.saveForbidden(names)
	<-k.storing
	k.toldStore("forbid", err)
	return err
}

func (n KeyName) compare(other KeyName) int {
	if c := strings.Compare(n.KeyID, other.KeyID); c != 0 {
		return c
	}
	return strings.Compare(n.Thumbprint, other.Thumbprint)
}
