package metrics

import (
	"context"
	"errors"
	"net"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/validator"
)

// kind is an index of kinds.
type kind int

// Kinds of decisions. Those that are refused for a reason of their own follow.
const (
	allowed kind = iota
	anonymous
	notFound
	undetermined
	timedOut
	canceled
	deadlineExceeded
	firstDenied
)

// kindLabels are the labels of a kind.
type kindLabels struct {
	outcome string
	reason  string
}

// kinds has the labels of each kind, and denied the kind of each Reason that has one of
// its own.
var kinds, denied = func() ([]kindLabels, map[validator.Reason]kind) {
	all := []kindLabels{
		allowed:          {"allowed", "none"},
		anonymous:        {"anonymous", "none"},
		notFound:         {"not_found", string(validator.Forbidden)},
		undetermined:     {"undetermined", string(validator.Unavailable)},
		timedOut:         {"timed_out", string(validator.Unavailable)},
		canceled:         {"canceled", string(validator.Canceled)},
		deadlineExceeded: {"deadline_exceeded", string(validator.Canceled)},
	}
	byReason := make(map[validator.Reason]kind)
	for _, reason := range validator.Reasons() {
		if reason != validator.Unavailable && reason != validator.Canceled {
			byReason[reason] = kind(len(all))
			all = append(all, kindLabels{"denied", string(reason)})
		}
	}
	return all, byReason
}()

// kindOf returns the kind of a decision.
func kindOf(ctx context.Context, d *middleware.Decision) kind {
	denial := d.Denial
	switch {
	case denial == nil && d.Token == nil:
		return anonymous
	case denial == nil:
		return allowed
	case denial.Class == middleware.ClassNotFound, denial.Class == middleware.ClassMethodNotAllowed:
		return notFound
	case denial.Reason == validator.Canceled:
		return callersEnd(ctx)
	}
	if k, ok := denied[denial.Reason]; ok {
		return k
	}
	if isTimeout(d) {
		return timedOut
	}
	return undetermined
}

// callersEnd returns how the context of a caller ended.
func callersEnd(ctx context.Context) (k kind) {
	k = canceled
	defer hook.Recover()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return deadlineExceeded
	}
	return k
}

// isTimeout reports whether nothing was determined because a time limit of this program
// passed. It returns false if a method of an error in the chain panics.
func isTimeout(d *middleware.Decision) bool {
	defer hook.Recover()
	if d.Kind == introspect.TimedOut {
		return true
	}
	var timed net.Error
	return errors.As(d.Denial, &timed) && timed.Timeout() || // context.DeadlineExceeded is one, too
		errors.Is(d.Denial, detached.ErrAbandoned) || errors.Is(d.Denial, detached.ErrLeft)
}

// sources are the labels of the Sources of Decisions.
var sources = [...]struct {
	source validator.Source
	label  string
}{
	fromCache:     {validator.Cached, "cached"},
	fromSignature: {validator.Verified, "verified"},
	fromIssuer:    {validator.Introspected, "introspected"},
	fromNowhere:   {"", "none"},
}

const (
	fromCache = iota
	fromSignature
	fromIssuer
	fromNowhere
)

// sourceOf returns the index of a Source in sources.
func sourceOf(source validator.Source) int {
	switch source {
	case validator.Cached:
		return fromCache
	case validator.Verified:
		return fromSignature
	case validator.Introspected:
		return fromIssuer
	default:
		return fromNowhere
	}
}
