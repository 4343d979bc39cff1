package issuerkeys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// file is an upstream on disk. It follows symbolic links, because mounted
// configuration is replaced by changing a link.
type file struct {
	path   string
	limits *jwkscache.Limits
}

var errNotFile = errors.New("jwkscache: not a regular file")

func (f *file) fetch(context.Context, inquiry) (answer, error) {
	a := answer{location: f.path, fresh: f.limits.FilePoll}
	document, err := f.read()
	if err != nil {
		return a, fmt.Errorf("jwkscache: %w", err)
	}
	a.document = string(document)
	return a, nil
}

func (f *file) read() ([]byte, error) {
	info, err := os.Stat(f.path) // before opening, because opening a pipe waits for its writer
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", f.path, errNotFile)
	}
	opened, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer opened.Close() //nolint:errcheck // nothing was written
	document, err := io.ReadAll(io.LimitReader(opened, int64(f.limits.DocumentBytes)+1))
	if err != nil {
		return nil, err
	}
	if len(document) > f.limits.DocumentBytes {
		return nil, fmt.Errorf("%s: %w", f.path, fetch.ErrTooLarge)
	}
	return document, nil
}
