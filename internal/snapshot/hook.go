package snapshot

import (
	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// CallStored calls trace.Stored, if there is one, for a use of the directory by the
// issuer. A panic of the hook is dropped.
func CallStored(trace *jwkscache.Trace, issuer string, stored jwkscache.Stored) {
	if trace != nil && trace.Stored != nil {
		defer hook.Recover()
		trace.Stored(issuer, stored)
	}
}
