package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// waiting is an error that asks callers to wait.
type waiting struct {
	after time.Duration
	cause error
}

func (waiting) Error() string               { return "waiting" }
func (w waiting) Unwrap() error             { return w.cause }
func (w waiting) RetryAfter() time.Duration { return w.after }

// brokenWait is an error whose RetryAfter panics for a nil pointer.
type brokenWait struct{ after time.Duration }

func (*brokenWait) Error() string               { return "broken" }
func (w *brokenWait) RetryAfter() time.Duration { return w.after }

// brokenAs is an error whose As panics.
type brokenAs struct{ error }

func (brokenAs) As(any) bool { panic("injected") }

func failed(after time.Duration) error {
	return introspect.NewError(introspect.Throttled, errors.New("status 429"), after)
}

// TestRetryAfter covers R-IN-11: a 503 tells clients to wait as long as its cause asks
// for, in whole seconds and within bounds. No other answer tells them to wait.
func TestRetryAfter(t *testing.T) {
	route := routeOf(t, issuertest.New(t).Guard(t, middleware.Config{}), scopes.Authenticated())
	for _, row := range []struct {
		name   string
		reason validator.Reason
		cause  error
		want   time.Duration
		field  string
	}{
		{"no cause", validator.Unavailable, nil, time.Second, "1"},
		{"a cause that does not say", validator.Unavailable, errors.New("down"), time.Second, "1"},
		{"an error of introspection that does not know", validator.Unavailable, failed(0), time.Second, "1"},
		{"a nanosecond", validator.Unavailable, failed(1), time.Second, "1"},
		{"a second", validator.Unavailable, failed(time.Second), time.Second, "1"},
		{"a part of a second more", validator.Unavailable, failed(time.Second + 1), 2 * time.Second, "2"},
		{"29.5 seconds", validator.Unavailable, failed(29500 * time.Millisecond), 30 * time.Second, "30"},
		{"the longest", validator.Unavailable, failed(5 * time.Minute), 5 * time.Minute, "300"},
		{"too long", validator.Unavailable, failed(5*time.Minute + 1), 5 * time.Minute, "300"},
		{"the longest duration", validator.Unavailable, failed(math.MaxInt64), 5 * time.Minute, "300"},
		{"negative", validator.Unavailable, failed(-time.Hour), time.Second, "1"},
		{"wrapped", validator.Unavailable, fmt.Errorf("issuer: %w", failed(7*time.Second)), 7 * time.Second, "7"},
		{"of a refusal of the policy", validator.Unavailable, &scopes.Refusal{Reason: validator.Unavailable}, time.Second, "1"},
		{"another error", validator.Unavailable, waiting{after: 3 * time.Second}, 3 * time.Second, "3"},
		{"behind one that does not know", validator.Unavailable, waiting{cause: failed(4 * time.Second)}, 4 * time.Second, "4"},
		{"one that panics", validator.Unavailable, (*brokenWait)(nil), time.Second, "1"},
		{"another that panics", validator.Unavailable, brokenAs{failed(time.Minute)}, time.Second, "1"},
		{"a reason outside the set", "new_reason", failed(5 * time.Second), 5 * time.Second, "5"},
		{"forbidden", validator.Forbidden, failed(time.Minute), 0, ""},
		{"inactive", validator.Inactive, failed(time.Minute), 0, ""},
		{"no scope", validator.InsufficientScope, failed(time.Minute), 0, ""},
	} {
		denial := route.Refuse(t.Context(), validator.Refuse(row.reason, row.cause))
		_, header, body := denial.Response()
		if denial.RetryAfter != row.want || header.Get("Retry-After") != row.field {
			t.Errorf("%s: %s, field %q, want %s", row.name, denial.RetryAfter, header.Get("Retry-After"), row.want)
		}
		if row.reason == validator.Unavailable && string(body) != `{"type":"about:blank","title":"Service Unavailable","status":503}`+"\n" {
			t.Errorf("%s: %s", row.name, body)
		}
	}
	odd := route.Refuse(t.Context(), validator.Refuse(validator.Unavailable, failed(7*time.Second)))
	odd.Status = http.StatusOK
	if _, header, _ := odd.Response(); header.Get("Retry-After") != "7" {
		t.Errorf("a Denial that is not answerable: %q", header.Get("Retry-After"))
	}
}

// TestRetryAfterOfHook covers R-SC-11: a hook that could not decide can say when to ask
// again.
func TestRetryAfterOfHook(t *testing.T) {
	issuer := issuertest.New(t)
	hook := scopes.Check("owner", 0, func(context.Context, *validator.Token, scopes.Operation) error { return failed(9 * time.Second) })
	r := request()
	r.Header.Set("Authorization", "Bearer "+issuer.Token(nil))
	response := serve(issuer.Guard(t, middleware.Config{}).Require(hook, new(handler)), r)
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") != "9" {
		t.Errorf("%d, %q", response.StatusCode, response.Header.Get("Retry-After"))
	}
}

// TestDecisionKind shows that a Decision says why the issuer gave no verdict, and says
// nothing of the kind for requests that were decided.
func TestDecisionKind(t *testing.T) {
	var got middleware.Decision
	guard := issuertest.New(t).Guard(t, middleware.Config{Trace: &middleware.Trace{Decided: func(_ context.Context, d middleware.Decision) { got = d }}})
	route := routeOf(t, guard, scopes.Authenticated())
	for _, row := range []struct {
		reason validator.Reason
		cause  error
		want   introspect.Kind
	}{
		{validator.Unavailable, failed(0), introspect.Throttled},
		{validator.Unavailable, fmt.Errorf("issuer: %w", introspect.NewError(introspect.BreakerOpen, nil, 0)), introspect.BreakerOpen},
		{validator.Unavailable, introspect.Throttled, ""}, // no Error
		{validator.Unavailable, errors.New("keys"), ""},
		{validator.Unavailable, nil, ""},
		{validator.Unavailable, brokenAs{failed(0)}, ""},
		{validator.Inactive, failed(0), ""},
	} {
		denial := route.Refuse(t.Context(), validator.Refuse(row.reason, row.cause))
		if got.Kind != row.want || got.Denial.Class != denial.Class {
			t.Errorf("%s because of %v: kind %q, want %q", row.reason, row.cause, got.Kind, row.want)
		}
	}
}
