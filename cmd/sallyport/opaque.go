package main

import (
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/validator"
)

// opaqueFile says how an issuer is asked about tokens (RFC 7662), and what its answers
// must have.
type opaqueFile struct {
	Endpoint          string           `yaml:"endpoint"`
	Client            clientFile       `yaml:"client"`
	Auth              string           `yaml:"auth"`
	Cache             cacheFile        `yaml:"cache"`
	Limits            opaqueLimitsFile `yaml:"limits"`
	Signed            bool             `yaml:"signed"`
	Prefix            string           `yaml:"prefix"`
	Raw               bool             `yaml:"raw"`
	AssertionAudience string           `yaml:"assertion_audience"`
	Hint              string           `yaml:"hint"`
	Keys              *keysFile        `yaml:"keys"`
	AnswerAudiences   []string         `yaml:"answer_audiences"`
	InactiveErrors    []string         `yaml:"inactive_errors"`
	Marker            []ruleFile       `yaml:"marker"`
	TokenTypes        []string         `yaml:"token_types"`
	FiltersAudience   bool             `yaml:"filters_audience"`
	ScopeLists        bool             `yaml:"scope_lists"`
}

type cacheFile struct {
	TTL      string `yaml:"ttl"`
	Negative string `yaml:"negative"`
}

// noHint is the hint in a file that stands for none.
const noHint = "none"

// opaque returns how the issuer is asked about tokens; nil means that it is not asked.
func (c converter) opaque(file *opaqueFile, audiences []string) *introspect.Client {
	if file == nil {
		return nil
	}
	cache := c.at("cache")
	client := &introspect.Client{
		Endpoint:       file.Endpoint,
		ID:             file.Client.ID,
		Authentication: c.authentication(file),
		Prefix:         file.Prefix,
		Hint:           file.Hint,
		InactiveErrors: file.InactiveErrors,
		Cache: introspect.Cache{
			TTL:      cache.at("ttl").duration(file.Cache.TTL, introspect.NoCache),
			Negative: cache.at("negative").duration(file.Cache.Negative, introspect.NoCache),
		},
		Limits: limits[introspect.Limits](c.at("limits"), file.Limits),
	}
	if file.Hint == noHint {
		client.Hint = introspect.NoHint
	}
	c.signedAnswers(client, file, audiences)
	return client
}

// signedAnswers sets what signed answers must have. Servers name either the client or
// the API in aud, so that the default is both.
func (c converter) signedAnswers(client *introspect.Client, file *opaqueFile, audiences []string) {
	const problem, mend = "is for signed answers", "set signed: true, or leave it out"
	client.Signed = file.Signed
	if file.Signed {
		client.AnswerAudiences = file.AnswerAudiences
		if file.Keys != nil {
			client.AnswerKeys = c.at("keys").keys(file.Keys)
		}
		if client.AnswerAudiences == nil {
			client.AnswerAudiences = distinct(append([]string{file.Client.ID}, audiences...))
		}
		return
	}
	if file.Keys != nil {
		c.at("keys").faults.Add(problem, mend)
	}
	if file.AnswerAudiences != nil {
		c.at("answer_audiences").faults.Add(problem, mend)
	}
}

// distinct returns names without repetitions and without empty ones, which have faults
// of their own.
func distinct(names []string) []string {
	var all []string
	for _, name := range names {
		if name != "" && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// answers returns what an answer about an opaque token must have.
func (c converter) answers(file *opaqueFile) validator.AnswerRules {
	if file == nil {
		return validator.AnswerRules{}
	}
	return validator.AnswerRules{
		Marker:          c.at("marker").rules(file.Marker),
		TokenTypes:      file.TokenTypes,
		FiltersAudience: file.FiltersAudience,
		ScopeLists:      file.ScopeLists,
	}
}

// eachRequest is the value of active_within that demands a request to the issuer for
// each request to the API.
const eachRequest = "each_request"

// askedWithin returns how long ago the issuer may have said that one of its JWTs is
// active.
func (c converter) askedWithin(file *issuerFile) time.Duration {
	within := c.activeWithin(file.ActiveWithin)
	switch {
	case file.ActiveWithin == "":
	case file.Opaque == nil:
		c.faults.Add("needs an issuer that can be asked", "give it opaque, or leave it out")
		return 0
	case file.Keys == nil && c.jwks == "" && file.Preset == "":
		c.faults.Add("is for JWTs, and without keys all tokens of the issuer are opaque", "give keys ({} for discovery), or leave it out; opaque.cache.ttl is for opaque tokens")
		return 0
	}
	return within
}

// activeWithin reads how long ago the issuer may have said that a token is active. Absent
// means no demand.
func (c converter) activeWithin(text string) time.Duration {
	const mend = "give one such as 30s, or " + eachRequest
	if text == "" {
		return 0
	}
	if text == eachRequest {
		return validator.EachRequest
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		c.faults.Addf(mend, "is %q, which is not a duration", text)
	case d <= 0:
		c.faults.Addf(mend, "is %s", text)
	default:
		return d
	}
	return 0
}
