package recordqueue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/recordqueue"
)

// sink is a handler that keeps the messages that it gets.
type sink struct {
	mu    sync.Mutex
	texts []string
	do    func(record slog.Record) error // nil: nothing more
	level slog.Level
}

func (s *sink) Enabled(_ context.Context, level slog.Level) bool { return level >= s.level }
func (s *sink) WithAttrs([]slog.Attr) slog.Handler               { return s }
func (s *sink) WithGroup(string) slog.Handler                    { return s }

func (s *sink) Handle(_ context.Context, record slog.Record) error {
	if s.do != nil {
		if err := s.do(record); err != nil {
			return err
		}
	}
	text := record.Message
	record.Attrs(func(attr slog.Attr) bool { text += " " + attr.String(); return true })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts = append(s.texts, text)
	return nil
}

func (s *sink) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.texts)
}

// The kinds of the tests.
const (
	denial = iota
	privileged
)

func newQueue(s *sink, denials, privileged int) *recordqueue.Queue {
	return recordqueue.New(recordqueue.Config{Handler: s, Summary: "lost", Kinds: []recordqueue.Kind{
		{Name: "denials", Records: denials, Bytes: 1 << 20}, {Name: "privileged", Records: privileged, Bytes: 1 << 20},
	}})
}

func record(format string, args ...any) slog.Record {
	return slog.NewRecord(time.Now(), slog.LevelInfo, fmt.Sprintf(format, args...), 0)
}

// wantCount fails the test unless the numbers of a kind are those, and their sum is the number of records put.
func wantCount(t *testing.T, q *recordqueue.Queue, kind int, want recordqueue.Count) {
	t.Helper()
	got := q.Counts()[kind]
	want.Name = got.Name
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if sum := got.Written + got.Skipped + got.Failed + got.Dropped + got.Waiting; sum != got.Put {
		t.Errorf("%+v: the sum is %d", got, sum)
	}
}

// haveEnded reports whether there are no more goroutines than before. One that has returned
// still counts for a moment.
func haveEnded(before int) bool {
	for range 10_000 {
		if runtime.NumGoroutine() <= before {
			return true
		}
		runtime.Gosched()
	}
	return false
}

// TestWrites: records are written in their order, by a goroutine that ends.
func TestWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := runtime.NumGoroutine()
		s := &sink{}
		q := newQueue(s, 10, 10)
		if !haveEnded(before) {
			t.Error("New started a goroutine")
		}
		for i := range 5 {
			if !q.Put(denial, record("%d", i)) {
				t.Errorf("record %d had no room", i)
			}
		}
		synctest.Wait()
		if !haveEnded(before) {
			t.Error("a goroutine is left")
		}
		if got := strings.Join(s.got(), " "); got != "0 1 2 3 4" {
			t.Error(got)
		}
		q.Put(denial, record("5"))
		synctest.Wait()
		if got := s.got(); len(got) != 6 {
			t.Error(got)
		}
		wantCount(t, q, denial, recordqueue.Count{Put: 6, Written: 6})
	})
}

// TestBlockedHandler (A12): a handler that blocks costs the records for which there is no room and delays nobody. The number lost is exact and told in
// one line. When the handler is back, records flow again.
func TestBlockedHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked := make(chan struct{})
		s := &sink{do: func(slog.Record) error { <-blocked; return nil }}
		q := newQueue(s, 100, 10)
		began := time.Now()
		for i := range 100_000 {
			q.Put(denial, record("%d", i))
			if i%10_000 == 0 {
				q.Put(privileged, record("privileged %d", i))
			}
			if i == 10 {
				synctest.Wait() // the first record is with the handler
			}
		}
		if time.Since(began) != 0 {
			t.Error("Put waited")
		}
		wantCount(t, q, denial, recordqueue.Count{Put: 100_000, Dropped: 99_899, Waiting: 101})
		wantCount(t, q, privileged, recordqueue.Count{Put: 10, Waiting: 10})
		close(blocked)
		time.Sleep(59 * time.Second)
		wantCount(t, q, denial, recordqueue.Count{Put: 100_000, Dropped: 99_899, Written: 101})
		wantCount(t, q, privileged, recordqueue.Count{Put: 10, Written: 10})
		if got := s.got(); len(got) != 111 {
			t.Errorf("%d records before the summary", len(got))
		}
		time.Sleep(2 * time.Second)
		if got := s.got(); len(got) != 112 || got[111] != "lost denials=99899" {
			t.Errorf("%d records, the last is %q", len(got), got[len(got)-1])
		}
		q.Put(denial, record("again"))
		time.Sleep(time.Hour)
		if got := s.got(); len(got) != 113 || got[112] != "again" {
			t.Errorf("%d records, the last is %q", len(got), got[len(got)-1])
		}
	})
}

