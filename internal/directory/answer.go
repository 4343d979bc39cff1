package directory

import (
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
)

// Ages of an answer of Find.
const (
	renewalAge = 4 * time.Minute  // from here on the name is looked up again in the background
	freshAge   = 5 * time.Minute  // from here on callers wait for that
	staleAge   = time.Hour        // until here an answer serves while Find fails
	retryPause = 5 * time.Second  // after Find failed
	missPause  = 10 * time.Second // after Find said that there is no such name
)

// answer is the value of a name and its age. It is immutable.
type answer[T any] struct {
	value          *T
	since          clock.Moment  // when Find returned it
	renewal, fresh time.Duration // the ages from which the name is looked up again, and callers wait
}

func newAnswer[T any](value *T, now clock.Moment) *answer[T] {
	return &answer[T]{value: value, since: now, renewal: renewalAge, fresh: freshAge}
}

// postponed returns a with later ages, after Find failed: until then callers do not
// wait for a lookup that fails slowly, and not every caller starts one. It returns
// nil if a is too old to serve.
func (a *answer[T]) postponed(now clock.Moment) *answer[T] {
	retry := a.since.Age(now) + retryPause
	if retry >= staleAge {
		return nil
	}
	later := *a
	later.renewal, later.fresh = retry, min(retry+freshAge-renewalAge, staleAge)
	return &later
}
