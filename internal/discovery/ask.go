package discovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/internal/cause"
)

// errNoAnswer means that a document did not come in time. It is
// [context.DeadlineExceeded].
var errNoAnswer error = noAnswer{}

type noAnswer struct{}

func (noAnswer) Error() string        { return "no answer in time" }
func (noAnswer) Is(target error) bool { return target == context.DeadlineExceeded }

var (
	errPending = errors.New("earlier requests do not end; does the HTTP transport heed the request's context?")
	errPanic   = errors.New("the HTTP transport panicked or ended its goroutine")
)

// settleTime is the time to wait for further documents after the first usable one.
const settleTime = 2 * time.Second

// maxPending bounds the requests that may be under way when others begin. A
// transport that does not end its requests in time would otherwise collect them.
const maxPending = 12

// answer is the result for one location: a document of the issuer, or err.
type answer struct {
	at       int // the position in the list of locations
	location string
	document *document
	err      error
}

// ask sends a request to all locations at once, and returns their answers in the
// order of the locations. A location without an answer in time has failed. settleTime
// after all members of need have arrived, it waits no longer.
func (c *Client) ask(ctx context.Context, issuer string, locations []string, need Need) []answer {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if c.pending.Load() > maxPending {
		return []answer{{err: errPending}}
	}
	arrivals := make(chan answer, len(locations)) // buffered, so that a late request does not block
	answers := make([]answer, len(locations))
	for at, location := range locations {
		answers[at] = answer{at, location, nil, errNoAnswer}
		c.pending.Add(1)
		go func() {
			a := answer{at, location, nil, errPanic}
			defer func() {
				_ = recover() // a has errPanic
				c.pending.Add(-1)
				arrivals <- a
			}()
			a.document, a.err = c.get(ctx, issuer, location)
		}()
	}
	var settled <-chan time.Time
	for range locations {
		select {
		case a := <-arrivals:
			answers[a.at] = a
			if a.err != nil {
				continue
			}
			if need &^= a.document.members(); need == 0 && settled == nil {
				settled = time.After(settleTime)
			}
		case <-settled:
			return answers
		case <-ctx.Done():
			return answers
		}
	}
	return answers
}

// decide returns the members of the documents. Each link is that of the first document
// that has it, and the rest is of the document that has the first link of need. A link
// that was not looked for is left out if documents disagree on it, or came too late.
func decide(answers []answer, need Need) (*Metadata, error) {
	var found Metadata
	for at, l := range found.links() {
		first, err := agreed(answers, at)
		switch {
		case need&l.need != 0 && err != nil:
			return nil, err
		case need&l.need != 0 && first == nil:
			return nil, failure(answers, need, nil)
		case need&l.need == 0 && (first == nil || isLate(answers)): // first is nil with an error, too
			continue
		}
		*l.url = *first.links()[at].url
		if l.need == Introspection {
			found.IntrospectionAuthMethods = first.IntrospectionAuthMethods
		}
		if need&l.need != 0 && found.Issuer == "" {
			found.Issuer, found.AccessTokenIssuer, found.ProtectedResources = first.Issuer, first.AccessTokenIssuer, first.ProtectedResources
		}
	}
	return &found, nil
}

// agreed returns the first document that has the link at that position, or nil. It
// returns ErrDisagree if another document has another URL there.
func agreed(answers []answer, at int) (*document, error) {
	var first answer
	for _, a := range answers {
		if a.document == nil || *a.document.links()[at].url == "" {
			continue
		}
		if first.document == nil {
			first = a
		}
		l, other := first.document.links()[at], a.document.links()[at]
		if *l.url != *other.url {
			return nil, fmt.Errorf("%w: %s names %s as %s, and %s names %s",
				ErrDisagree, first.location, cause.Quote(WithoutQuery(*l.url)), l.name, a.location, cause.Quote(WithoutQuery(*other.url)))
		}
	}
	return first.document, nil
}

// isLate reports whether a location gave no answer in time.
func isLate(answers []answer) bool {
	return slices.ContainsFunc(answers, func(a answer) bool { return errors.Is(a.err, errNoAnswer) })
}

// failure returns the error for missing metadata: end, if it is not nil, and what is
// wrong with each location.
func failure(answers []answer, need Need, end error) error {
	failures := []error{ErrNoMetadata, end}
	for _, a := range answers {
		err := a.err
		if a.document != nil {
			err = a.document.lacks(need)
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", a.location, err))
		}
	}
	return errors.Join(failures...)
}
