package middleware

import (
	"errors"
	"time"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/introspect"
)

// maxRetryAfter is the longest Retry-After that a client is told. Where it comes from
// may be a server that this program does not control.
const maxRetryAfter = 5 * time.Minute

// inSeconds returns after in whole seconds, rounded up, and no more than
// maxRetryAfter.
func inSeconds(after time.Duration) time.Duration {
	return (min(after, maxRetryAfter) + time.Second - 1).Truncate(time.Second)
}

// retryAfter returns how long an error in the chain of err asks callers to wait, or 0
// if none does. If a method of such an error panics, it returns 0.
func retryAfter(err error) time.Duration {
	defer hook.Recover()
	for err != nil {
		found, ok := errors.AsType[interface {
			error
			RetryAfter() time.Duration
		}](err)
		if !ok {
			return 0
		}
		if after := found.RetryAfter(); after > 0 {
			return after
		}
		err = errors.Unwrap(found)
	}
	return 0
}

// unansweredKind returns why the issuer gave no verdict on the token, or "" if d has
// another cause.
func unansweredKind(d *Denial) introspect.Kind {
	if d.Class != ClassUnavailable {
		return ""
	}
	defer hook.Recover() // methods of errors in the chain
	if failed, ok := errors.AsType[*introspect.Error](d.cause); ok {
		return failed.Kind()
	}
	return ""
}
