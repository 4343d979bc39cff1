package introspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/boundedfile"
)

// maxSecretFile is the largest file of a secret, in bytes.
const maxSecretFile = 64 << 10

var errNoSecret = errors.New("introspect: the secret is empty")

// Secret is where a secret comes from: [SecretText], [SecretFile] or [SecretFunc]. It is
// read when it is needed, and again if the server refuses it, so that it can be
// changed without a restart. It prints where it comes from, and never its text. The
// zero Secret is none.
type Secret struct {
	name string
	read func(context.Context) (string, error)
}

// SecretText returns a Secret that is text.
func SecretText(text string) Secret {
	return Secret{"a text", func(context.Context) (string, error) { return text, nil }}
}

// SecretFile returns the Secret in a regular file of at most 64 KiB. One line break at
// its end is left out. Symbolic links are followed; pipes and devices are not read.
func SecretFile(path string) Secret {
	return Secret{fmt.Sprintf("file %q", path), func(context.Context) (string, error) { return readSecretFile(path) }}
}

// SecretFunc returns the Secret that read returns, such as one from a vault. read is
// called when the secret is needed first, and no more than once in five seconds after
// that. Its context has a deadline and no values of a request. With a nil read, there is
// no Secret.
func SecretFunc(read func(context.Context) (string, error)) Secret {
	return Secret{"a function", read}
}

func readSecretFile(path string) (string, error) {
	text, err := boundedfile.ReadRegular(path, maxSecretFile)
	if err != nil {
		return "", fmt.Errorf("introspect: %w", err)
	}
	secret := strings.TrimSuffix(string(text), "\n")
	return strings.TrimSuffix(secret, "\r"), nil
}

// IsZero reports whether s is none.
func (s Secret) IsZero() bool { return s.read == nil }

// Read returns the secret. An empty one is an error.
func (s Secret) Read(ctx context.Context) (string, error) {
	if s.IsZero() {
		return "", errNoSecret
	}
	text, err := s.read(ctx)
	if err == nil && text == "" {
		err = fmt.Errorf("%w: %s", errNoSecret, s)
	}
	if err != nil {
		return "", err
	}
	return text, nil
}

// String says where the secret comes from.
func (s Secret) String() string {
	if s.IsZero() {
		return "no secret"
	}
	return s.name
}

// Format writes where the secret comes from, under every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue returns where the secret comes from.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns where the secret comes from.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
