package main

import (
	"fmt"
	"log/slog"

	"github.com/sallyport-auth/sallyport/internal/boundedfile"
	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/validator"
)

// configFile is the configuration as people write it: the sidecar's format. The
// tag of a field is its key.
type configFile struct {
	Issuers   []issuerFile         `yaml:"issuers"`
	Leeway    leewayFile           `yaml:"leeway"`
	Limits    limitsFile           `yaml:"limits"`
	Hierarchy map[string][]string  `yaml:"hierarchy"`
	Routes    map[string]routeFile `yaml:"routes"`
}

type leewayFile struct {
	Expiry string `yaml:"expiry"`
	Future string `yaml:"future"`
}

type limitsFile struct {
	Token   *int `yaml:"token"`
	Members *int `yaml:"members"`
	Depth   *int `yaml:"depth"`
}

// converter makes a validator's configuration of a file. Paths in the file are
// relative to dir; the key file jwks, if given, replaces the keys of the only
// issuer. The paths of faults are those of the file.
type converter struct {
	dir, jwks string
	written   places     // of the keys that the file has
	faults    fault.List // of the configuration
	ofKeys    fault.List // of the file jwks
}

func (c converter) config(file *configFile) validator.Config {
	leeway := c.at("leeway")
	config := validator.Config{
		Leeway: validator.Leeway{
			Expiry: leeway.at("expiry").duration(file.Leeway.Expiry, validator.NoLeeway),
			Future: leeway.at("future").limit(file.Leeway.Future, "give at least 10s, or leave it out for 30s"),
		},
		MaxTokenBytes:   c.at("limits.token").count(file.Limits.Token),
		MaxTokenMembers: c.at("limits.members").count(file.Limits.Members),
		MaxTokenDepth:   c.at("limits.depth").count(file.Limits.Depth),
		Logger:          slog.New(slog.DiscardHandler), // the output has the verdicts
	}
	if c.jwks != "" && len(file.Issuers) != 1 {
		c.at("issuers").faults.Addf("leave out the option, or all issuers but one", "has %d elements, and --jwks gives the keys of one", len(file.Issuers))
	}
	for i := range file.Issuers {
		path := fmt.Sprintf("issuers[%d]", i)
		has := func(key string) bool {
			_, written := c.written[keyPath(path, key)]
			return written
		}
		config.Issuers = append(config.Issuers, c.at(path).issuer(i, &file.Issuers[i], has))
	}
	if c.jwks != "" && len(config.Issuers) > 0 {
		c.faults = c.ofKeys
		config.Issuers[0].Keys = c.keySet(boundedfile.Read(c.jwks, maxFile)) // it may be a pipe
	}
	return config
}

// at returns c for the part of the file at path.
func (c converter) at(path string) converter {
	c.faults = c.faults.At(path)
	return c
}
