package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/sallyport-auth/sallyport/internal/clock"
)

var (
	errUnknown = errors.New("no such name")
	errDown    = errors.New("the source is down")
)

// thing is the type of the values in these tests.
type thing struct{ name, text string }

// source is the function Find of these tests.
type source struct {
	mu      sync.Mutex
	calls   int
	err     error         // of all names, or nil
	text    string        // of all names
	takes   time.Duration // of each call
	ignores chan struct{} // if it is not nil, calls ignore their context until it is closed
	opening func()        // called by each Opener, if it is not nil
	entered int           // values in the Directory
}

// find finds all names except those that begin with "nobody".
func (s *source) find(ctx context.Context, name string) (Opener[thing], error) {
	s.mu.Lock()
	s.calls++
	err, takes, ignores := s.err, s.takes, s.ignores
	s.mu.Unlock()
	if ignores != nil {
		<-ignores
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(takes):
	}
	switch {
	case err != nil:
		return nil, err
	case strings.HasPrefix(name, "nobody"):
		return nil, errUnknown
	}
	return func(before *thing) (*thing, error) {
		if s.opening != nil {
			s.opening()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if before != nil && before.text == s.text {
			return before, nil
		}
		return &thing{name, s.text}, nil
	}, nil
}

func (s *source) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// asked returns how often find was called since the last call of asked.
func (s *source) asked() int {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.calls
	s.calls = 0
	return n
}

// names is a memory of accepted names without a file.
type names map[string]bool

func (n names) Load(context.Context) error { return nil }
func (n names) Has(name string) bool       { return n[name] }
func (n names) Add(name string)            { n[name] = true }
func (n names) Remove(name string)         { delete(n, name) }

func newTest(size int) (*Directory[thing], *source) {
	s := &source{text: "first"}
	return New(Config[thing]{
		Find: s.find, Unknown: errUnknown, Size: size, Accepted: names{},
		Entered: func(*thing) { s.entered++ }, Left: func(*thing) { s.entered-- },
	}), s
}

func want(t *testing.T, d *Directory[thing], name string, err error) *thing {
	t.Helper()
	value, got := d.Get(t.Context(), name)
	if !errors.Is(got, err) || err == nil && (value == nil || value.name != name) || err != nil && value != nil {
		t.Fatalf("Get(%q) = %v, %v, want the error %v", name, value, got, err)
	}
	return value
}

// TestAges shows when a name is looked up again: by the monotonic clock, and by the
// wall clock, as after the machine was suspended.
func TestAges(t *testing.T) {
	for name, row := range map[string]struct {
		first, then error // of Find
		after       time.Duration
		calls       int // after that
		want        error
	}{
		"fresh":                     {nil, errUnknown, 4*time.Minute - time.Second, 0, nil},
		"renewed in the background": {nil, errUnknown, 4 * time.Minute, 1, nil},
		"awaited":                   {nil, errUnknown, 5 * time.Minute, 1, errUnknown},
		"while Find fails":          {nil, errDown, time.Hour - time.Second, 1, nil},
		"too long while it fails":   {nil, errDown, time.Hour, 1, errDown},
		"a miss":                    {errUnknown, nil, 10*time.Second - time.Millisecond, 0, errUnknown},
		"a miss that is over":       {errUnknown, nil, 10 * time.Second, 1, nil},
		"a failure":                 {errDown, nil, 5*time.Second - time.Millisecond, 0, errDown},
		"a failure that is over":    {errDown, nil, 5 * time.Second, 1, nil},
	} {
		for kind, pass := range map[string]func(*Directory[thing], time.Duration){
			"by both clocks":    func(_ *Directory[thing], after time.Duration) { <-time.After(after) },
			"by the wall clock": suspend,
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d, s := newTest(3)
					s.err = row.first
					want(t, d, "a", row.first)
					if n := s.asked(); n != 1 {
						t.Fatalf("%d calls at first", n)
					}
					s.set(func() { s.err = row.then })
					pass(d, row.after)
					want(t, d, "a", row.want)
					if n := s.asked(); n != row.calls {
						t.Errorf("%d calls, want %d", n, row.calls)
					}
				})
			})
		}
	}
}

