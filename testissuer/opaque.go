package testissuer

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

// registry holds what the issuer knows of tokens. JWTs are not kept: their signature
// shows whose they are.
type registry struct {
	keys *keyring

	mu      sync.Mutex
	opaque  map[string]opaque    // by token
	revoked map[string]bool      // by token, also JWTs
	faults  map[string]*faulty   // by token; "" is for unknown tokens
	used    map[string]time.Time // the assertions that were used, with their end
}

// opaque is an opaque token.
type opaque struct {
	claims string // the JSON text
	exact  bool   // claims is the whole answer
	client string // that got it at the token endpoint, or ""
}

// faulty is how many requests about a token were answered with its fault.
type faulty struct {
	fault Fault
	uses  int
}

// newRegistry returns a registry for the JWTs of keys.
func newRegistry(keys *keyring) *registry {
	return &registry{
		keys:    keys,
		opaque:  make(map[string]opaque),
		revoked: make(map[string]bool),
		faults:  make(map[string]*faulty),
		used:    make(map[string]time.Time),
	}
}

// issue returns a new opaque token for t.
func (r *registry) issue(t *Token, issuer, audience string) string {
	if t.Header != nil || t.RawHeader != "" || t.Key != "" || t.Algorithm != 0 || t.Forgery != 0 {
		panic("testissuer: Opaque: Header, RawHeader, Key, Algorithm and Forgery are for Sign")
	}
	text := t.Text
	if text == "" {
		text = rand.Text()
	}
	text = t.Prefix + text
	made := opaque{claims: t.RawClaims, exact: t.RawClaims != ""}
	if !made.exact {
		made.claims = string(encode(t.claims(issuer, audience)))
	}
	r.put(text, made)
	r.setFault(text, t.Fault)
	return text
}

// put adds an opaque token.
func (r *registry) put(text string, o opaque) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, has := r.opaque[text]; has {
		panic(fmt.Sprintf("testissuer: Opaque: there is a token %q already", text))
	}
	r.opaque[text] = o
}

// setFault sets how the introspection endpoint answers about a token.
func (r *registry) setFault(token string, f Fault) {
	f.check()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.faults, token)
	if f != 0 {
		r.faults[token] = &faulty{fault: f}
	}
}

// revoke revokes a token, and reports whether the issuer knows it.
func (r *registry) revoke(token string) bool {
	if _, known := r.find(token); !known {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.revoked[token] = true
	return true
}

// find returns an opaque token, or a JWT that the issuer signed in the same form.
func (r *registry) find(token string) (opaque, bool) {
	r.mu.Lock()
	o, known := r.opaque[token]
	r.mu.Unlock()
	if known {
		return o, true
	}
	u, err := jose.ParseCompact(token)
	if err != nil || !r.keys.signed(&u) || membersOf(u.UnverifiedPayload()) == nil {
		return opaque{}, false
	}
	return opaque{claims: u.UnverifiedPayload()}, true
}

// signed reports whether a key of r, published or not, signed a JWT.
func (r *keyring) signed(u *jose.Unverified) bool {
	r.mu.Lock()
	var public []string
	for _, k := range r.keys {
		public = append(public, publicKey(k.private.Public()))
	}
	r.mu.Unlock()
	for _, jwk := range public {
		if verifies(jwk, u) {
			return true
		}
	}
	return false
}

// finding is what the issuer knows of a token at one time.
type finding struct {
	opaque

	active bool
	fault  Fault
	use    int // how many times it was asked for since the fault was set, with this one
}

// ask returns what is known of a token now, and counts the question.
func (r *registry) ask(token string, now time.Time) finding {
	o, known := r.find(token)
	r.mu.Lock()
	defer r.mu.Unlock()
	f := finding{opaque: o}
	of := r.faults[token]
	if of == nil && !known {
		of = r.faults[""]
	}
	if of != nil {
		of.uses++
		f.fault, f.use = of.fault, of.uses
	}
	f.active = known && !r.revoked[token] && (o.exact || f.fault == ExpiredActive || o.current(now))
	return f
}

// current reports whether the token has begun and has not expired.
func (o *opaque) current(now time.Time) bool {
	members, unix := membersOf(o.claims), float64(now.Unix())
	if expiry, has := numberOf(members["exp"]); has && unix >= expiry {
		return false
	}
	begin, has := numberOf(members["nbf"])
	return !has || unix >= begin
}

// bearer returns the client that got an access token at the token endpoint, or nil if
// the token is not active.
func (r *registry) bearer(token string, clients []Client) *Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.opaque[token]
	if o.client == "" || r.revoked[token] || !o.current(time.Now()) {
		return nil
	}
	for i := range clients {
		if clients[i].ID == o.client {
			return &clients[i]
		}
	}
	return nil
}

// firstUse records an assertion until its end, and reports whether it was not used
// before.
func (r *registry) firstUse(id string, end time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.used[id].After(now) {
		return false
	}
	for other, over := range r.used {
		if !over.After(now) {
			delete(r.used, other)
		}
	}
	r.used[id] = end
	return true
}

// membersOf returns the members of a JSON object, or nil.
func membersOf(text string) map[string]json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &members) != nil {
		return nil
	}
	return members
}

// numberOf returns a JSON number.
func numberOf(text json.RawMessage) (float64, bool) {
	var n *float64
	if json.Unmarshal(text, &n) != nil || n == nil {
		return 0, false
	}
	return *n, true
}
