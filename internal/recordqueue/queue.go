// Package recordqueue hands log records to a slog.Handler without waiting for it. A
// handler that is slow, or blocks for ever, costs the records that do not fit, and
// nothing else.
//
// Records are of kinds. Each kind has room of its own, so that many records of one kind
// do not displace those of another.
package recordqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// summaryInterval is the least time between two summaries of a queue.
const summaryInterval = time.Minute

// Kind is a kind of records, and the room that it has while the handler is busy.
type Kind struct {
	// Name is the name in the summary.
	Name string
	// Records is the largest number of records that wait.
	Records int
	// Bytes is the largest size of all records that wait ([Size]).
	Bytes int
}

// Config is the configuration of a [Queue].
type Config struct {
	// Handler gets the records, one after the other, with [context.Background]. Required.
	Handler slog.Handler
	// Kinds are named by their index in calls of Put. Records of one kind are written in
	// their order. Records of different kinds take turns, so they may change places.
	Kinds []Kind
	// Summary is the message of the record that tells how many records were not written.
	// Its attributes are one number for each kind with such records, since the last
	// summary.
	Summary string
}

// Count is what became of the records of one kind. Put = Written + Skipped + Failed +
// Dropped + Waiting; the record that is with the handler counts as waiting.
type Count struct {
	Name    string
	Put     uint64 // calls of Put
	Written uint64 // the handler took them
	Skipped uint64 // the handler is not enabled for their level
	Failed  uint64 // the handler returned an error or panicked
	Dropped uint64 // there was no room, or the queue was closed
	Waiting uint64
}

// lost returns the number of records that will never be written.
func (c *Count) lost() uint64 { return c.Failed + c.Dropped }

// Queue hands records to a handler. [New] makes one. It is safe for concurrent use. A
// goroutine runs only while records wait.
type Queue struct {
	give    func(slog.Record) outcome
	message string

	mu      sync.Mutex // not held while the handler runs
	rooms   []room
	turn    int  // the room that is looked at first
	running bool // a goroutine writes
	closed  bool
	changed chan struct{} // closed after the next record; nil: nobody waits for that
	timer   *time.Timer   // of the next summary; nil: none is due
	due     bool          // a summary is to be written
}

// room has the records of one kind that wait.
type room struct {
	kind    Kind
	waiting []entry
	bytes   int
	in, out uint64 // how many records have come to wait, and how many of them do not any more
	count   Count
	told    uint64 // how many lost records the summaries have told
	telling uint64 // told, after the summary that is being written
}

// entry is a record that waits.
type entry struct {
	record slog.Record
	size   int
}

// New makes a Queue. It starts nothing.
func New(config Config) *Queue {
	q := &Queue{give: giver(config.Handler), message: config.Summary, rooms: make([]room, len(config.Kinds))}
	for i, kind := range config.Kinds {
		q.rooms[i].kind, q.rooms[i].count.Name = kind, kind.Name
	}
	return q
}

// Put hands over a record of the kind with this index, and reports whether there was room.
// It never waits for the handler. The record must not be changed afterwards; values of its
// attributes are resolved when it is written, so they should be plain ones.
func (q *Queue) Put(kind int, record slog.Record) bool {
	size := Size(record)
	q.mu.Lock()
	defer q.mu.Unlock()
	r := &q.rooms[kind]
	r.count.Put++
	if q.closed || len(r.waiting) >= r.kind.Records || r.bytes+size > r.kind.Bytes {
		r.count.Dropped++
		q.remind()
		return false
	}
	r.waiting = append(r.waiting, entry{record, size})
	r.bytes += size
	r.in++
	r.count.Waiting++
	q.start()
	return true
}

// Counts returns what became of the records so far, by kind.
func (q *Queue) Counts() []Count {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := make([]Count, len(q.rooms))
	for i := range q.rooms {
		all[i] = q.rooms[i].count
	}
	return all
}

// Flush waits until the handler got all records that were put before, and a summary of the
// records that were lost before. The error says how many records still wait when ctx ends.
func (q *Queue) Flush(ctx context.Context) error {
	targets := q.beginFlush()
	for {
		waiting, changed := q.remaining(targets)
		if changed == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d records were not written in time: %w", waiting, context.Cause(ctx))
		}
	}
}

// beginFlush returns for each room the number of the last record to wait for.
func (q *Queue) beginFlush() []uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	targets := make([]uint64, len(q.rooms))
	for i := range q.rooms {
		targets[i] = q.rooms[i].in
	}
	if q.untold() {
		q.summarize()
	}
	return targets
}

// Close is Flush, after which the queue takes no more records. Records that still wait when
// ctx ends are dropped; one that is with the handler then still counts as waiting. A second
// Close waits for nothing.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	closed := q.closed
	q.closed = true
	q.mu.Unlock()
	if closed {
		return errClosed
	}
	err := q.Flush(ctx)
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.rooms {
		q.rooms[i].discard()
	}
	if q.timer != nil {
		q.timer.Stop()
		q.timer = nil
	}
	q.announce()
	return err
}

var errClosed = errors.New("the queue is closed already")

// discard drops the records that wait.
func (r *room) discard() {
	n := uint64(len(r.waiting))
	r.out += n
	r.count.Waiting -= n
	r.count.Dropped += n
	r.waiting, r.bytes = nil, 0
}

// remaining returns how many records are left until the targets are reached, and a channel
// that is closed when that may have changed. The channel is nil if there is nothing to wait
// for.
func (q *Queue) remaining(targets []uint64) (records uint64, changed <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.rooms {
		if out := q.rooms[i].out; out < targets[i] {
			records += targets[i] - out
		}
	}
	if records == 0 && !q.due {
		return 0, nil
	}
	if q.changed == nil {
		q.changed = make(chan struct{})
	}
	return records, q.changed
}

// announce wakes those who wait in Flush. The lock is held.
func (q *Queue) announce() {
	if q.changed != nil {
		close(q.changed)
		q.changed = nil
	}
}
