//go:build unix

package snapshot

import (
	"io/fs"
	"os"
	"syscall"
)

const directoryMend = "name a directory, not a link to one, that this process's user or root owns, with mode 0700"

// lookAt returns what path names. It does not follow a link at the end of path.
func lookAt(path string) (fs.FileInfo, error) { return os.Lstat(path) }

// ownedBy reports whether the file belongs to the user with that id.
func ownedBy(info fs.FileInfo, user int) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == user
}
