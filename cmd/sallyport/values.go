package main

import "time"

// duration reads a Go duration. Absent means the default. Zero is given to the library as
// none.
func (c converter) duration(text string, none time.Duration) time.Duration {
	d, ok := c.parseDuration(text)
	if ok && d == 0 {
		return none
	}
	return d
}

// limit reads a Go duration that must not be zero, which the library takes for the
// default. Absent means the default. mend is the advice for zero.
func (c converter) limit(text, mend string) time.Duration {
	d, ok := c.parseDuration(text)
	if ok && d == 0 {
		c.faults.Addf(mend, "is %s", text)
	}
	return d
}

// parseDuration reads a Go duration. ok is false if it is absent or faulty.
func (c converter) parseDuration(text string) (d time.Duration, ok bool) {
	if text == "" {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		c.faults.Addf("give one such as 30s", "is %q, which is not a duration", text)
	case d < 0: // the library has values with a meaning of their own there
		c.faults.Addf("give one such as 30s", "is %s", text)
	default:
		return d, true
	}
	return 0, false
}

// count reads a number that must not be zero, which the library takes for the default.
// Absent means the default.
func (c converter) count(n *int) int {
	if n == nil {
		return 0
	}
	if *n == 0 {
		c.faults.Add("is 0", leaveOut)
	}
	return *n
}

// leaveOut is the advice for a limit that is zero.
const leaveOut = "give more, or leave it out for the default"
