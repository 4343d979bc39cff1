package jwkscache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Who can write to a directory on the way to the snapshots can put an older copy
// of them in place, in which a key is not forbidden yet. So the way is judged from
// the root of the file system on, links included:
//
//   - another user who owns a part of it, or others who may write to it, leave
//     nothing to rely on: the store is neither read nor written;
//   - a group that may write to it is a doubt. Platforms add that permission, as
//     Kubernetes does for fsGroup, and an issuer must not become unavailable for
//     that. Names of forbidden keys are then read and written as usual, since a
//     name more does no harm. Keys are not.

const ownerMend = "give it to this process's user or to root, or name a directory whose parents up to / are theirs"

// groupMend is what to do about a directory that its group can write to.
func groupMend(path string) string {
	return "chmod g-w " + path + "; where Kubernetes' fsGroup adds the permission with every mount, do that in an init container, " +
		"or give the volume to this process's user and set no fsGroup; until then no keys are kept there, and its group can undo what is forbidden"
}

var errLinks = errors.New("is reached over more than 40 symbolic links")

// vetAbove judges what leads to the directory of s, which need not exist.
func (s *store) vetAbove() (doubt, err error) {
	path, err := filepath.Abs(s.dir)
	if err != nil {
		return nil, storeError(s.dir, err, directoryMend)
	}
	err = eachAbove(path, func(path string, info fs.FileInfo) error {
		group, err := s.judgeAbove(path, info)
		if doubt == nil {
			doubt = group
		}
		return err
	})
	if err != nil && !errors.Is(err, errSnapshot) {
		err = storeError(s.dir, err, directoryMend)
	}
	return doubt, err
}

// judgeAbove judges one directory or link. A sticky directory lets nobody but
// its owner, and the owner of what is in it, replace that.
func (s *store) judgeAbove(path string, info fs.FileInfo) (doubt, err error) {
	const root = 0
	above := func(cause error, mend string) error {
		return storeError(s.dir, fmt.Errorf("%s above it %w", path, cause), mend)
	}
	switch mode := info.Mode(); {
	case !ownedBy(info, s.user) && !ownedBy(info, root):
		return nil, above(errForeign, ownerMend)
	case mode&(fs.ModeSymlink|fs.ModeSticky) != 0: // the mode of a link says nothing
		return nil, nil
	case mode&writableByOthers != 0:
		return nil, above(errWritable, "chmod o-w "+path+", or chmod +t "+path)
	case mode&writableByGroup != 0:
		return above(errGroup, groupMend(path)), nil
	default:
		return nil, nil
	}
}

// eachAbove calls judge with every directory and symbolic link on the way to
// path, which is absolute, from the root on and without path itself. It ends at
// the first error, and where nothing exists.
func eachAbove(path string, judge func(path string, info fs.FileInfo) error) error {
	const maxLinks = 40
	at, links := string(filepath.Separator), 0
	rest := split(filepath.Dir(path))
	for next := at; ; next, rest = filepath.Join(at, rest[0]), rest[1:] {
		info, err := lookAt(next)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			err = judge(next, info)
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
