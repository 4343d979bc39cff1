package snapshot

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

const storeFileLimit = 8 << 20

var (
	errNotRegular = errors.New("is no regular file, and a symbolic link to one is not followed")
	errTooLarge   = errors.New("is larger than 8 MiB")
	errFormat     = errors.New("is not of format 1; another version may have written it")
	errChecksum   = errors.New("was cut off or changed since it was written")
	errText       = errors.New("cannot hold text that is not UTF-8")
	errMembers    = errors.New("does not have the members of format 1")
)

// storeFile is one kind of file: two lines of JSON. The first is the header, which
// has the SHA-256 of all that follows it. The second is a record. The checksum
// finds accidents; owner and mode protect against intent.
type storeFile struct {
	holds     string // in the header and in the name of the file
	mend      string
	withGroup bool // it is written where a group can write as well
}

// files are the files of one issuer in a directory, one of each kind.
type files struct {
	checkedDir

	name string // of the files, without the kind
}

// filesOf returns the files of issuer in dir. It does no I/O.
func filesOf(dir, issuer string) files {
	digest := sha256.Sum256([]byte(issuer))
	return files{
		// Clean, since a slash at the end would make lookAt follow a link.
		checkedDir: checkedDir{dir: filepath.Clean(dir), user: os.Geteuid()},
		name:       hex.EncodeToString(digest[:16]),
	}
}

func (s *files) path(f storeFile) string { return filepath.Join(s.dir, s.file(f)) }
func (s *files) file(f storeFile) string { return s.name + "." + f.holds + ".json" }

// header returns the line in front of body, and the text that every header of the
// format begins with.
func (f storeFile) header(body string) (line, format string) {
	format = fmt.Sprintf(`{"holds":%q,"format":1,`, f.holds)
	return fmt.Sprintf(`%s"sha256":"%x"}`, format, sha256.Sum256([]byte(body))), format
}

// read decodes a file into record, which points to a struct. The doubt is ErrGroup
// with its path, if a group can have changed or removed the file.
func (s *files) read(f storeFile, record any) (doubt, err error) {
	root, doubt, err := s.open()
	if errors.Is(err, fs.ErrNotExist) {
		return doubt, ErrNone
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	content, err := s.readFile(root, s.file(f))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return doubt, ErrNone
	case errors.Is(err, ErrGroup):
		doubt = cmp.Or(doubt, unusable(s.path(f), ErrGroup, groupMend(s.path(f))))
	case err != nil:
		return nil, unusable(s.path(f), err, f.mend)
	}
	line, body, _ := strings.Cut(content, "\n")
	want, format := f.header(body)
	if !strings.HasPrefix(line, format) {
		return nil, unusable(s.path(f), errFormat, f.mend)
	}
	if line != want {
		return nil, unusable(s.path(f), errChecksum, f.mend)
	}
	if strictjson.UnmarshalKnown(body, record) != nil { // its text may quote the file
		return nil, unusable(s.path(f), errMembers, f.mend)
	}
	return doubt, nil
}

// readFile returns the content of a file that only the process's user can write.
// With ErrGroup it returns the content of a file that its group can write too.
func (s *files) readFile(root *os.Root, name string) (string, error) {
	named, err := root.Lstat(name)
	if err != nil {
		return "", err
	}
	if !named.Mode().IsRegular() { // opening a pipe could block
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
	doubt := s.check(named, opened)
	if doubt != nil && !errors.Is(doubt, ErrGroup) {
		return "", doubt
	}
	content, err := io.ReadAll(io.LimitReader(file, storeFileLimit+1))
	if len(content) > storeFileLimit {
		return "", errTooLarge
	}
	return string(content), cmp.Or(err, doubt)
}

// write replaces a file by record, which points to a struct. If a group can write
// there, the error is ErrGroup, and the file is written if storeFile.withGroup.
func (s *files) write(f storeFile, record any) error {
	body, err := strictjson.Marshal(record)
	if err != nil { // only text that is not UTF-8 cannot be marshalled
		return unusable(s.path(f), errText, checkMend)
	}
	line, _ := f.header(body)
	content := line + "\n" + body
	if len(content) > storeFileLimit {
		return unusable(s.path(f), errTooLarge, checkMend)
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
		return unusable(s.path(f), err, writeMend)
	}
	return doubt
}
