package latency

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pace is a periodic timer. Timers of the Go runtime wake late, by up to a millisecond
// where the process waits for the network; a timer of Linux that is read as a file wakes
// as a connection does.
type pace struct{ file *os.File }

// newPace returns a pace that starts at start.
func newPace(start time.Time, period time.Duration) (*pace, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("latency: timerfd_create: %w", err)
	}
	first := max(time.Until(start), 1)
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(first)), Interval: unix.NsecToTimespec(int64(period))}
	if err := unix.TimerfdSettime(fd, 0, &spec, nil); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("latency: timerfd_settime: %w", err)
	}
	return &pace{os.NewFile(uintptr(fd), "timerfd")}, nil
}

// wait waits until the next period begins. It returns at once if one has begun since.
func (p *pace) wait() error {
	var expirations [8]byte
	if _, err := p.file.Read(expirations[:]); err != nil {
		return fmt.Errorf("latency: timerfd: %w", err)
	}
	return nil
}

func (p *pace) close() { _ = p.file.Close() }
