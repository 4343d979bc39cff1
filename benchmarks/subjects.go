package benchmarks

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// Run judges the i-th of some tokens, counted on beyond the last one from the
// first, and fails if it is refused. Several goroutines may call it.
type Run func(i int) error

// Subject is one way to judge a token, or a part of it.
type Subject struct {
	Name   string
	Module string // whose version the report names; "" for our own and the standard library
	// Checks is what the library checks by itself, so that unequal work is not
	// compared in silence; Adapter what the subject adds as the library's
	// documentation tells its users to.
	Checks, Adapter string
	// Type tells that tokens of another type than at+jwt are refused.
	Type bool
	// Ours are held to the budgets.
	Ours bool
	// Prepare does once what an application does at start-up.
	Prepare func(m *Material) (Run, error)
}

// Subjects judge a whole token that they have not seen before. The first is
// Sallyport.
var Subjects = append([]Subject{
	{
		Name: "Sallyport", Type: true, Ours: true,
		Checks:  "RFC 9068 in full: also typ, sub, client_id, iat and jti, duplicate members, JSON types",
		Prepare: sallyport(nil),
	},
}, Peers...)

// Fetching is Sallyport with keys by URL. It is measured beside the others
// where a library might fetch. An unknown kid waits for the next fetch, which
// begins within seconds: its context has ended, so that what is measured is
// the work and not the wait.
var Fetching = Subject{
	Name: "Sallyport, keys by URL", Type: true, Ours: true,
	Checks: "as Sallyport",
	Prepare: func(m *Material) (Run, error) {
		url, err := m.JWKSURL()
		if err != nil {
			return nil, err
		}
		v, err := newValidator(m, func(c *validator.Config) { c.Issuers[0].Keys = jwkscache.URL(url) })
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return m.each(validating(ctx, v)), nil
	},
}

// Repeats judge tokens that they have accepted before.
var Repeats = []Subject{
	{
		Name:    "digest and map",
		Checks:  "that the token's SHA-256 is in a map that nobody writes: no expiry, no eviction, no lock",
		Prepare: prepareDigestMap,
	},
	{
		Name: "Sallyport, repeat", Type: true, Ours: true,
		Checks:  "the cache of verified tokens: expiry, liveness of the key, the route's demands",
		Prepare: prepareRepeat,
	},
}

// prepareRepeat is Sallyport with room for all tokens.
func prepareRepeat(m *Material) (Run, error) {
	return sallyport(func(c *validator.Config) { c.Cache.Entries = max(1000, 2*len(m.Tokens)) })(m)
}

// sallyport prepares validator.Validate with static keys, after change.
func sallyport(change func(*validator.Config)) func(m *Material) (Run, error) {
	return func(m *Material) (Run, error) {
		v, err := newValidator(m, change)
		if err != nil {
			return nil, err
		}
		return m.each(validating(context.Background(), v)), nil
	}
}

// validating makes a function that judges one token by validator.Validate.
func validating(ctx context.Context, v *validator.Validator) func(token string) error {
	return func(token string) error {
		_, err := v.Validate(ctx, validator.Presentation{Scheme: validator.Bearer, Token: token})
		return err
	}
}

func newValidator(m *Material, change func(*validator.Config)) (*validator.Validator, error) {
	config := validator.Config{Issuers: []validator.Issuer{{
		URL:       Issuer,
		Audiences: []string{Audience},
		Keys:      jwkscache.Static(m.JWKS),
	}}}
	config.Cache.Entries = 64 // the fewest: no token of the many is still there when it comes again
	if change != nil {
		change(&config)
	}
	v, err := validator.New(config)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	if err := v.Warm(context.Background()); err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	return v, nil
}

// each makes a Run of what judges one token.
func (m *Material) each(judge func(token string) error) Run {
	tokens := m.Tokens
	return func(i int) error { return judge(tokens[i%len(tokens)]) }
}

func prepareDigestMap(m *Material) (Run, error) {
	seen := make(map[[sha256.Size]byte]bool, len(m.Tokens))
	texts := make([][]byte, len(m.Tokens))
	for i, token := range m.Tokens {
		texts[i] = []byte(token)
		seen[sha256.Sum256(texts[i])] = true
	}
	return func(i int) error {
		if !seen[sha256.Sum256(texts[i%len(texts)])] {
			return errors.New("benchmarks: not in the map")
		}
		return nil
	}, nil
}
