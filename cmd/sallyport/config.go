package main

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/internal/boundedfile"
	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// configFile is the configuration as people write it: the sidecar's format. The
// tag of a field is its key.
type configFile struct {
	Issuers []issuerFile         `yaml:"issuers"`
	Leeway  leewayFile           `yaml:"leeway"`
	Limits  limitsFile           `yaml:"limits"`
	Routes  map[string]routeFile `yaml:"routes"`
}

type issuerFile struct {
	URL          string      `yaml:"url"`
	Audiences    []string    `yaml:"audiences"`
	Algorithms   []string    `yaml:"algorithms"`
	Keys         *keysFile   `yaml:"keys"`
	Profile      string      `yaml:"profile"`
	Marker       []ruleFile  `yaml:"marker"`
	Claims       []ruleFile  `yaml:"claims"`
	Grants       []string    `yaml:"grants"`
	Opaque       *opaqueFile `yaml:"opaque"`
	ActiveWithin string      `yaml:"active_within"`
	CAFile       string      `yaml:"ca_file"`
}

type keysFile struct {
	File string `yaml:"file"`
	URL  string `yaml:"url"`
}

type ruleFile struct {
	Name   string `yaml:"name"`
	Type   string `yaml:"type"`
	Equals string `yaml:"equals"`
}

type leewayFile struct {
	Expiry string `yaml:"expiry"`
	Future string `yaml:"future"`
}

type limitsFile struct {
	Token int `yaml:"token"`
}

// converter makes a validator's configuration of a file. Paths in the file are
// relative to dir; the key file jwks, if given, replaces the keys of the only
// issuer. The paths of faults are those of the file.
type converter struct {
	dir, jwks string
	faults    fault.List // of the configuration
	ofKeys    fault.List // of the file jwks
}

func (c converter) config(file *configFile) validator.Config {
	leeway := c.at("leeway")
	config := validator.Config{
		Leeway: validator.Leeway{
			Expiry: leeway.at("expiry").duration(file.Leeway.Expiry, validator.NoLeeway),
			Future: leeway.at("future").duration(file.Leeway.Future, 0),
		},
		MaxTokenBytes: file.Limits.Token,
		Logger:        slog.New(slog.DiscardHandler), // the output has the verdicts
	}
	if c.jwks != "" && len(file.Issuers) != 1 {
		c.at("issuers").faults.Addf("leave out the option, or all issuers but one", "has %d elements, and --jwks gives the keys of one", len(file.Issuers))
	}
	for i := range file.Issuers {
		config.Issuers = append(config.Issuers, c.at(fmt.Sprintf("issuers[%d]", i)).issuer(&file.Issuers[i]))
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

func (c converter) issuer(file *issuerFile) validator.Issuer {
	return validator.Issuer{
		URL:          file.URL,
		Audiences:    file.Audiences,
		Algorithms:   c.at("algorithms").algorithms(file.Algorithms),
		Keys:         c.at("keys").issuerKeys(file),
		HTTPClient:   c.at("ca_file").httpClient(file.CAFile),
		Profile:      c.at("profile").profile(file.Profile),
		Marker:       c.at("marker").rules(file.Marker),
		Claims:       c.at("claims").rules(file.Claims),
		Grants:       file.Grants,
		Opaque:       c.at("opaque").opaque(file.Opaque, file.Audiences),
		Answers:      c.at("opaque").answers(file.Opaque),
		ActiveWithin: c.at("active_within").askedWithin(file),
	}
}

func (c converter) profile(name string) validator.Profile {
	switch name {
	case "", "rfc9068":
		return validator.ProfileRFC9068
	case "legacy":
		return validator.ProfileLegacy
	default:
		c.faults.Addf("give rfc9068 or legacy", "is %q", name)
		return validator.ProfileRFC9068
	}
}

// issuerKeys returns where the issuer's keys come from. nil means that they are
// discovered, or that there are none if the issuer is asked about its tokens.
func (c converter) issuerKeys(file *issuerFile) jwkscache.Source {
	switch {
	case c.jwks != "":
		return noKeys // config adds those of the option
	case file.Keys == nil:
		return nil
	case file.Opaque == nil && *file.Keys == keysFile{}:
		c.faults.Add("needs either file or url", "leave keys out for discovery")
		return noKeys
	default:
		return c.keys(file.Keys)
	}
}

// keys returns where keys come from; {} means discovery. After a fault it is an empty
// set, so that the library finds no second one.
func (c converter) keys(keys *keysFile) jwkscache.Source {
	switch {
	case keys.File != "" && keys.URL != "":
		c.faults.Add("needs either file or url", "keep one of them")
		return noKeys
	case keys.URL != "":
		return jwkscache.URL(keys.URL)
	case keys.File != "":
		return c.at("file").keySet(boundedfile.ReadRegular(c.file(keys.File), maxFile))
	default:
		return jwkscache.Discovered()
	}
}

// keySet returns the keys in a document, or no keys and a fault if it could not be read.
func (c converter) keySet(document []byte, err error) jwkscache.Source {
	if err != nil {
		c.faults.Addf("", "cannot be read: %w", err)
		return noKeys
	}
	return jwkscache.Static(document)
}

var noKeys = jwkscache.Static([]byte(`{"keys":[]}`))

// algorithms returns nil after a fault, so that the library finds none in a part
// of the list.
func (c converter) algorithms(names []string) []jose.Algorithm {
	if names == nil {
		return nil
	}
	all := []jose.Algorithm{}
	for i, name := range names {
		at := c.faults.Atf("[%d]", i)
		algorithm, err := jose.ParseAlgorithm(name)
		switch {
		case err != nil:
			at.Addf("give one of "+strings.Join(algorithmNames(), ", "), "is %q", name)
		case slices.Contains(all, algorithm):
			at.Addf("leave out one (Ed25519 and EdDSA are one algorithm)", "%s is listed twice", name)
		default:
			all = append(all, algorithm)
		}
	}
	if len(all) < len(names) {
		return nil
	}
	return all
}

// algorithmNames returns the names of all algorithms that tokens may be signed
// with.
func algorithmNames() []string {
	var names []string
	for a := jose.RS256; a.Valid(); a++ {
		names = append(names, a.String())
	}
	return names
}

// duration reads a Go duration. Absent means the default. Zero is given to the
// library as none; where that is 0, zero is a fault.
func (c converter) duration(text string, none time.Duration) time.Duration {
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		c.faults.Addf("give one such as 30s", "is %q, which is not a duration", text)
		return 0
	case d < 0: // the library has values with a meaning of their own there
		c.faults.Addf("give one such as 30s", "is %s", text)
		return 0
	case d == 0 && none == 0:
		c.faults.Add("is 0s", "give at least 10s, or leave it out for 30s")
		return 0
	case d == 0:
		return none
	default:
		return d
	}
}

var claimTypes = map[string]validator.ClaimType{
	"":        validator.ClaimString,
	"string":  validator.ClaimString,
	"strings": validator.ClaimStrings,
	"boolean": validator.ClaimBoolean,
}

func (c converter) rules(files []ruleFile) []validator.ClaimRule {
	var all []validator.ClaimRule
	for i, file := range files {
		claimType, known := claimTypes[file.Type]
		if !known {
			c.faults.Atf("[%d].type", i).Addf("give string, strings or boolean", "is %q", file.Type)
		}
		all = append(all, validator.ClaimRule{Name: file.Name, Type: claimType, Equals: file.Equals})
	}
	return all
}
