package issuerkeys_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// TestRelativeFileWithoutADirectory shows that Open refuses a relative path if the
// working directory is not known, because it was removed.
func TestRelativeFileWithoutADirectory(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	must(t, os.Remove(dir))
	keys, err := issuerkeys.Open(jwkscache.File("jwks.json"), issuerkeys.Binding{})
	if keys != nil || err == nil || !strings.Contains(err.Error(), "Keys has a path that cannot be used") || !strings.Contains(err.Error(), "absolute path") {
		t.Errorf("%v", err)
	}
}

// TestFileThatCannotBeRead shows that a key file which cannot be opened, or whose
// content cannot be read, is reported with the error of the system. The files are
// such ones for every user, also for root.
func TestFileThatCannotBeRead(t *testing.T) {
	for name, row := range map[string]struct {
		path string
		want error
	}{
		"opened": {"/proc/sys/vm/drop_caches", fs.ErrPermission},
		"read":   {"/proc/self/mem", syscall.EIO},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := os.ReadFile(row.path); !errors.Is(err, row.want) {
				t.Skipf("%s can be read here, or is not there: %v", row.path, err)
			}
			err := bindTo(t, jwkscache.File(row.path)).Warm(t.Context())
			wants(t, "warm", err, row.want)
			wants(t, "warm", err, issuerkeys.ErrUnavailable)
		})
	}
}
