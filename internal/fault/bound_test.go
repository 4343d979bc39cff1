package fault_test

import (
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

func TestBound(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		got, want time.Duration
		fault     string
	}{
		{0, 5 * time.Second, ""},
		{time.Second, time.Second, ""},
		{10 * time.Second, 10 * time.Second, ""},
		{time.Second - 1, time.Second - 1, "room: Time is 999.999999ms; allowed are 1s to 10s"},
		{10*time.Second + 1, 10*time.Second + 1, "room: Time is 10.000000001s; allowed are 1s to 10s"},
		{-1, -1, "room: Time is -1ns; allowed are 1s to 10s"},
	} {
		faults, field := fault.In("room"), row.got
		fault.Bound(faults, "Time", &field, 5*time.Second, time.Second, 10*time.Second)
		text := ""
		if err := faults.Err(); err != nil {
			text = err.Error()
		}
		if field != row.want || text != row.fault {
			t.Errorf("%v: %v, %q; want %v, %q", row.got, field, text, row.want, row.fault)
		}
	}
}
