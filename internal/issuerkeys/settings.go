package issuerkeys

import (
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// settings is what does not change after [Open]. All parts of [Keys] share one.
type settings struct {
	binding     Binding
	limits      *jwkscache.Limits // of the binding
	trace       tracer
	source      string        // see [jwkscache.Status]
	location    string        // of the source, if the configuration names it
	upstream    upstream      // nil for static keys
	initial     *version      // what the configuration contains, or nil
	longestWork time.Duration // how long one fetch may take
	maxBackoff  time.Duration
	remembers   bool // fetched keys are kept in the vault
}

func newSettings(binding Binding) *settings {
	binding.Algorithms = slices.Clone(binding.Algorithms)
	binding.KeyIssuers = slices.Clone(binding.KeyIssuers)
	s := &settings{binding: binding, trace: tracer{binding.Issuer, binding.Trace}}
	s.limits = &s.binding.Limits
	s.longestWork, s.maxBackoff = s.limits.FetchTimeout, s.limits.MaxBackoff
	return s
}

// parse reads a JWK Set within the limits.
func (s *settings) parse(document string) (*jose.Set, error) {
	set, err := jose.KeyRules{
		Algorithms: s.binding.Algorithms,
		Issuers:    s.binding.KeyIssuers,
		Limits:     jose.Limits{RSABits: s.limits.RSABits, RSAExponent: s.limits.RSAExponent},
	}.ParseSet([]byte(document))
	if err != nil {
		return nil, err
	}
	if n := len(set.Keys()) + len(set.Ignored()); n > s.limits.Keys {
		most := s.limits.Keys
		return nil, cause.New(jose.ErrNotJWKS, func() cause.Details {
			return cause.Details{
				Found: fmt.Sprintf("%d keys", n), Wanted: fmt.Sprintf("at most %d, which is KeyLimits.Keys", most), Mend: "raise Issuer.KeyLimits.Keys",
			}
		})
	}
	return set, nil
}

// setInitial makes the keys of a document of the configuration the initial ones.
func (s *settings) setInitial(document []byte, origin string) error {
	set, err := s.parse(string(document))
	if err != nil {
		return err
	}
	s.initial = &version{
		published: set, origin: origin, document: string(document),
		renewal: never, fresh: never, usable: never,
	}
	if origin == "fallback" {
		s.initial.fresh, s.initial.renewal = deadline{}, deadline{}
	}
	return nil
}
