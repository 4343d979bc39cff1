package introspect_test

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport-auth/sallyport/introspect"
)

const secretText = "canary-secret"

var errVault = errors.New("injected")

// TestSecretFile checks that one line break at the end of the file is left out, and that
// a file that is missing, is empty or is too large is an error. So is what is no regular
// file: a folder, a pipe that nobody writes to, and a device that never ends.
func TestSecretFile(t *testing.T) {
	const largest = 64 << 10
	folder := t.TempDir()
	for name, row := range map[string]struct{ content, want, fault string }{
		"plain":          {content: secretText, want: secretText},
		"line":           {content: secretText + "\n", want: secretText},
		"line of DOS":    {content: secretText + "\r\n", want: secretText},
		"two lines":      {content: secretText + "\n\n", want: secretText + "\n"},
		"spaces":         {content: " a b ", want: " a b "},
		"empty":          {content: "", fault: "the secret is empty: file "},
		"only a line":    {content: "\r\n", fault: "the secret is empty: file "},
		"largest":        {content: strings.Repeat("x", largest), want: strings.Repeat("x", largest)},
		"one byte more":  {content: strings.Repeat("x", largest+1), fault: ": too large: it has more than 65536 bytes"},
		"with line, too": {content: strings.Repeat("x", largest) + "\n", fault: ": too large: it has more than 65536 bytes"},
	} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(row.content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := introspect.SecretFile(path).Read(t.Context())
		if got != row.want || (err == nil) != (row.fault == "") || err != nil && !strings.Contains(err.Error(), row.fault) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if _, err := introspect.SecretFile(filepath.Join(folder, "none")).Read(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	pipe := filepath.Join(folder, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{folder, pipe, "/dev/zero"} {
		if _, err := introspect.SecretFile(path).Read(t.Context()); err == nil || err.Error() != "introspect: read "+path+": not a regular file" {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestSecretIsReadAgain checks that each Read reads the file.
func TestSecretIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	secret := introspect.SecretFile(path)
	for _, want := range []string{"a", "b"} {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := secret.Read(t.Context()); got != want || err != nil {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
}

// TestSecretRead checks that an error of a function is returned as it is and with no
// secret, and that an empty secret and none at all are errors.
func TestSecretRead(t *testing.T) {
	function := func(text string, err error) introspect.Secret {
		return introspect.SecretFunc(func(context.Context) (string, error) { return text, err })
	}
	for name, row := range map[string]struct {
		secret  introspect.Secret
		want    string
		fault   string
		is      error
		missing bool
	}{
		"text":               {secret: introspect.SecretText(secretText), want: secretText},
		"function":           {secret: function(secretText, nil), want: secretText},
		"empty text":         {secret: introspect.SecretText(""), fault: "introspect: the secret is empty: a text"},
		"empty":              {secret: function("", nil), fault: "introspect: the secret is empty: a function"},
		"error":              {secret: function("", errVault), fault: "injected", is: errVault},
		"error with a text":  {secret: function(secretText, errVault), fault: "injected", is: errVault},
		"none":               {fault: "introspect: the secret is empty", missing: true},
		"none as a function": {secret: introspect.SecretFunc(nil), fault: "introspect: the secret is empty", missing: true},
	} {
		got, err := row.secret.Read(t.Context())
		if got != row.want || row.secret.IsZero() != row.missing {
			t.Errorf("%s: %q, %v", name, got, row.secret.IsZero())
		}
		if (err == nil) != (row.fault == "") || err != nil && err.Error() != row.fault || row.is != nil && !errors.Is(err, row.is) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSecretPrints checks that a Secret prints as where it comes from, under the verbs
// and in logs and texts, and never as itself.
func TestSecretPrints(t *testing.T) {
	for want, secret := range map[string]introspect.Secret{
		"no secret":         {},
		"a text":            introspect.SecretText(secretText),
		`file "/run/s.txt"`: introspect.SecretFile("/run/s.txt"),
		"a function":        introspect.SecretFunc(func(context.Context) (string, error) { return secretText, nil }),
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if got := fmt.Sprintf(verb, secret); got != want {
				t.Errorf("%s: %q, want %q", verb, got, want)
			}
		}
		if got := fmt.Sprintf("%p %T", secret, secret); strings.Contains(got, secretText) { // these call no method
			t.Error(got)
		}
		text, err := encoding.TextMarshaler(secret).MarshalText()
		if string(text) != want || err != nil {
			t.Errorf("%q, %v", text, err)
		}
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", secret)
		if strings.Contains(log.String(), secretText) || !strings.Contains(log.String(), fmt.Sprintf("%q", want)) {
			t.Errorf("%s", log.String())
		}
	}
}
