package snapshot

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
)

var (
	errNotDirectory = errors.New("is no directory, and a symbolic link to one is not followed")
	errReplaced     = errors.New("was replaced while it was opened")
)

// checkedDir is a directory whose owner and mode are checked on each use.
type checkedDir struct {
	dir  string
	user int // the effective user of the process
}

// open opens the directory. The error wraps fs.ErrNotExist if there is none. The
// doubt is ErrGroup with its path, if a group can write there.
func (d *checkedDir) open() (root *os.Root, doubt, err error) {
	named, err := lookAt(d.dir)
	doubt, errAbove := checkAbove(d.dir, d.user)
	if errAbove != nil {
		return nil, nil, errAbove
	}
	if err != nil {
		return nil, doubt, unusable(d.dir, err, directoryMend)
	}
	if !named.IsDir() {
		return nil, nil, unusable(d.dir, errNotDirectory, directoryMend)
	}
	root, err = os.OpenRoot(d.dir)
	if err != nil {
		return nil, nil, unusable(d.dir, err, directoryMend)
	}
	opened, err := root.Stat(".")
	if err == nil {
		err = d.check(named, opened)
	}
	switch {
	case errors.Is(err, ErrGroup):
		doubt = cmp.Or(doubt, unusable(d.dir, ErrGroup, groupMend(d.dir)))
	case err != nil:
		_ = root.Close()
		return nil, nil, unusable(d.dir, err, directoryMend)
	}
	return root, doubt, nil
}

// check checks a directory or file that was opened: it must be the one that was
// looked at before, its owner must be the process's user, and nobody else may be
// able to write to it. A directory may also be root's, who can change everything
// anyway. The error is ErrGroup if the group is the only fault.
func (d *checkedDir) check(named, opened fs.FileInfo) error {
	switch {
	case !os.SameFile(named, opened):
		return errReplaced
	case !d.owns(opened):
		return errForeign
	case opened.Mode()&writableByOthers != 0:
		return errWritable
	case opened.Mode()&writableByGroup != 0:
		return ErrGroup
	default:
		return nil
	}
}

// owns reports whether the owner of a file is the process's user, or that of a
// directory the process's user or root.
func (d *checkedDir) owns(info fs.FileInfo) bool {
	return ownedBy(info, d.user) || info.IsDir() && ownedBy(info, rootUser)
}

// openOrMake opens the directory, and makes it if there is none.
func (d *checkedDir) openOrMake() (root *os.Root, doubt, err error) {
	root, doubt, err = d.open()
	if !errors.Is(err, fs.ErrNotExist) {
		return root, doubt, err
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, nil, unusable(d.dir, err, writeMend)
	}
	return d.open()
}
