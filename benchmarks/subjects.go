package benchmarks

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// Run validates a token and fails if it is refused. The token is the i-th modulo their
// number. Several goroutines may call it.
type Run func(i int) error

// Subject is one way to validate a token, or a part of that.
type Subject struct {
	Name   string
	Module string // the report has its version; "" for our own and the standard library
	// Checks is what the library checks by itself. Adapter is what the subject
	// adds because the documentation of the library says so. The report shows
	// both, since subjects do unequal work.
	Checks, Adapter string
	// Type means that tokens of another type than at+jwt are refused.
	Type bool
	// Ours means that the subject is Sallyport, which has budgets.
	Ours bool
	// Prepare does what an application does once at its start.
	Prepare func(m *Material) (Run, error)
}

// Subjects validate a whole token that they have not seen before. The first is
// Sallyport.
var Subjects = append([]Subject{
	{
		Name: "Sallyport", Type: true, Ours: true,
		Checks:  "RFC 9068 in full: also typ, sub, client_id, iat and jti, duplicate members, JSON types",
		Prepare: sallyport(nil),
	},
}, Peers...)

// Fetching is Sallyport with keys by URL. It is measured in the cases in which a
// library might fetch keys. A token with an unknown kid waits for the next fetch,
// which starts within seconds. Its context has ended, so the measurement includes the
// work and not the wait.
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

// repeatName is Sallyport with tokens that it has accepted before.
const repeatName = "Sallyport, repeat"

// Repeats validate tokens that they have accepted before.
var Repeats = []Subject{
	{
		Name:    "digest and map",
		Checks:  "that the token's SHA-256 is in a map that nobody writes: no expiry, no eviction, no lock",
		Prepare: prepareDigestMap,
	},
	{
		Name: repeatName, Type: true, Ours: true,
		Checks:  "the cache of verified tokens: expiry, liveness of the key, the route's demands",
		Prepare: prepareRepeat,
	},
}

// prepareRepeat prepares Sallyport with a cache for all tokens.
func prepareRepeat(m *Material) (Run, error) {
	return sallyport(func(c *validator.Config) { c.Cache.Entries = max(1000, 2*len(m.Tokens)) })(m)
}

// sallyport prepares validator.Validate with static keys and the changes of change.
func sallyport(change func(*validator.Config)) func(m *Material) (Run, error) {
	return func(m *Material) (Run, error) {
		v, err := newValidator(m, change)
		if err != nil {
			return nil, err
		}
		return m.each(validating(context.Background(), v)), nil
	}
}

// validating returns a function that validates one token with validator.Validate.
func validating(ctx context.Context, v *validator.Validator) func(token string) error {
	return func(token string) error {
		_, err := v.Validate(ctx, validator.Presentation{Scheme: validator.Bearer, Token: token})
		return err
	}
}

func newValidator(m *Material, change func(*validator.Config)) (*validator.Validator, error) {
	config := validator.Config{Logger: slog.New(slog.DiscardHandler), Issuers: []validator.Issuer{{
		URL:       Issuer,
		Audiences: []string{Audience},
		Keys:      jwkscache.Static(m.JWKS),
	}}}
	config.Cache.Entries = 64 // the fewest: a token is no longer in the cache when it comes again
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

// each returns a Run that calls a function with each token.
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
