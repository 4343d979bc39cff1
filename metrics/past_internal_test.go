package metrics

import (
	"runtime"
	"testing"

	"github.com/sallyport-auth/sallyport/validator"
)

// TestRetire (A11) checks that the counts of a Validator that is gone are joined with those of others, so that reloads cost no memory.
func TestRetire(t *testing.T) {
	var p past
	counts := newTally()
	counts.add(cacheEvictions, 1)
	p.seen(new(validator.Validator), counts)
	for range 100 {
		runtime.GC()
		p.retire(nil, nil)
		if len(p.last) == 0 {
			break
		}
	}
	if len(p.last) != 0 || p.retired.values[idOf(cacheEvictions, nil)] != 1 {
		t.Errorf("%d kept, retired: %v", len(p.last), p.retired.values)
	}
}
