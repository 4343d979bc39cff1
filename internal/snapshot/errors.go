package snapshot

import (
	"errors"
	"fmt"
)

var (
	// ErrNone means that nothing was saved yet.
	ErrNone = errors.New("snapshot: no disk snapshot")
	// ErrGroup means that a group can write to the directory, a directory above
	// it, or the file.
	ErrGroup = errors.New("can be written by its group")

	// errUnusable means that a directory or file is not used or could not be
	// written. The errors that wrap it have the path, the cause and the mend, and
	// nothing of the content of the file.
	errUnusable = errors.New("snapshot: disk snapshot")
)

// What a mend says where no path is needed.
const (
	checkMend = "what was there stays"
	writeMend = "see that this process may write there and that there is room"
	ownerMend = "give it to this process's user or to root, or name a directory whose parents up to / are theirs"
)

// unusable returns the error for what is at path, which is not used or could not
// be written.
func unusable(path string, cause error, mend string) error {
	return fmt.Errorf("%w %s: %w; %s", errUnusable, path, cause, mend)
}

// groupMend returns what to do about a directory or file that its group can write
// to.
func groupMend(path string) string {
	return "chmod g-w " + path + "; where Kubernetes' fsGroup adds the permission with every mount, do that in an init container, " +
		"or give the volume to this process's user and set no fsGroup; until then no keys are kept there, and its group can undo what is forbidden"
}
