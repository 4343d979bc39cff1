// Package boundedfile reads files that a configuration names, up to a size.
package boundedfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ErrNotRegular means that a file is not a regular one: a folder, a pipe, a device or a
// socket.
var ErrNotRegular = errors.New("not a regular file")

// ErrTooLarge means that a file has more bytes than allowed.
var ErrTooLarge = errors.New("too large")

// ReadRegular returns the content of a regular file of at most limit bytes. It follows
// symbolic links. Every error is a [*fs.PathError], whose Err does not name the file.
func ReadRegular(path string, limit int) ([]byte, error) {
	info, err := os.Stat(path) // before opening, because opening a pipe waits for its writer
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: ErrNotRegular}
	}
	return Read(path, limit)
}

// Read returns the content of a file of any type, of at most limit bytes. It waits for the
// writer of a pipe. Every error is a [*fs.PathError], whose Err does not name the file.
func Read(path string, limit int) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	content, err := io.ReadAll(io.LimitReader(file, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(content) > limit {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%w: it has more than %d bytes", ErrTooLarge, limit)}
	}
	return content, nil
}
