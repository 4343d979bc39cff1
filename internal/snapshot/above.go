package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Someone who can write to a directory above the snapshots can replace them by an
// older copy, in which a key is not forbidden yet. So every directory and link from
// the root of the file system on is checked:
//
//   - If another user owns one, or others may write to it, the directory is neither
//     read nor written.
//   - If a group may write to one, names of forbidden keys are read and written,
//     since one name more does no harm, and keys are not. Platforms add this
//     permission, as Kubernetes does for fsGroup, and an issuer must not become
//     unavailable for that.

const (
	rootUser = 0

	writableByOthers fs.FileMode = 0o002
	writableByGroup  fs.FileMode = 0o020
)

var (
	errForeign  = errors.New("is owned by another user")
	errWritable = errors.New("can be written by others")
	errLinks    = errors.New("is reached over more than 40 symbolic links")
)

// checkAbove checks every directory and link above dir, for a process of user. dir
// need not exist. The doubt is ErrGroup with its path.
func checkAbove(dir string, user int) (doubt, err error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, unusable(dir, err, directoryMend)
	}
	err = eachAbove(path, func(path string, info fs.FileInfo) error {
		group, err := checkParent(dir, user, path, info)
		if doubt == nil {
			doubt = group
		}
		return err
	})
	if err != nil && !errors.Is(err, errUnusable) {
		err = unusable(dir, err, directoryMend)
	}
	return doubt, err
}

// checkParent checks one directory or link above dir. In a sticky directory, only
// its owner and the owner of an entry can replace the entry.
func checkParent(dir string, user int, path string, info fs.FileInfo) (doubt, err error) {
	parent := func(cause error, mend string) error {
		return unusable(dir, fmt.Errorf("%s above it %w", path, cause), mend)
	}
	switch mode := info.Mode(); {
	case !ownedBy(info, user) && !ownedBy(info, rootUser):
		return nil, parent(errForeign, ownerMend)
	case mode&(fs.ModeSymlink|fs.ModeSticky) != 0: // the mode of a link means nothing
		return nil, nil
	case mode&writableByOthers != 0:
		return nil, parent(errWritable, "chmod o-w "+path+", or chmod +t "+path)
	case mode&writableByGroup != 0:
		return parent(ErrGroup, groupMend(path)), nil
	default:
		return nil, nil
	}
}

// eachAbove calls check with every directory and symbolic link on the way to
// path, which is absolute, from the root on and without path itself. It stops at
// the first error, and where nothing exists.
func eachAbove(path string, check func(path string, info fs.FileInfo) error) error {
	const maxLinks = 40
	at, links := string(filepath.Separator), 0
	rest := split(filepath.Dir(path))
	for next := at; ; next, rest = filepath.Join(at, rest[0]), rest[1:] {
		info, err := lookAt(next)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			err = check(next, info)
		}
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
		} else {
			target, err := os.Readlink(next)
			if err != nil {
				return err
			}
			if links++; links > maxLinks {
				return errLinks
			}
			if filepath.IsAbs(target) {
				at = string(filepath.Separator)
			}
			rest = append(split(target), rest...)
		}
		if len(rest) == 0 {
			return nil
		}
	}
}

// split returns the names that a path is made of.
func split(path string) []string {
	return strings.FieldsFunc(path, func(c rune) bool { return c == filepath.Separator })
}
