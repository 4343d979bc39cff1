package latency

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sallyport-auth/sallyport/benchmarks"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// traffic is the tokens of requests.
type traffic interface {
	// window prepares one window: the i-th request is due at start plus i times interval.
	// The events happen in the window.
	window(start time.Time, interval time.Duration, count int) []event
	// authorization returns the Authorization field of the i-th request of the window.
	authorization(i int) string
	// reset forgets the window and returns how many tokens there are. Until the next window,
	// authorization returns all of them in turn.
	reset() int
}

// event is what happens in a window.
type event struct {
	after time.Duration // the start of the window
	do    func()
}

// happen makes events happen, and returns when all have. They are in order.
func happen(start time.Time, events []event) {
	for _, e := range events {
		time.Sleep(time.Until(start.Add(e.after)))
		e.do()
	}
}

// inTurn is tokens that come in turn.
type inTurn []string

func newInTurn(tokens []string) inTurn {
	fields := make(inTurn, len(tokens))
	for i, token := range tokens {
		fields[i] = bearer(token)
	}
	return fields
}

func bearer(token string) string { return "Bearer " + token }

func (t inTurn) window(time.Time, time.Duration, int) []event { return nil }
func (t inTurn) authorization(i int) string                   { return t[i%len(t)] }
func (t inTurn) reset() int                                   { return len(t) }

// mix is traffic as that of an API with many users: how often a user comes follows
// Zipf's law, a token is used until it expires, and then the user has a new one. The
// issuer publishes a new key in a window and signs with it, so that tokens have a key that
// the server does not know yet.
type mix struct {
	issuer *testissuer.Issuer
	users  []user
	order  []string // the fields of the requests of a window
	zipf   *rand.Zipf
	keys   []retiring // published, the oldest first
	begun  time.Time  // the last window with a new key
}

// user is a user of a mix.
type user struct {
	field  string // Authorization
	expiry time.Time
}

// retiring is a key that signs no more.
type retiring struct {
	id   string
	last time.Time // when it signed last
}

const (
	mixLifetime = time.Minute     // of tokens
	mixSkew     = 1.1             // of Zipf's law: the most frequent user sends about a seventh of the requests
	mixMargin   = 5 * time.Second // how long before its expiry a token is replaced
	// mixPublished is the part of a window after which the new key is published. It signs
	// what is due in the second half.
	mixPublished = 0.45
	// mixBetween is the least time between the beginnings of two windows with a new key. The
	// server asks for keys that it does not know once a second at most, so that more would be
	// unlike any issuer. Windows of others lie in between.
	mixBetween = 5 * time.Second
)

// newMix returns a mix whose tokens expire at times that are spread evenly.
func newMix(issuer *testissuer.Issuer, users int) *mix {
	m := &mix{
		issuer: issuer, users: make([]user, users),
		zipf: rand.NewZipf(rand.New(rand.NewPCG(1, 2)), mixSkew, 1, uint64(users-1)), //nolint:gosec // the same users come in each run
	}
	now := time.Now()
	for i := range m.users {
		m.renew(i, now.Add(mixMargin+mixLifetime*time.Duration(i+1)/time.Duration(users)))
	}
	return m
}

// renew gives a user a new token.
func (m *mix) renew(i int, expiry time.Time) {
	m.users[i] = user{bearer(m.issuer.Sign(usualToken(i, time.Until(expiry)))), expiry}
}

// usualToken returns a token with almost the claims of [benchmarks.Claims].
func usualToken(i int, lifetime time.Duration) testissuer.Token {
	return testissuer.Token{Lifetime: lifetime, Scope: "orders:read orders:write billing:read profile email phone", Claims: map[string]any{
		"aud":       []string{benchmarks.Audience, "https://api.example.com/billing"},
		"sub":       fmt.Sprintf("%08x-d9cb-469f-a165-70867728950e", i),
		"client_id": "web-shop-frontend-app",
		"roles":     []string{"customer", "reviewer", "beta", "staff"},
	}}
}

// window signs what the users need in the window.
func (m *mix) window(start time.Time, interval time.Duration, count int) []event {
	m.retire(start)
	change := start.Sub(m.begun) >= mixBetween
	key := ""
	if change {
		m.begun = start
		key = m.issuer.AddKey(testissuer.Key{Unpublished: true})
	}
	half := start.Add(time.Duration(count/2) * interval)
	m.order = make([]string, count)
	for i := range m.order {
		if i == count/2 && change {
			m.keys = append(m.keys, retiring{m.issuer.SigningKey(), half})
			m.issuer.Use(key)
		}
		due := start.Add(time.Duration(i) * interval)
		n := int(m.zipf.Uint64()) //nolint:gosec // less than the number of users
		if m.users[n].expiry.Sub(due) < mixMargin {
			m.renew(n, due.Add(mixLifetime))
		}
		m.order[i] = m.users[n].field
	}
	if !change {
		return nil
	}
	publish := time.Duration(mixPublished * float64(count) * float64(interval))
	return []event{{publish, func() { m.issuer.Publish(key) }}}
}

// retire takes back the keys whose tokens have expired.
func (m *mix) retire(now time.Time) {
	for len(m.keys) > 0 && now.Sub(m.keys[0].last) > mixLifetime+mixMargin {
		m.issuer.Retire(m.keys[0].id)
		m.keys = m.keys[1:]
	}
}

func (m *mix) authorization(i int) string {
	if m.order == nil {
		return m.users[i%len(m.users)].field
	}
	return m.order[i%len(m.order)]
}

func (m *mix) reset() int {
	m.order = nil
	now := time.Now()
	for i := range m.users {
		if m.users[i].expiry.Sub(now) < mixMargin {
			m.renew(i, now.Add(mixMargin+mixLifetime*time.Duration(i+1)/time.Duration(len(m.users))))
		}
	}
	return len(m.users)
}