// suspend changes the clocks of d as a suspension of the machine does: the wall
// clock advanced, and the monotonic one did not.
func suspend(d *Directory[thing], after time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for e := range d.table.all {
		a := *e.answer.Load()
		a.since.Wall -= int64(after)
		e.answer.Store(&a)
	}
	for _, kind := range []misses{d.missed, d.gaveWay} {
		for hash, m := range kind {
			m.since.Wall -= int64(after)
			kind[hash] = m
		}
	}
}

// TestFailurePostpones shows that for a while after a failure, callers get the last
// answer at once, and Find is not called for each of them.
func TestFailurePostpones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newTest(3)
		want(t, d, "a", nil)
		s.set(func() { s.err, s.takes = errDown, 3*time.Second })
		<-time.After(6 * time.Minute)
		start := time.Now()
		want(t, d, "a", nil)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("the first caller waited %v", took)
		}
		s.asked()
		start = time.Now()
		if d.Fresh(t.Context(), "a", start) == nil {
			t.Error("the last answer is not fresh after the failure")
		}
		for range 100 {
			want(t, d, "a", nil)
		}
		if took := time.Since(start); took != 0 || s.asked() != 0 {
			t.Errorf("the next callers waited %v", took)
		}
		<-time.After(retryPause)
		want(t, d, "a", nil)
		if n := s.asked(); n != 1 {
			t.Errorf("%d calls after the pause, want 1", n)
		}
		<-time.After(callTimeout) // until the call in the background has ended
	})
}

// TestFailureBeforeStale shows that a failure shortly before the answer is too old is
// remembered as a failure: Find is not called again at once when the answer ends.
func TestFailureBeforeStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newTest(3)
		want(t, d, "a", nil)
		s.set(func() { s.err = errDown })
		<-time.After(staleAge - 2*time.Second)
		want(t, d, "a", nil)
		s.asked()
		<-time.After(3 * time.Second)
		want(t, d, "a", errDown)
		if n := s.asked(); n != 0 {
			t.Errorf("%d calls within the pause, want 0", n)
		}
	})
}

// TestDisplacedWhileItFails shows that a value which was displaced during a lookup
// does not serve when the lookup fails.
func TestDisplacedWhileItFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newTest(1)
		want(t, d, "a", nil)
		<-time.After(freshAge)
		s.set(func() { s.err, s.takes = errDown, time.Second })
		got := make(chan error)
		go func() {
			_, err := d.Get(t.Context(), "a")
			got <- err
		}()
		synctest.Wait()
		s.set(func() { s.err, s.takes = nil, 0 })
		want(t, d, "b", nil)
		if err := <-got; !errors.Is(err, errDown) {
			t.Errorf("error %v, want %v", err, errDown)
		}
	})
}

// TestChanged shows that an unchanged answer keeps its value, and that a changed
// one replaces it.
func TestChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newTest(3)
		first := want(t, d, "a", nil)
		d.config.Left = func(*thing) { t.Error("an unchanged value left") }
		<-time.After(freshAge)
		if want(t, d, "a", nil) != first {
			t.Error("an unchanged answer has another value")
		}
		d.config.Left = func(*thing) { s.entered-- }
		s.set(func() { s.text = "second" })
		<-time.After(freshAge)
		second := want(t, d, "a", nil)
		if second == first || second.text != "second" || d.Known("a") != second {
			t.Errorf("a changed answer has the value %v", second)
		}
		if d.Accept("a", first) || !d.Accept("a", second) {
			t.Error("accepted is the value that is not the one of the name any more")
		}
		if s.entered != 1 {
			t.Errorf("%d values have entered and not left", s.entered)
		}
	})
}

