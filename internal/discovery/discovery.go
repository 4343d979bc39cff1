// Package discovery fetches the metadata of one issuer (RFC 8414, OpenID Connect
// Discovery). A document is used only if its issuer is exactly the issuer that was
// asked for. It never allows more than the configuration does. All documents that
// name a member which is looked for must name the same URL. A member may be in any of
// them; the first in the order of [Locations] that has it decides.
//
// signed_metadata is ignored. No member is compared that is not looked for.
package discovery

import (
	"context"
	"fmt"

	"github.com/sallyport-auth/sallyport/internal/hook"
)

// Discover fetches the metadata of issuer and looks for the members of need. Without a
// MetadataURL, issuer must be a URL without query and fragment (RFC 8414 §2), and
// Discover sends a request to all [Locations] at once. Two seconds after it has all members of need, it stops waiting
// for further documents. The error is [ErrNoMetadata], or [ErrDisagree] if documents
// differ in a member of need. Documents that lack such a member add [ErrMissing].
//
// Members that are not in need are returned as well if all documents arrived and those
// that have the member agree.
//
// Discover takes at most the Timeout of [Config], and returns when ctx ends, whatever the
// transport does: it cancels requests that are still under way and does not wait
// for them. A nil ctx, an empty need and a Client that [New] did not return give
// [ErrNoMetadata].
func (c *Client) Discover(ctx context.Context, issuer string, need Need) (*Metadata, error) {
	if c == nil || c.fetcher == nil {
		return nil, fmt.Errorf("%w: the Client was not made by New", ErrNoMetadata)
	}
	if err := hook.CheckContext(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoMetadata, err)
	}
	if need == 0 {
		return nil, fmt.Errorf("%w: nothing is looked for", ErrNoMetadata)
	}
	locations, err := c.locations(issuer)
	if err != nil {
		return nil, err
	}
	answers := c.ask(ctx, issuer, locations, need)
	if err := ctx.Err(); err != nil { // documents that have not arrived may disagree
		return nil, failure(answers, need, err)
	}
	return decide(answers, need)
}
