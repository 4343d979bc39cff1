// Package logline writes what this module logs by itself. No caller waits for the logger:
// if it is slow or blocks, lines are lost and counted. Control characters in values are
// escaped.
package logline

import (
	"context"
	"log/slog"
	"time"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/internal/recordqueue"
)

// Bounds of the lines that wait for the logger.
const (
	maxLines = 256
	maxBytes = 256 << 10
)

// flushTime is how long Flush waits.
const flushTime = time.Second

// Log writes lines. It is made by [New] and safe for concurrent use. A nil Log writes
// nothing.
type Log struct {
	handler slog.Handler
	queue   *recordqueue.Queue
}

// New returns a Log. logger is called for each line, so that a change of [slog.Default]
// has an effect on a Log that was made before. New starts nothing.
func New(logger func() *slog.Logger) *Log {
	h := handler{logger: logger}
	return &Log{h, recordqueue.New(recordqueue.Config{
		Handler: h,
		Kinds:   []recordqueue.Kind{{Name: "lines", Records: maxLines, Bytes: maxBytes}},
		Summary: "sallyport: the logger is too slow or failed, and lines were lost",
	})}
}

// Enabled reports whether lines of that level are written.
func (l *Log) Enabled(level slog.Level) (enabled bool) {
	if l == nil {
		return false
	}
	defer hook.Recover()
	return l.handler.Enabled(context.Background(), level)
}

// Write writes a line. It does not wait for the logger. Attributes whose text may come from
// outside must be made by [Text] or [Error].
func (l *Log) Write(level slog.Level, message string, attrs ...slog.Attr) {
	if !l.Enabled(level) {
		return
	}
	record := slog.NewRecord(time.Now(), level, message, 0)
	record.AddAttrs(attrs...)
	l.queue.Put(0, record)
}

// Flush waits until the lines before are written, but no longer than a second. It is for
// the end of a program.
func (l *Log) Flush() {
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	_ = l.queue.Flush(ctx) // what is lost is counted by the queue
}

// handler is the handler of the logger at the time of each call.
type handler struct{ logger func() *slog.Logger }

func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.logger().Handler().Enabled(ctx, level)
}

func (h handler) Handle(ctx context.Context, record slog.Record) error {
	return h.logger().Handler().Handle(ctx, record)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.logger().Handler().WithAttrs(attrs)
}

func (h handler) WithGroup(name string) slog.Handler { return h.logger().Handler().WithGroup(name) }
