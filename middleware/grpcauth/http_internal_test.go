package grpcauth

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// deadlineWriter is a ResponseWriter that counts its deadlines.
type deadlineWriter struct {
	http.ResponseWriter

	deadlines int
}

func (w *deadlineWriter) SetWriteDeadline(time.Time) error {
	w.deadlines++
	return nil
}

// TestResetLate checks that a stream over net/http is reset if the status does not get
// through, and that the ResponseWriter is left alone once the server has returned: its
// methods would panic then, outside of every request.
func TestResetLate(t *testing.T) {
	for name, row := range map[string]struct {
		serve time.Duration
		want  int
	}{"under way": {time.Minute, 1}, "returned": {0, 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &deadlineWriter{ResponseWriter: httptest.NewRecorder()}
				new(Gate).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					go func(ctx context.Context) { // as the end of a stream does
						defer resetLate(ctx)()
						time.Sleep(2 * patience)
					}(r.Context())
					time.Sleep(row.serve)
				})).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/svc.S/Watch", http.NoBody))
				time.Sleep(3 * patience)
				if w.deadlines != row.want {
					t.Errorf("%d deadlines, want %d", w.deadlines, row.want)
				}
			})
		})
	}
}
