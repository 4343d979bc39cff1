package jwkscache

import (
	"cmp"
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

	writableByOthers fs.FileMode = 0o002
	writableByGroup  fs.FileMode = 0o020
)

// Causes of errSnapshot in the directory and its files.
var (
	errNotDirectory = errors.New("is no directory, and a symbolic link to one is not followed")
	errNotRegular   = errors.New("is no regular file, and a symbolic link to one is not followed")
	errReplaced     = errors.New("was replaced while it was opened")
	errForeign      = errors.New("is owned by another user")
	errWritable     = errors.New("can be written by others")
	errGroup        = errors.New("can be written by its group")
	errTooLarge     = errors.New("is larger than 4 MiB")
	errFormat       = errors.New("is not of format 1; another version may have written it")
	errChecksum     = errors.New("was cut off or changed since it was written")
	errText         = errors.New("cannot hold text that is not UTF-8")
)

// A file of the store is two lines of JSON: the header, which has the SHA-256
// of all that follows it, and a record. The checksum finds accidents; against
// intent there are the owner and the mode.
type storeFile struct {
	holds     string // in the header and in the name of the file
	mend      string
	withGroup bool // it is written where a group can write as well
}

var (
	keysFile      = storeFile{holds: "keys", mend: "remove it, and the keys are fetched anew"}
	forbiddenFile = storeFile{holds: "forbidden", mend: "mend it from a copy, or remove it and forbid the keys again", withGroup: true}
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

// read decodes a file into record, which points to a struct. The doubt is why a
// group can have changed what was read, or removed it; see vetAbove.
func (s *store) read(f storeFile, record any) (doubt, err error) {
	root, doubt, err := s.open()
	if errors.Is(err, fs.ErrNotExist) {
		return doubt, errNoSnapshot
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	content, err := s.readFile(root, s.file(f))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return doubt, errNoSnapshot
	case errors.Is(err, errGroup):
		doubt = cmp.Or(doubt, storeError(s.path(f), errGroup, groupMend(s.path(f))))
	case err != nil:
		return nil, storeError(s.path(f), err, f.mend)
	}
	line, body, _ := strings.Cut(content, "\n")
	want, format := f.header(body)
	if !strings.HasPrefix(line, format) {
		return nil, storeError(s.path(f), errFormat, f.mend)
	}
	if line != want {
		return nil, storeError(s.path(f), errChecksum, f.mend)
	}
	if strictjson.UnmarshalKnown(body, record) != nil { // its text may quote the file
		return nil, storeError(s.path(f), errMembers, f.mend)
	}
	return doubt, nil
}

// readFile is the content of a file whose content nobody else can have chosen,
// or, with errGroup, nobody but its group.
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
	if err != nil {
		return "", err
	}
	vetted := s.vet(named, opened)
	if vetted != nil && !errors.Is(vetted, errGroup) {
		return "", vetted
	}
	content, err := io.ReadAll(io.LimitReader(file, storeFileLimit+1))
	if len(content) > storeFileLimit {
		return "", errTooLarge
	}
	return string(content), cmp.Or(err, vetted)
}

// open opens the directory. The error has fs.ErrNotExist if there is none. The
// doubt is why a group can change what is there; see vetAbove.
func (s *store) open() (root *os.Root, doubt, err error) {
	named, err := lookAt(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, storeError(s.dir, err, directoryMend)
	}
	doubt, errAbove := s.vetAbove()
	if errAbove != nil {
		return nil, nil, errAbove
	}
	if err != nil {
		return nil, doubt, storeError(s.dir, err, directoryMend)
	}
	if !named.IsDir() {
		return nil, nil, storeError(s.dir, errNotDirectory, directoryMend)
	}
	root, err = os.OpenRoot(s.dir)
	if err != nil {
		return nil, nil, storeError(s.dir, err, directoryMend)
	}
	opened, err := root.Stat(".")
	if err == nil {
		err = s.vet(named, opened)
	}
	switch {
	case errors.Is(err, errGroup):
		doubt = cmp.Or(doubt, storeError(s.dir, errGroup, groupMend(s.dir)))
	case err != nil:
		_ = root.Close()
		return nil, nil, storeError(s.dir, err, directoryMend)
	}
	return root, doubt, nil
}

// vet judges what was opened: it must be what was looked at before, and nobody
// but its owner may be able to change it, who must be this process's user. A
// directory may be root's, who can change everything anyway. If the group is the
// only fault, the error is errGroup.
func (s *store) vet(named, opened fs.FileInfo) error {
	switch {
	case !os.SameFile(named, opened):
		return errReplaced
	case !s.owns(opened):
		return errForeign
	case opened.Mode()&writableByOthers != 0:
		return errWritable
	case opened.Mode()&writableByGroup != 0:
		return errGroup
	default:
		return nil
	}
}

func (s *store) owns(info fs.FileInfo) bool {
	const root = 0
	return ownedBy(info, s.user) || info.IsDir() && ownedBy(info, root)
}

// write replaces a file by record, which points to a struct. Where a group can
// change that, some files are written nevertheless, and the error is errGroup.
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
	root, doubt, err := s.openOrMake()
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if doubt != nil && !f.withGroup {
		return doubt
	}
	if err := replaceFile(root, s.file(f), content); err != nil {
		return storeError(s.path(f), err, writeMend)
	}
	return doubt
}

// openOrMake opens the directory, and makes it if it is not there.
func (s *store) openOrMake() (root *os.Root, doubt, err error) {
	root, doubt, err = s.open()
	if !errors.Is(err, fs.ErrNotExist) {
		return root, doubt, err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, nil, storeError(s.dir, err, writeMend)
	}
	return s.open()
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
