package issuerkeys

import (
	"context"
	"time"
)

// upstream is where the JWK Set document comes from.
type upstream interface {
	// fetch returns the document, or says that it is still that of ask.have. With
	// an error, the answer has at most the location. fetch may be called while an
	// abandoned call still runs.
	fetch(ctx context.Context, ask inquiry) (answer, error)
}

// inquiry is what an upstream is asked.
type inquiry struct {
	have    *version // the version in use, or nil
	failing bool     // fetches have failed for a while
	doubted bool     // a token suggests that have is outdated
}

// answer is the answer of an upstream.
type answer struct {
	location  string
	unchanged bool // the document is still that of inquiry.have
	document  string
	misread   func(error) error // adds to the error of a document that cannot be read; nil for none
	etag      string
	fresh     time.Duration
	lifetime  lifetime
}

// repeats reports whether a has the same document as have.
func (a *answer) repeats(have *version) bool {
	return have != nil && (a.unchanged || a.document == have.document)
}
