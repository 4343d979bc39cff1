package issuerkeys

import (
	"fmt"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

func testLimits(t *testing.T, changes ...func(*jwkscache.Limits)) *jwkscache.Limits {
	t.Helper()
	var l jwkscache.Limits
	for _, change := range changes {
		change(&l)
	}
	faults := fault.In("jwkscache")
	checkLimits(faults, &l)
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	return &l
}

// TestBudgetForgets shows that the memory for missed kids is bounded (R-JK-10),
// that a kid which is asked for again takes no more memory, and that failures take
// none.
func TestBudgetForgets(t *testing.T) {
	b := newBudget(testLimits(t))
	now := time.Now()
	for i := range 10 * maxRemembered {
		b.spent(fmt.Sprint(i), now, true, false)
		if n := len(b.missed); n == 0 || n > maxRemembered {
			t.Fatalf("%d kids are remembered after %d", n, i)
		}
	}
	last := fmt.Sprint(10*maxRemembered - 1)
	if got := b.interval(last, now); got != b.limits.FruitlessInterval {
		t.Errorf("the interval of the last kid is %v", got)
	}
	b.spent(last, now, true, false)
	b.spent("failed", now, false, false)
	if n := len(b.missed); n != maxRemembered {
		t.Errorf("%d kids are remembered, want %d", n, maxRemembered)
	}
	if _, found := b.missed[b.hash("failed")]; found {
		t.Error("a kid is taken for missed that nothing is known of")
	}
	b.spent("gained", now, true, true)
	if len(b.missed) != 0 || b.fruitless != 0 {
		t.Errorf("%d kids, %d fetches in vain after a new key", len(b.missed), b.fruitless)
	}
}

// TestBudgetCountsEachKidOnce shows which fetches count as fruitless, and for how
// long (R-JK-10): fetches that failed, and fetches for kids that were not missed
// before.
func TestBudgetCountsEachKidOnce(t *testing.T) {
	b := newBudget(testLimits(t))
	now := time.Now()
	want := func(what, kid string, fruitless int, interval time.Duration) {
		t.Helper()
		if got := b.interval(kid, now); got != interval || b.fruitless != fruitless {
			t.Errorf("%s: %d in vain, %v; want %d, %v", what, b.fruitless, got, fruitless, interval)
		}
	}
	want("at first", "a", 0, time.Second)
	for range 20 {
		b.spent("a", now, true, false)
	}
	want("one kid", "a", 1, 5*time.Second)
	want("another", "b", 1, time.Second)
	for range 8 {
		b.spent("b", now, false, false)
	}
	want("nine", "b", 9, time.Second)
	now = now.Add(quiet - 1)
	b.spent("c", now, true, false)
	want("ten", "d", 10, 5*time.Second)
	b.spent("a", now.Add(quiet/2), true, false) // must not prolong it
	now = now.Add(quiet - 1)
	want("not yet", "d", 10, 5*time.Second)
	now = now.Add(1)
	want("after a quiet time", "d", 0, time.Second)
	want("that kid", "a", 0, 5*time.Second)
}
