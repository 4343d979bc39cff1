package snapshot

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"time"
)

const temporarySuffix = ".tmp"

// leftoverAge is how old a temporary file is before it counts as one of an attempt that
// was cut short. A younger one may be of another process that is about to rename it.
const leftoverAge = time.Minute

// replaceFile replaces the content of the named file as a whole or not at all, and
// removes the temporary files of earlier attempts that were cut short. A link of
// that name is replaced, not followed.
func replaceFile(root *os.Root, name, content string) error {
	removeLeftovers(root, name)
	// No fixed name: another process that removed and made it again would have
	// its half-written file put in place by our rename.
	temporary := name + "." + rand.Text() + temporarySuffix
	err := writeNew(root, temporary, content)
	if err == nil {
		err = root.Rename(temporary, name)
	}
	if err != nil {
		_ = root.Remove(temporary) // it may not be there
		return err
	}
	directory, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// removeLeftovers removes the old temporary files of the named file.
func removeLeftovers(root *os.Root, name string) {
	names, _ := fs.Glob(root.FS(), name+".*"+temporarySuffix) // the pattern is valid
	for _, leftover := range names {
		if info, err := root.Lstat(leftover); err == nil && time.Since(info.ModTime()) >= leftoverAge {
			_ = root.Remove(leftover) // a leftover does no harm
		}
	}
}

// writeNew makes a file that only this process's user can read, and syncs it to the
// disk.
func writeNew(root *os.Root, name, content string) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
