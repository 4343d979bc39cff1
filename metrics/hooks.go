package metrics

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/sallyport-auth/sallyport/middleware"
)

// sampled is how many decisions on the repeat path one duration is observed for. A power
// of two.
const sampled = 64

// decided counts a decision.
func (c *Collector) decided(ctx context.Context, d middleware.Decision) {
	r := c.route(&routeName{d.Transport, d.Route})
	source := sourceOf(d.Source)
	chance := rand.Uint32() //nolint:gosec // for a stripe and a sample
	if d.Denial != nil {
		k := kindOf(ctx, &d)
		r.refused[k].Add(1)
		c.issuer(d.Issuer).decided[k].Add(1)
		c.refused[source].Add(1)
		if source != fromNowhere || k == undetermined || k == timedOut {
			c.observe(&d, source, chance)
		}
		return
	}
	p := r.of(d.Issuer)
	if p == nil {
		p = c.newPassing(r, d.Issuer, kindOf(ctx, &d))
	}
	p.bySource[source].add(chance)
	if source != fromNowhere { // without a token, nothing took time
		c.observe(&d, source, chance)
	}
}

// observe observes the time that a decision took.
func (c *Collector) observe(d *middleware.Decision, source int, chance uint32) {
	if source == fromCache && chance/stripes%sampled != 0 {
		return
	}
	c.durations[source].Observe(time.Since(d.Start).Seconds())
}

func (c *Collector) tokenInURL(context.Context) { c.inURL.Add(1) }

func (c *Collector) heldStarted(context.Context, middleware.Decision) { c.held.Add(1) }

// heldEnded counts a held request that the Guard has ended.
func (c *Collector) heldEnded(ctx context.Context, d middleware.Decision) {
	c.issuer(d.Issuer).ended[kindOf(ctx, &d)].Add(1)
}
