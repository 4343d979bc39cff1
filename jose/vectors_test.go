package jose_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// vectorsDir is where the third-party vectors are, which are not part of the
// repository: in ../shared/vectors beside it, or where SALLYPORT_VECTORS says,
// which may be relative to the repository's root. Where they are not, as on a
// user's machine, the test is skipped.
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