// TestWithdrawn shows that a name is removed if Find does not know it any more.
func TestWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newTest(3)
		value := want(t, d, "a", nil)
		d.Accept("a", value)
		s.set(func() { s.err = errUnknown })
		<-time.After(freshAge)
		want(t, d, "a", errUnknown)
		if d.Known("a") != nil || d.Accept("a", value) || s.entered != 0 || d.config.Accepted.Has("a") {
			t.Error("a withdrawn name is still known")
		}
	})
}

// TestForget shows that Forget removes a value, and discards the result of a lookup
// that is under way.
func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newTest(3)
		value := want(t, d, "a", nil)
		d.Forget("a")
		if d.Known("a") != nil || d.Accept("a", value) || s.entered != 0 {
			t.Error("a forgotten name is still known")
		}
		want(t, d, "nobody", errUnknown)
		d.Forget("nobody")
		s.asked()
		want(t, d, "nobody", errUnknown)
		if n := s.asked(); n != 1 {
			t.Errorf("a forgotten miss causes %d calls, want 1", n)
		}
		s.set(func() { s.takes = time.Second })
		got := make(chan *thing)
		go func() {
			value, _ := d.Get(t.Context(), "b")
			got <- value
		}()
		synctest.Wait()
		d.Forget("b")
		s.set(func() { s.text = "second" })
		if value := <-got; value == nil || s.asked() != 2 {
			t.Errorf("the caller got %v, without another lookup", value)
		}
	})
}

// TestAmend shows that an answer is opened again if the Directory was amended
// meanwhile, and that a name can be looked up at once after Amend, even after a
// miss.
func TestAmend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newTest(1)
		opened := 0
		s.opening = func() {
			if opened++; opened == 1 {
				d.Amend("a", func() { s.text = "amended" })
			}
		}
		if value := want(t, d, "a", nil); opened != 2 || value.text != "amended" {
			t.Errorf("opened %d times, with %v", opened, value)
		}
		s.opening = nil
		value := d.Known("a")
		want(t, d, "b", nil) // displaces a
		want(t, d, "a", ErrDisplaced)
		d.Amend("a", func() {})
		if d.Accept("a", value) {
			t.Error("a displaced value enters again although it was amended")
		}
		want(t, d, "a", nil)
	})
}

// TestDisplaced shows which value is displaced: of those that were never accepted
// the one that was not used for longest, or of all if there are no such values.
func TestDisplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newTest(3)
		for _, name := range []string{"a", "b", "c"} {
			value := want(t, d, name, nil)
			if name != "b" && !d.Accept(name, value) {
				t.Fatal("not accepted")
			}
			<-time.After(time.Second)
		}
		b := d.Known("b")
		want(t, d, "d", nil)
		if d.Known("b") != nil || s.entered != 3 {
			t.Error("a value that was accepted made room")
		}
		want(t, d, "b", ErrDisplaced)
		if !d.Accept("b", b) || d.Known("b") != b || d.Known("d") != nil || s.entered != 3 {
			t.Error("a displaced value does not enter again when it is accepted")
		}
		want(t, d, "b", nil)
		if n := s.asked(); n != 5 {
			t.Errorf("%d calls, want 4 and one to renew the value that entered again", n)
		}
		want(t, d, "e", nil)
		if d.Known("a") != nil || d.Known("c") == nil {
			t.Error("not the value made room that was not used for longest")
		}
		<-time.After(missPause)
		want(t, d, "a", nil)
	})
}

