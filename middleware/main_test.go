package middleware_test

import (
	"log/slog"
	"testing"
)

// TestMain keeps the lines of all tests that have no Logger out of the output.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	m.Run()
}
