// Package validated holds the proof by which package middleware asks a policy about a
// token that was validated a moment ago.
package validated

import "time"

// Proof says that a token was validated in this very call, under the demands of the
// policy that gets the Proof. The zero Proof says nothing: programs outside of this
// module can make that one and no other.
type Proof struct {
	holds        bool
	activeWithin time.Duration
}

// Now returns a Proof that holds. The caller must have validated the token under the
// policy's demands with this ActiveWithin, and must not have waited since.
func Now(activeWithin time.Duration) Proof { return Proof{true, activeWithin} }

// Holds reports whether [Now] made p.
func (p Proof) Holds() bool { return p.holds }

// ActiveWithin returns what [Now] was called with, or 0 if p does not hold.
func (p Proof) ActiveWithin() time.Duration { return p.activeWithin }