// TestSummaryEachMinute: there is one summary a minute, with what was lost since the last one. There is none if nothing was lost.
func TestSummaryEachMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		q := newQueue(s, 0, 0)
		for range 150 {
			q.Put(denial, record("dropped"))
			time.Sleep(1001 * time.Millisecond)
		}
		q.Put(privileged, record("dropped"))
		time.Sleep(time.Hour)
		if got, want := s.got(), []string{"lost denials=60", "lost denials=60", "lost denials=30 privileged=1"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// TestTurns: records of one kind do not wait until those of another are written.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked := make(chan struct{})
		s := &sink{do: func(slog.Record) error { <-blocked; return nil }}
		q := newQueue(s, 100, 100)
		for i := range 50 {
			q.Put(denial, record("denial %d", i))
		}
		q.Put(privileged, record("privileged"))
		close(blocked)
		synctest.Wait()
		if at := slices.Index(s.got(), "privileged"); at < 0 || at > 1 {
			t.Errorf("the privileged record has place %d", at)
		}
	})
}

// TestBytes: the size of what waits is bounded.
func TestBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked := make(chan struct{})
		s := &sink{do: func(slog.Record) error { <-blocked; return nil }}
		q := recordqueue.New(recordqueue.Config{Handler: s, Kinds: []recordqueue.Kind{{Name: "all", Records: 1000, Bytes: 100_000}}})
		long := slog.NewRecord(time.Now(), slog.LevelInfo, "", 0)
		long.AddAttrs(slog.Group("g", "k", strings.Repeat("x", 30_000)))
		if size := recordqueue.Size(long); size < 30_000 || size > 31_000 {
			t.Errorf("size %d", size)
		}
		q.Put(0, long)
		synctest.Wait()
		for range 10 {
			q.Put(0, long)
		}
		wantCount(t, q, 0, recordqueue.Count{Put: 11, Waiting: 4, Dropped: 7})
		close(blocked)
		synctest.Wait()
		if !q.Put(0, long) {
			t.Error("no room after the records were written")
		}
	})
}

// TestBadHandlers: records are lost and counted if the handler returns an error, panics or ends the goroutine, and skipped if it is not enabled. Others
// are written.
func TestBadHandlers(t *testing.T) {
	for name, bad := range map[string]func() error{
		"error": func() error { return errors.New("full") },
		"panic": func() error { panic("broken") },
		"exit":  func() error { runtime.Goexit(); return nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &sink{}
			s.do = func(r slog.Record) error {
				if r.Message == "bad" {
					return bad()
				}
				return nil
			}
			q := newQueue(s, 10, 10)
			q.Put(denial, record("bad"))
			q.Put(denial, record("good"))
			q.Put(privileged, record("good"))
			synctest.Wait()
			wantCount(t, q, denial, recordqueue.Count{Put: 2, Failed: 1, Written: 1})
			time.Sleep(2 * time.Minute)
			if got, want := s.got(), []string{"good", "good", "lost denials=1"}; !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s := &sink{level: slog.LevelError}
		q := newQueue(s, 10, 10)
		q.Put(denial, record("info"))
		synctest.Wait()
		wantCount(t, q, denial, recordqueue.Count{Put: 1, Skipped: 1})
	})
}

