package jose

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// standard decodes segment with the standard library, and refuses CR and LF, which
// it ignores.
func standard(dst []byte, segment string) ([]byte, bool) {
	dst, err := base64.RawURLEncoding.Strict().AppendDecode(dst, []byte(segment))
	return dst, err == nil && !strings.ContainsAny(segment, "\r\n")
}

// TestAppendDecoded covers R-JS-02: it compares the decoder with the standard
// library for every character at every position of segments that reach each of its
// loops.
func TestAppendDecoded(t *testing.T) {
	const text = "AZaz09-_"
	for length := range 3*len(text) + 1 {
		segment := []byte(strings.Repeat(text, 4)[:length])
		for place := range max(1, length) {
			for c := range 256 {
				if length > 0 {
					segment[place] = byte(c)
				}
				before := []byte("before")
				got, err := appendDecoded(before, string(segment))
				want, ok := standard(before, string(segment))
				if (err == nil) != ok || ok && !bytes.Equal(got, want) {
					t.Fatalf("%q: %q, %v; the standard library has %q, %v", segment, got, err, want, ok)
				}
			}
			if length > 0 {
				segment[place] = text[place%len(text)]
			}
		}
	}
}

// TestAppendDecodedSpareBits checks that unused bits in the last two or three
// characters must be zero.
func TestAppendDecodedSpareBits(t *testing.T) {
	for _, segment := range []string{"A", "AAAAA", "AAAAAAAAA"} {
		if _, err := appendDecoded(nil, segment); err == nil {
			t.Errorf("%q is accepted, and no bytes are written so", segment)
		}
	}
	for last := range 1 << 12 {
		three := "A" + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last>>6]) +
			string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last&63])
		for _, segment := range []string{three, three[1:]} {
			got, err := appendDecoded(nil, segment)
			want, ok := standard(nil, segment)
			if (err == nil) != ok || ok && !bytes.Equal(got, want) {
				t.Fatalf("%q: %q, %v; the standard library has %q, %v", segment, got, err, want, ok)
			}
		}
	}
}

// TestAppendDecodedInPlace checks that the bytes before and after the appended ones
// are not changed.
func TestAppendDecodedInPlace(t *testing.T) {
	for size := range 20 {
		segment := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{'x'}, size))
		buffer := []byte(strings.Repeat("-", 40))
		got, err := appendDecoded(buffer[:3], segment)
		want := "---" + strings.Repeat("x", size)
		if err != nil || string(got) != want || string(buffer) != want+strings.Repeat("-", 40-len(want)) {
			t.Errorf("%d bytes: %q (%v), buffer %q", size, got, err, buffer)
		}
	}
}

func BenchmarkAppendDecoded(b *testing.B) {
	for _, size := range []int{64, 256, 414} { // a signature of ECDSA, one of RSA, the claims
		segment := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte("claims"), size)[:size])
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			buffer := make([]byte, 0, size)
			for b.Loop() {
				_, _ = appendDecoded(buffer, segment)
			}
		})
		b.Run(fmt.Sprint(size)+" standard", func(b *testing.B) {
			buffer := make([]byte, 0, size)
			for b.Loop() {
				_, _ = standard(buffer, segment)
			}
		})
	}
}
