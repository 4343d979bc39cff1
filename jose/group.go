package jose

import (
	"cmp"
	"slices"
)

// maxCandidates bounds the number of signature checks for one token (R-JK-15);
// maxCost bounds their cost.
const maxCandidates = 4

// group holds the keys of one kid and one algorithm.
type group struct {
	algorithm Algorithm
	keys      []*Key // after limitCost: cheapest first, and no more than may be tried
}

// add adds key, unless the group has its material already.
func (g *group) add(key *Key) {
	if !slices.ContainsFunc(g.keys, key.same) {
		g.keys = append(g.keys, key)
	}
}

// limitCost keeps the keys that may be tried for one token, cheapest first: at
// most maxCandidates, of maxCost in total. The cheapest key is kept whatever it
// costs.
func (g *group) limitCost() {
	slices.SortStableFunc(g.keys, func(a, b *Key) int { return cmp.Compare(a.cost, b.cost) })
	total := 0
	for i, key := range g.keys {
		total += key.cost
		if i > 0 && (i == maxCandidates || total > maxCost) {
			g.keys = g.keys[:i:i]
			return
		}
	}
}