// TestFailedSummary: a summary that the handler refuses, or that ends the goroutine, is told again with what was lost since.
func TestFailedSummary(t *testing.T) {
	for name, bad := range map[string]func() error{
		"error": func() error { return errors.New("full") },
		"exit":  func() error { runtime.Goexit(); return nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			s := &sink{do: func(slog.Record) error {
				if calls++; calls == 1 {
					return bad()
				}
				return nil
			}}
			q := newQueue(s, 0, 0)
			q.Put(denial, record("dropped"))
			time.Sleep(90 * time.Second)
			q.Put(denial, record("dropped"))
			time.Sleep(time.Hour)
			if got, want := s.got(), []string{"lost denials=2"}; !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		})
	}
}

// TestFlush: Flush waits for what was put before, with the summary, within the bound of its context.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{do: func(slog.Record) error { time.Sleep(time.Second); return nil }}
		q := newQueue(s, 5, 5)
		if err := q.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		for i := range 10 {
			q.Put(denial, record("%d", i))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		err := q.Flush(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "4 records") {
			t.Error(err)
		}
		if err := q.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if got, want := strings.Join(s.got(), ", "), "lost denials=5, 0, 1, 2, 3, 4"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		time.Sleep(time.Hour)
		if got := s.got(); len(got) != 6 {
			t.Errorf("told again: %q", got)
		}
	})
}

// TestFlushSummary: Flush also waits for the summary if no record waits.
func TestFlushSummary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{do: func(slog.Record) error { time.Sleep(time.Second); return nil }}
		q := newQueue(s, 0, 0)
		q.Put(denial, record("dropped"))
		if err := q.Flush(t.Context()); err != nil || len(s.got()) != 1 {
			t.Error(err, s.got())
		}
	})
}

// TestLossBeforeSummary: a record that is lost while a summary waits is told by that one, and
// no other follows.
func TestLossBeforeSummary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked := make(chan struct{})
		s := &sink{do: func(slog.Record) error { <-blocked; return nil }}
		q := newQueue(s, 1, 1)
		q.Put(denial, record("0"))
		synctest.Wait() // it is with the handler
		q.Put(denial, record("1"))
		q.Put(denial, record("2"))
		time.Sleep(time.Hour)
		q.Put(denial, record("3"))
		close(blocked)
		time.Sleep(time.Hour)
		if got := s.got(); len(got) != 3 || !slices.Contains(got, "lost denials=2") {
			t.Errorf("%q", got)
		}
	})
}

// TestClose: Close writes what waits within its bound, drops and counts the rest, and ends the queue.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked := make(chan struct{})
		s := &sink{do: func(slog.Record) error { <-blocked; return nil }}
		q := newQueue(s, 5, 5)
		for i := range 3 {
			q.Put(denial, record("%d", i))
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		waiting := make(chan error)
		go func() { waiting <- q.Flush(t.Context()) }()
		synctest.Wait()
		if err := q.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		wantCount(t, q, denial, recordqueue.Count{Put: 3, Waiting: 1, Dropped: 2})
		if q.Put(denial, record("late")) {
			t.Error("a closed queue took a record")
		}
		if err := q.Close(t.Context()); err == nil {
			t.Error("closed twice")
		}
		close(blocked)
		if err := <-waiting; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		wantCount(t, q, denial, recordqueue.Count{Put: 4, Written: 1, Dropped: 3})
		q.Put(denial, record("later"))
		time.Sleep(time.Hour)
		if got := s.got(); len(got) != 1 {
			t.Errorf("written after Close: %q", got[1:])
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		q := newQueue(s, 5, 5)
		q.Put(denial, record("last"))
		if err := q.Close(t.Context()); err != nil || len(s.got()) != 1 {
			t.Error(err, s.got())
		}
	})
}

// TestConcurrent: the numbers add up under many callers.
func TestConcurrent(t *testing.T) {
	s := &sink{}
	q := newQueue(s, 50, 50)
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			for range 2000 {
				q.Put(i%2, record("x"))
			}
		})
	}
	callers.Wait()
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
	lines := 0
	for _, text := range s.got() {
		if text == "x" {
			lines++
		}
	}
	counts := q.Counts()
	if all := counts[0].Written + counts[1].Written; all != uint64(lines) {
		t.Errorf("%d written, %d lines", all, lines)
	}
	for kind, count := range counts {
		wantCount(t, q, kind, recordqueue.Count{Put: 8000, Written: count.Written, Dropped: count.Dropped})
	}
}
