package issuerkeys

import (
	"context"
	"fmt"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Forbid stops the keys of that name now, wherever they come from and whatever a
// later refresh returns. Their tokens are refused as those of unknown keys. With a
// SnapshotDir, the name is written there before Forbid returns, so that it holds
// after a restart. Unless the error is a fault of the name, the name is forbidden
// also with an error, until the process ends: the name could not be written, or was
// written where a group can remove it, or ctx is nil.
func (k *Keys) Forbid(ctx context.Context, name jwkscache.KeyName) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if err := k.amend(name, true); err != nil {
		return err
	}
	if err := k.load(ctx); err != nil {
		return fmt.Errorf("jwkscache: the key is forbidden until the process ends, and that could not be written: %w", err)
	}
	return k.vault.saveForbidden(ctx)
}

// Permit undoes [Keys.Forbid]. A name of the configuration is forbidden again after
// the next start.
func (k *Keys) Permit(ctx context.Context, name jwkscache.KeyName) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if err := k.load(ctx); err != nil {
		return err
	}
	if err := k.amend(name, false); err != nil {
		return err
	}
	return k.vault.saveForbidden(ctx)
}

// load waits until the forbidden keys of the store are known.
func (k *Keys) load(ctx context.Context) error {
	if err := k.usable(ctx); err != nil {
		return err
	}
	return k.refresher.load(ctx)
}

// amend changes in memory whether a name is forbidden, and which keys are in use.
func (k *Keys) amend(name jwkscache.KeyName, forbid bool) error {
	if !k.opened() {
		return errNotOpened
	}
	done := jwkscache.FetchDone{Cause: "permit"}
	if forbid {
		done.Cause = "forbid"
	}
	k.refresher.mu.Lock()
	if err := k.vault.amend(name, forbid); err != nil {
		k.refresher.mu.Unlock()
		return err
	}
	if v := k.lookup.current.Load(); v != nil {
		changed := k.refresher.publish(v)
		done.Added, done.Removed = changed.added, changed.removed
		done.Keys, done.Ignored = len(k.lookup.current.Load().set.Keys()), v.set.Ignored()
	}
	k.refresher.mu.Unlock()
	k.trace.fetchDone(done)
	return nil
}
