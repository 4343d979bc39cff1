package recordqueue

import (
	"context"
	"log/slog"
	"time"

	"github.com/sallyport-auth/sallyport/internal/hook"
)

// outcome is what became of a record.
type outcome int

const (
	failed outcome = iota
	written
	skipped
)

// start starts the goroutine unless it runs. The lock is held.
func (q *Queue) start() {
	if !q.running {
		q.running = true
		go q.write()
	}
}

// write writes records until none is left. A handler that ends the goroutine loses the one
// record.
func (q *Queue) write() {
	var current *room
	ended := false
	defer func() {
		if !ended {
			q.account(current, failed)
			q.restart()
		}
	}()
	for {
		var record *slog.Record
		if current, record = q.next(); record == nil {
			ended = true
			return
		}
		q.account(current, q.give(*record))
	}
}

// giver returns a function that gives a record to the handler, with a context of its own
// since records outlive their requests. A panic of the handler counts as failed.
func giver(handler slog.Handler) func(slog.Record) outcome {
	ctx := context.Background()
	return func(record slog.Record) (result outcome) {
		defer hook.Recover()
		if !handler.Enabled(ctx, record.Level) {
			return skipped
		}
		if err := handler.Handle(ctx, record); err != nil {
			return failed
		}
		return written
	}
}

// next returns the summary, with a nil room, if one is due, and otherwise the oldest record
// of the room whose turn it is. If there is neither, it returns no record, and the goroutine
// must end.
func (q *Queue) next() (*room, *slog.Record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.due {
		return nil, q.summary()
	}
	for range q.rooms {
		r := &q.rooms[q.turn]
		q.turn = (q.turn + 1) % len(q.rooms)
		if len(r.waiting) > 0 {
			return r, r.first()
		}
	}
	q.running = false
	return nil, nil
}

// first takes the oldest record.
func (r *room) first() *slog.Record {
	e := r.waiting[0]
	r.waiting[0] = entry{} // the array must not keep it
	r.waiting = r.waiting[1:]
	r.bytes -= e.size
	return &e.record
}

// restart lets another goroutine write what is left.
func (q *Queue) restart() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running = false
	q.start()
}

// account counts a record that next returned. r is nil for a summary.
func (q *Queue) account(r *room, result outcome) {
	if r == nil {
		q.summarized(result)
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	r.out++
	r.count.Waiting--
	switch result {
	case written:
		r.count.Written++
	case skipped:
		r.count.Skipped++
	case failed:
		r.count.Failed++
		q.remind()
	}
	q.announce()
}

// remind makes a summary due in a minute, unless one is already. The lock is held.
func (q *Queue) remind() {
	if q.timer != nil || q.due || q.closed {
		return
	}
	q.timer = time.AfterFunc(summaryInterval, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.timer != nil {
			q.summarize()
		}
	})
}

// summarize lets the goroutine write a summary next. The lock is held.
func (q *Queue) summarize() {
	if q.timer != nil {
		q.timer.Stop()
		q.timer = nil
	}
	q.due = true
	q.start()
}

// untold reports whether records were lost that no summary has told. The lock is held.
func (q *Queue) untold() bool {
	for i := range q.rooms {
		if r := &q.rooms[i]; r.count.lost() > r.told {
			return true
		}
	}
	return false
}

// summary returns the summary. The lock is held.
func (q *Queue) summary() *slog.Record {
	record := slog.NewRecord(time.Now(), slog.LevelWarn, q.message, 0)
	for i := range q.rooms {
		r := &q.rooms[i]
		r.telling = r.count.lost()
		if r.telling > r.told {
			record.AddAttrs(slog.Uint64(r.kind.Name, r.telling-r.told))
		}
	}
	return &record
}

// summarized counts the summary. One that failed is told again, in a minute.
func (q *Queue) summarized(result outcome) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.due = false
	if result != failed {
		for i := range q.rooms {
			q.rooms[i].told = q.rooms[i].telling
		}
	}
	if q.untold() {
		q.remind()
	}
	q.announce()
}
