package audit_test

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/audit"
)

// TestNumbersLeaveRoom (A12, R-OB-08): while the sink is blocked, the numbers of a long flood do not push out security events.
func TestNumbersLeaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		may := make(chan struct{})
		s := newScene(t, func(c *audit.Config) {
			c.Logger, c.Sampling = slog.New(blocking{c.Logger.Handler(), may}), audit.Sampling{First: 1, Every: -1, Window: time.Second}
		})
		for range 2000 { // more windows than numbers have room
			s.get("GET /orders/1")
			s.get("GET /orders/1")
			time.Sleep(time.Second)
		}
		s.get("GET /orders/1?access_token=x")
		close(may)
		if err := s.log.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		all := s.lines.records(t)
		if n := len(of(all, "token_in_url")); n != 1 {
			t.Errorf("%d security events, want 1", n)
		}
		notices := s.log.Counts().Notices
		if told := uint64(len(of(all, "sampled_out"))); notices.Lost == 0 || notices.Written != told+1 || notices.Waiting != 0 {
			t.Errorf("%+v, and %d numbers", notices, told)
		}
	})
}
