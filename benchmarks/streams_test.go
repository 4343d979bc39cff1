package benchmarks

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

// TestStreams runs a short measurement: every stream ends with UNAUTHENTICATED, none
// before its token does, and the gate has no goroutine for a stream.
func TestStreams(t *testing.T) {
	const count = 200
	r, err := Streams{Count: count, Quiet: 500 * time.Millisecond}.Run()
	if err != nil {
		t.Fatal(err)
	}
	for name, end := range map[string]MassEnd{"expiry": r.Expiry, "key": r.Key} {
		if end.Codes[codes.Unauthenticated] != count || end.First < 0 || end.Last < end.Median || end.Before.Calls == 0 || end.During.Calls == 0 {
			t.Errorf("%s: %+v", name, end)
		}
	}
	if more := r.Gated.Goroutines - r.Plain.Goroutines; more > 0.1 || r.Plain.Goroutines < 1.9 {
		t.Errorf("%.2f goroutines a stream behind the gate, %.2f without", r.Gated.Goroutines, r.Plain.Goroutines)
	}
	if svg, err := r.SVG(); err != nil || len(svg) == 0 {
		t.Errorf("no plot: %v", err)
	}
}
