package jwkscache

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

const (
	storeFileLimit  = 4 << 20
	temporarySuffix = ".tmp"
	checkMend       = "what was there stays"
	writeMend       = "see that this process may write there and that there is room"
)

// Causes of errSnapshot in the directory and its files.
var (
	errNotDirectory = errors.New("is no directory, and a symbolic link to one is not followed")
	errNotRegular   = errors.New("is no regular file, and a symbolic link to one is not followed")
	errReplaced     = errors.New("was replaced while it was opened")
	errForeign      = errors.New("is owned by another user")
	errWritable     = errors.New("can be written by its group or by others")
	errTooLarge     = errors.New("is larger than 4 MiB")
	errFormat       = errors.New("is not of format 1; another version may have written it")
	errChecksum     = errors.New("was cut off or changed since it was written")
	errText         = errors.New("cannot hold text that is not UTF-8")
)

// A file of the store is two lines of JSON: the header, which has the SHA-256
// of all that follows it, and a record. The checksum finds accidents; against
// intent there are the owner and the mode.
type storeFile struct {
	holds string // in the header and in the name of the file
	mend  string
}

var (
	keysFile      = storeFile{holds: "keys", mend: "remove it, and the keys are fetched anew"}
	forbiddenFile = storeFile{holds: "forbidden", mend: "mend it from a copy, or remove it and forbid the keys again"}
)

func (s *store) path(f storeFile) string { return filepath.Join(s.dir, s.file(f)) }
func (s *store) file(f storeFile) string { return s.name + "." + f.holds + ".json" }

// header is the line in front of body, and what every header of the format
// begins with.
func (f storeFile) header(body string) (line, format string) {
	format = fmt.Sprintf(`{"holds":%q,"format":1,`, f.holds)
	return fmt.Sprintf(`%s"sha256":"%x"}`, format, sha256.Sum256([]byte(body))), format
}

// storeError is why what is at path is not used or not written, and what to do.
func storeError(path string, cause error, mend string) error {
	return fmt.Errorf("%w %s: %w; %s", errSnapshot, path, cause, mend)
}

// read decodes a file into record, which points to a struct.
func (s *store) read(f storeFile, record any) error {
	root, err := s.open()
	if errors.Is(err, fs.ErrNotExist) {
		return errNoSnapshot
	}
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	content, err := s.readFile(root, s.file(f))
	if errors.Is(err, fs.ErrNotExist) {
		return errNoSnapshot
	}
	if err != nil {
		return storeError(s.path(f), err, f.mend)
	}
	line, body, _ := strings.Cut(content, "\n")
	want, format := f.header(body)
	if !strings.HasPrefix(line, format) {
		return storeError(s.path(f), errFormat, f.mend)
	}
	if line != want {
		return storeError(s.path(f), errChecksum, f.mend)
	}
	if strictjson.UnmarshalKnown(body, record) != nil { // its text may quote the file
		return storeError(s.path(f), errMembers, f.mend)
	}
	return nil
}

// readFile is the content of a file whose content nobody else can have chosen.
func (s *store) readFile(root *os.Root, name string) (string, error) {
	named, err := root.Lstat(name)
	if err != nil {
		return "", err
	}
	if !named.Mode().IsRegular() { // opening a pipe could wait for ever
		return "", errNotRegular
	}
	file, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	opened, err := file.Stat()
	if err == nil {
		err = s.vet(named, opened)
	}
	if err != nil {
		return "", err
	}
	content, err := io.ReadAll(io.LimitReader(file, storeFileLimit+1))
	if len(content) > storeFileLimit {
		return "", errTooLarge
	}
	return string(content), err
}

// open opens the directory. The error has fs.ErrNotExist if there is none.
func (s *store) open() (*os.Root, error) {
	named, err := lookAt(s.dir)
	if err != nil {
		return nil, storeError(s.dir, err, directoryMend)
	}
	if !named.IsDir() {
		return nil, storeError(s.dir, errNotDirectory, directoryMend)
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, storeError(s.dir, err, directoryMend)
	}
	opened, err := root.Stat(".")
	if err == nil {
		err = s.vet(named, opened)
	}
	if err != nil {
		_ = root.Close()
		return nil, storeError(s.dir, err, directoryMend)
	}
	return root, nil
}

// vet judges what was opened: it must be what was looked at before, and nobody
// but its owner may be able to change it, who must be this process's user. A
// directory may be root's, who can change everything anyway.
func (s *store) vet(named, opened fs.FileInfo) error {
	switch {
	case !os.SameFile(named, opened):
		return errReplaced
	case !s.owns(opened):
		return errForeign
	case opened.Mode().Perm()&0o022 != 0:
		return errWritable
	default:
		return nil
	}
}

func (s *store) owns(info fs.FileInfo) bool {
	const root = 0
	return ownedBy(info, s.user) || info.IsDir() && ownedBy(info, root)
}

// write replaces a file by record, which points to a struct.
func (s *store) write(f storeFile, record any) error {
	body, err := strictjson.Marshal(record)
	if err != nil { // only text can be wrong in a record
		return storeError(s.path(f), errText, checkMend)
	}
	line, _ := f.header(body)
	content := line + "\n" + body
	if len(content) > storeFileLimit {
		return storeError(s.path(f), errTooLarge, checkMend)
	}
	root, err := s.open()
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return storeError(s.dir, err, writeMend)
		}
		root, err = s.open()
	}
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := replaceFile(root, s.file(f), content); err != nil {
		return storeError(s.path(f), err, writeMend)
	}
	return nil
}

// replaceFile gives the file name new content, as a whole or not at all, and
// removes what earlier attempts that were cut short left. A link of that name
// is replaced, not followed.
func replaceFile(root *os.Root, name, content string) error {
	leftovers, _ := fs.Glob(root.FS(), name+".*"+temporarySuffix) // the pattern is sound
	for _, leftover := range leftovers {
		_ = root.Remove(leftover) // what stays is in nobody's way
	}
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

// writeNew makes a file that only this process's user can read, on the disk
// when it returns.
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
