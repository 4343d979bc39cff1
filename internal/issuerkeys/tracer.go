package issuerkeys

import (
	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/internal/snapshot"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// tracer calls the hooks of one issuer. A panic of a hook is dropped.
type tracer struct {
	issuer string
	hooks  *jwkscache.Trace // may be nil
}

func (t tracer) fetchStart(cause string) {
	if t.hooks != nil && t.hooks.FetchStart != nil {
		defer hook.Recover()
		t.hooks.FetchStart(t.issuer, cause)
	}
}

func (t tracer) fetchDone(done jwkscache.FetchDone) {
	if t.hooks != nil && t.hooks.FetchDone != nil {
		defer hook.Recover()
		t.hooks.FetchDone(t.issuer, done)
	}
}

func (t tracer) unknownKid(asked jwkscache.UnknownKid) {
	if t.hooks != nil && t.hooks.UnknownKid != nil {
		defer hook.Recover()
		t.hooks.UnknownKid(t.issuer, asked)
	}
}

func (t tracer) moved(from, to string) {
	if t.hooks != nil && t.hooks.Moved != nil {
		defer hook.Recover()
		t.hooks.Moved(t.issuer, from, to)
	}
}

func (t tracer) stored(stored jwkscache.Stored) { snapshot.CallStored(t.hooks, t.issuer, stored) }
