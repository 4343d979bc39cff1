package validator

import "time"

// Times between the lines about one outage.
const (
	firstOutageLine   = time.Minute
	longestOutageLine = 30 * time.Minute
	// otherOutageLine is the least time before a line that has another cause than the one
	// before.
	otherOutageLine = 10 * time.Second
)

// outage selects the failures in a row that are logged: the first, then one after a
// minute, two minutes and so on, at most half an hour apart, and sooner if the cause
// changes. It has no lock of its own.
type outage struct {
	since    time.Time // of the first failure
	failures int       // in a row; 0: there is no outage
	told     time.Time // when a line was written last
	text     string    // its cause
	interval time.Duration
}

// fail counts a failure and reports whether it is logged.
func (o *outage) fail(now time.Time, text string) (tell bool) {
	o.failures++
	passed := now.Sub(o.told)
	switch {
	case o.failures == 1:
		o.since, o.interval = now, firstOutageLine
	case passed >= o.interval:
		o.interval = min(2*o.interval, longestOutageLine)
	case text == o.text || passed < otherOutageLine:
		return false
	}
	o.told, o.text = now, text
	return true
}

// end ends the outage and returns it. Its failures are 0 if there was none.
func (o *outage) end() outage {
	ended := *o
	*o = outage{}
	return ended
}
