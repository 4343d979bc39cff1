// Command trace prints which requirement of the catalogue is named by which
// test. The catalogue is ../shared/REQUIREMENTS.md beside the repository, or
// the file that SALLYPORT_REQUIREMENTS names.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/sallyport-auth/sallyport/internal/archtest"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "trace:", err)
		os.Exit(1)
	}
}

func run() error {
	root, err := repository()
	if err != nil {
		return err
	}
	traced, err := archtest.Traced(os.DirFS(root))
	if err != nil {
		return err
	}
	file := cmp.Or(os.Getenv("SALLYPORT_REQUIREMENTS"), filepath.Join(root, "..", "shared", "REQUIREMENTS.md"))
	text, err := os.ReadFile(file)
	ids := archtest.Catalogue(string(text))
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Print(archtest.Report(slices.Sorted(maps.Keys(traced)), traced))
		fmt.Printf("The catalogue is not there (%s), so this tells only what tests name.\n", file)
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Print(archtest.Report(ids, traced))
	return nil
}

// repository finds the folder with go.work, from the working directory up.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.work here or above")
		}
		dir = parent
	}
}
