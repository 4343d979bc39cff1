package audit_test

import (
	"context"
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/audit"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/validator"
)

type blocking struct {
	slog.Handler

	may chan struct{}
}

func (b blocking) Handle(ctx context.Context, r slog.Record) error {
	<-b.may
	return b.Handler.Handle(ctx, r)
}

// TestFlood (A12): while the sink is blocked, 100 000 refusals and 10 privileged requests delay nobody and cost bounded memory. All 10 are written when the sink
// is back, and every refusal is written, sampled out or lost.
func TestFlood(t *testing.T) {
	for name, sampling := range map[string]audit.Sampling{"sampled": {}, "all": {Off: true}} {
		synctest.Test(t, func(t *testing.T) {
			may := make(chan struct{})
			s := newScene(t, func(c *audit.Config) {
				c.Logger, c.Sampling, c.Waiting = slog.New(blocking{c.Logger.Handler(), may}), sampling, 500
			})
			admin := s.admin()
			s.get("POST /admin", admin)
			goroutines := runtime.NumGoroutine()
			began := time.Now()
			denied := s.log.Trace().Decided
			for i := range 100_000 {
				denied(t.Context(), middleware.Decision{Route: "GET /x", Denial: &middleware.Denial{Reason: validator.BadSignature, Class: middleware.ClassInvalidToken}})
				if i%10_000 == 9_999 {
					s.get("POST /admin", admin)
				}
			}
			if time.Since(began) != 0 || runtime.NumGoroutine() > goroutines+1 {
				t.Errorf("%s: waited %v, %d goroutines more", name, time.Since(began), runtime.NumGoroutine()-goroutines)
			}
			close(may)
			all := s.written(t)
			counts := s.log.Counts()
			if got := of(all, "privileged_allow"); len(got) != 11 || counts.Allows != (audit.Count{Written: 11}) {
				t.Errorf("%s: %d of 11 privileged requests, %+v", name, len(got), counts)
			}
			if written := len(of(all, "denial")); uint64(written) != counts.Denials.Written || counts.Denials.Written+counts.Denials.Lost+counts.SampledOut != 100_000 || counts.Denials.Waiting != 0 {
				t.Errorf("%s: %d refusals written, %+v", name, written, counts)
			}
			told := 0.0
			for _, r := range of(all, "sampled_out") {
				told += r["count"].(float64)
			}
			if uint64(told) != counts.SampledOut {
				t.Errorf("%s: %v told, %+v", name, told, counts)
			}
			lost := 0.0
			for _, r := range all {
				if r["msg"] == "audit records were lost" {
					lost += r["denials"].(float64)
				}
			}
			if uint64(lost) != counts.Denials.Lost {
				t.Errorf("%s: %v lost were told, %+v", name, lost, counts)
			}
		})
	}
}

// TestSampledOutIsTold: the number of refusals that were left out is written when the window has ended, also if no request follows.
func TestSampledOutIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, func(c *audit.Config) { c.Sampling = audit.Sampling{First: 2, Every: -1} })
		for range 10 {
			s.get("GET /orders/1")
		}
		s.get("GET /none")
		time.Sleep(time.Minute)
		all := s.lines.records(t)
		told := of(all, "sampled_out")
		if len(of(all, "denial")) != 3 || len(told) != 1 || told[0]["count"] != 8.0 || told[0]["reason"] != "no_credentials" || told[0]["route"] != "GET /orders/{id}" || told[0]["level"] != "WARN" {
			t.Errorf("%v", all)
		}
		for range 3 {
			s.get("GET /orders/1")
		}
		if err := s.log.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if told := of(s.lines.records(t), "sampled_out"); len(told) != 2 || told[1]["count"] != 1.0 {
			t.Errorf("%v", told)
		}
	})
}
