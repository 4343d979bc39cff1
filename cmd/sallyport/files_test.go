package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFilesAreRegular checks that a pipe that nobody writes to, and a device that never
// ends, are faults of every key that names a file, and are not read.
func TestFilesAreRegular(t *testing.T) {
	const at, secret, other = "issuers[0].opaque.", "names a file that cannot be read: not a regular file; give the path", "cannot be read: read "
	dir := opaqueFolder(t)
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"pipe", "/dev/zero"} {
		for name, row := range map[string]struct {
			config string
			want   string
		}{
			"secret":      {opaque("client: {id: api,", "  secret_file: "+file+"}"), "6:9: " + at + "client.secret_file: " + secret},
			"private key": {opaque("auth: private_key_jwt", "client: {id: api,", "  private_key_file: "+file+"}"), "7:9: " + at + "client.private_key_file: " + secret},
			"certificate": {opaque("auth: tls", "client: {id: api, key_file: pkcs8.pem,", "  certificate_file: "+file+"}"), "7:9: " + at + "client.certificate_file: " + secret},
			"key":         {opaque("auth: tls", "client: {id: api, certificate_file: cert.pem,", "  key_file: "+file+"}"), "7:9: " + at + "client.key_file: " + secret},
			"authorities": {opaque(basic) + "    ca_file: " + file + "\n", "6:5: issuers[0].ca_file: " + other},
			"answer keys": {opaque(basic, "signed: true", "keys: {file: "+file+"}"), "7:14: " + at + "keys.file: " + other},
			"keys":        {strings.Replace(minimal, "jwks.json", file, 1), "4:12: issuers[0].keys.file: " + other},
		} {
			t.Run(name+" "+filepath.Base(file), func(t *testing.T) {
				if text := checkFaultsIn(t, dir, row.config, []string{row.want}); !strings.Contains(text, "not a regular file") {
					t.Error(text)
				}
			})
		}
	}
}

// TestFilesAreBounded checks that no more than 16 MiB are read of the configuration and
// of each file that it or the command line names.
func TestFilesAreBounded(t *testing.T) {
	const tooLarge = "too large: it has more than 16777216 bytes"
	dir := opaqueFolder(t)
	large := filepath.Join(dir, "large.json")
	if err := os.WriteFile(large, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, maxFile+1); err != nil { // a sparse file
		t.Fatal(err)
	}
	for config, want := range map[string]string{
		opaque(basic) + "    ca_file: large.json\n":                 "6:5: issuers[0].ca_file: cannot be read: read " + large + ": " + tooLarge,
		strings.Replace(minimal, "jwks.json", "large.json", 1):      "4:12: issuers[0].keys.file: cannot be read: read " + large + ": " + tooLarge,
		opaque(basic, "signed: true", "keys: {file: 'large.json'}"): "7:14: issuers[0].opaque.keys.file: cannot be read: read " + large + ": " + tooLarge,
	} {
		checkFaultsIn(t, dir, config, []string{want})
	}
	good := filepath.Join(folder(t, map[string]string{"sallyport.yaml": minimal, "jwks.json": read(t, samples+"/jwks.json")}), "sallyport.yaml")
	for _, file := range []string{large, "/dev/zero"} {
		got := invoke(t, "", "verify", "--config", file)
		if want := "sallyport: configuration: read " + file + ": " + tooLarge + "\n"; got.status != exitConfig || got.err != want {
			t.Errorf("status %d, %q, want %q", got.status, got.err, want)
		}
		got = invoke(t, "", "verify", "--config", good, "--jwks", file)
		if want := file + ":1:1: cannot be read: read " + file + ": " + tooLarge + "\n"; got.status != exitConfig || !strings.HasPrefix(got.err, want) {
			t.Errorf("status %d, %q, want %q", got.status, got.err, want)
		}
	}
}

// TestPipedFiles checks that the configuration and the key file of the command line may
// be pipes, as shells make them for <(…).
func TestPipedFiles(t *testing.T) {
	dir := t.TempDir()
	config, keys := filepath.Join(dir, "config"), filepath.Join(dir, "keys")
	written := make(chan error, 2)
	for path, text := range map[string]string{config: minimal, keys: read(t, samples+"/jwks.json")} {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		go func() { written <- os.WriteFile(path, []byte(text), 0) }()
	}
	if got := invoke(t, "", "verify", "--config", config, "--jwks", keys); got.status != exitDone {
		t.Errorf("status %d, %s", got.status, got.err)
	}
	for range 2 {
		if err := <-written; err != nil {
			t.Error(err)
		}
	}
}
