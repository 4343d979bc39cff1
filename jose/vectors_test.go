package jose_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// vectorsDir returns the directory of the third-party vectors, which are not part of
// the repository: ../shared/vectors beside it, or the directory that
// SALLYPORT_VECTORS names, which may be relative to the repository's root. The test
// is skipped if there is none.
func vectorsDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("SALLYPORT_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "shared", "vectors")
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("..", dir) // this package is one level below the root
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no third-party vectors in %s; set SALLYPORT_VECTORS", dir)
	}
	return dir
}

// readVectors decodes one file of the third-party vectors.
func readVectors(t *testing.T, name string, dst any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(vectorsDir(t), name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, dst); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
