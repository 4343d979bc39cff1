package introspection

import (
	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/introspect"
)

// tracer calls the hooks of a Trace for one issuer. It drops their panics.
type tracer struct {
	issuer string
	hooks  introspect.Trace
}

func newTracer(issuer string, hooks *introspect.Trace) tracer {
	if hooks == nil {
		return tracer{issuer: issuer}
	}
	return tracer{issuer, *hooks}
}

func (t *tracer) askDone(done introspect.AskDone) {
	if t.hooks.AskDone != nil {
		defer hook.Recover()
		t.hooks.AskDone(t.issuer, done)
	}
}

func (t *tracer) stateChanged(state introspect.State) {
	if t.hooks.StateChanged != nil {
		defer hook.Recover()
		t.hooks.StateChanged(t.issuer, state)
	}
}
