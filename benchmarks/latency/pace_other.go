//go:build !linux

package latency

import "time"

// pace is a periodic timer.
type pace struct{ ticker *time.Ticker }

// newPace returns a pace that starts at start.
func newPace(start time.Time, period time.Duration) (*pace, error) {
	time.Sleep(time.Until(start))
	return &pace{time.NewTicker(period)}, nil
}

// wait waits until the next period begins. It returns at once if one has begun since.
func (p *pace) wait() error {
	<-p.ticker.C
	return nil
}

func (p *pace) close() { p.ticker.Stop() }