// TestMemory shows that the memory of misses and of displaced values is bounded,
// that neither clears the other, and that nothing of a call remains after it has
// ended.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := newTest(1)
		first := want(t, d, "first", nil)
		for i := range maxDisplaced + 10 {
			want(t, d, fmt.Sprint(i), nil)
			if n := len(d.displaced); n > maxDisplaced {
				t.Fatalf("%d displaced values are remembered", n)
			}
		}
		if d.Accept("first", first) {
			t.Error("a value enters again although it may have been withdrawn since")
		}
		last := d.Known(fmt.Sprint(maxDisplaced + 9))
		want(t, d, "other", nil)
		for i := range 3 * maxMisses {
			want(t, d, fmt.Sprint("nobody", i), errUnknown)
			if n := len(d.missed); n > maxMisses {
				t.Fatalf("%d misses are remembered", n)
			}
		}
		want(t, d, last.name, ErrDisplaced)
		if !d.Accept(last.name, last) {
			t.Error("misses keep a displaced value from entering again")
		}
		synctest.Wait()
		known := 0
		for range d.All() {
			known++
		}
		if known != 1 || d.table.size != 1 || len(d.calls) != 0 || len(d.strangers.underWay)+len(d.familiar.underWay) != 0 {
			t.Errorf("%d values, counted as %d; %d calls", known, d.table.size, len(d.calls))
		}
	})
}

// TestNameIsCopied shows that the stored name is a copy of the string that Get was
// called with, which is part of a token.
func TestNameIsCopied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := newTest(3)
		token := []byte("name and more")
		if _, err := d.Get(t.Context(), unsafe.String(unsafe.SliceData(token), 4)); err != nil {
			t.Fatal(err)
		}
		copy(token, "xxxx")
		if value := d.Known("name"); value == nil || value.name != "name" {
			t.Errorf("known as %v", value)
		}
	})
}

// TestPanics shows that a panic of Find or of an Opener is an error that is
// remembered.
func TestPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newTest(3)
		s.opening = func() { panic("injected") }
		want(t, d, "a", ErrOpen)
		want(t, d, "a", ErrOpen)
		if n := s.asked(); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
		d.config.Find = func(context.Context, string) (Opener[thing], error) { panic("injected") }
		if value, err := d.Get(t.Context(), "b"); value != nil || err == nil {
			t.Errorf("Get = %v, %v after a panic", value, err)
		}
	})
}

// TestRun shows that keep is called for each value until the value leaves, also for
// values that enter later, and that unused values leave after an hour.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := newTest(3)
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		kept := make(map[string]int)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			d.Run(ctx, func(ctx context.Context, value *thing) {
				mu.Lock()
				kept[value.name]++
				mu.Unlock()
				<-ctx.Done()
				mu.Lock()
				kept[value.name]--
				mu.Unlock()
			})
		}()
		is := func(when, names string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			for _, name := range []string{"a", "b"} {
				if (kept[name] == 1) != strings.Contains(names, name) {
					t.Errorf("%s: %v, want %q", when, kept, names)
				}
			}
		}
		want(t, d, "a", nil)
		is("first", "a")
		<-time.After(30 * time.Minute)
		want(t, d, "b", nil)
		is("second", "ab")
		<-time.After(31 * time.Minute)
		is("after an hour", "b")
		if d.Known("a") != nil {
			t.Error("an unused value is still known")
		}
		d.Forget("b")
		is("forgotten", "")
		cancel()
		<-ended
	})
}

// TestFresh shows that Fresh never waits: it returns nil if Get would wait.
func TestFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newTest(3)
		fresh := func() *thing { return d.Fresh(t.Context(), "a", time.Now()) }
		if fresh() != nil || s.asked() != 0 {
			t.Error("Fresh looks a name up that is not known")
		}
		value := want(t, d, "a", nil)
		s.asked()
		if fresh() != value || s.asked() != 0 {
			t.Error("a fresh value is not returned, or is looked up again")
		}
		<-time.After(renewalAge)
		if fresh() != value || s.asked() != 1 {
			t.Error("a value is not renewed in the background")
		}
		s.set(func() { s.takes = time.Second })
		<-time.After(freshAge)
		if fresh() != nil {
			t.Error("a value that is too old is returned")
		}
		if d.moment(time.Now()) != (clock.Moment{Monotonic: time.Since(d.born), Wall: time.Now().UnixNano()}) {
			t.Error("a moment is not by both clocks")
		}
	})
}
