package metrics

import (
	"maps"
	"slices"
	"weak"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/validator"
)

// guardRef refers to a Guard without keeping it in memory: the series of a Guard that the
// program does not use any more go.
type guardRef = weak.Pointer[middleware.Guard]

// validatorRef is the same for a Validator, which several Guards may have.
type validatorRef = weak.Pointer[validator.Validator]

// watch adds a Guard, and the series of its issuers.
func (c *Collector) watch(guard *middleware.Guard) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.guards = append(c.guards, weak.Make(guard))
	c.addIssuer(noIssuer)
	for label := range labelsOf(guard) {
		c.addIssuer(label)
	}
}

// labelsOf returns the labels of the issuers of a Guard.
func labelsOf(guard *middleware.Guard) map[string]bool {
	labels := make(map[string]bool)
	v := guard.Validator()
	for _, url := range v.Issuers() {
		labels[url] = true
	}
	if v.ResolvesIssuers() {
		labels[resolvedURL] = true
	}
	return labels
}

// Forget removes a Guard that middleware.New returned, for programs that replace it: the
// next scrape has no series of an issuer that no other Guard has. Counters of other
// issuers go on. If issuers went, the series of routes begin again with 0. Without Forget,
// the same happens after the Guard was garbage-collected.
func (c *Collector) Forget(guard *middleware.Guard) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, ref := range c.guards {
		if ref.Value() == guard {
			c.guards = slices.Delete(c.guards, i, i+1)
			c.changed = true
			return
		}
	}
}

// live returns the Guards that are in use, and removes what the others had. The caller
// holds scraping.
func (c *Collector) live() []*middleware.Guard {
	c.mu.Lock()
	defer c.mu.Unlock()
	var guards []*middleware.Guard
	refs := c.guards[:0]
	for _, ref := range c.guards {
		if guard := ref.Value(); guard != nil {
			guards, refs = append(guards, guard), append(refs, ref)
		}
	}
	if len(refs) < len(c.guards) || c.changed {
		clear(c.guards[len(refs):])
		c.guards, c.changed = refs, false
		labels := c.labels(guards)
		c.prune(labels)
		c.past.retire(guards, labels)
	}
	return guards
}

// labels returns the labels of the issuers of guards. If there are none, it returns those
// of before: a program that has ended its only Guard can still look at the counts.
func (c *Collector) labels(guards []*middleware.Guard) map[string]bool {
	labels := map[string]bool{noIssuer: true}
	for _, guard := range guards {
		maps.Copy(labels, labelsOf(guard))
	}
	if len(guards) == 0 {
		for label := range *c.issuers.Load() {
			labels[label] = true
		}
	}
	return labels
}

// prune removes the issuers without a label, and all routes unless no issuer was removed.
// What was counted for the other issuers is kept. The caller holds both locks.
func (c *Collector) prune(labels map[string]bool) {
	kept := maps.Clone(*c.issuers.Load())
	maps.DeleteFunc(kept, func(label string, _ *issuer) bool { return !labels[label] })
	if len(kept) == len(*c.issuers.Load()) {
		return
	}
	c.issuers.Store(&kept)
	routes := c.routes.Load().byName
	c.routes.Store(&routeTable{byName: map[routeName]*route{}})
	for _, r := range routes {
		for _, p := range *r.passing.Load() {
			for source := range p.bySource {
				n := p.bySource[source].load()
				c.passed[source] += n
				if i := kept[p.label]; i != nil {
					i.decided[p.kind].Add(n)
				}
			}
		}
	}
}

// past is what Validators had counted at the last scrape. The program may still have one
// that no Guard has, and give it to another Guard; one that is gone is retired.
type past struct {
	last    map[validatorRef]tally
	retired tally
}

// seen records the counters of a Validator at a scrape.
func (p *past) seen(v *validator.Validator, counts tally) {
	if p.last == nil {
		p.last = make(map[validatorRef]tally)
	}
	p.last[weak.Make(v)] = counts
}

// retire moves the counters of Validators that are gone to the retired ones, and drops those
// of issuers without a label, except of Validators that a Guard has.
func (p *past) retire(guards []*middleware.Guard, labels map[string]bool) {
	used := make(map[validatorRef]bool)
	for _, guard := range guards {
		used[weak.Make(guard.Validator())] = true
	}
	if p.retired.values == nil {
		p.retired = newTally()
	}
	for ref, counts := range p.last {
		switch {
		case used[ref]:
		case ref.Value() == nil:
			p.retired.merge(counts)
			delete(p.last, ref)
		default:
			counts.keep(labels)
		}
	}
	p.retired.keep(labels)
}

// add adds what Validators had counted that are not among the known ones.
func (p *past) add(t tally, known map[*validator.Validator]bool) {
	for ref, counts := range p.last {
		if !known[ref.Value()] {
			t.merge(counts)
		}
	}
	t.merge(p.retired)
}
