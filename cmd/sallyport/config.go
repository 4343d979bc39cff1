package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// configFile is the configuration as people write it: the sidecar's format.
type configFile struct {
	Issuers []issuerFile         `json:"issuers" yaml:"issuers"`
	Leeway  leewayFile           `json:"leeway"  yaml:"leeway"`
	Limits  limitsFile           `json:"limits"  yaml:"limits"`
	Routes  map[string]routeFile `json:"routes"  yaml:"routes"`
}

type issuerFile struct {
	URL        string     `json:"url"        yaml:"url"`
	Audiences  []string   `json:"audiences"  yaml:"audiences"`
	Algorithms []string   `json:"algorithms" yaml:"algorithms"`
	Keys       *keysFile  `json:"keys"       yaml:"keys"`
	Profile    string     `json:"profile"    yaml:"profile"`
	Marker     []ruleFile `json:"marker"     yaml:"marker"`
	Claims     []ruleFile `json:"claims"     yaml:"claims"`
	Grants     []string   `json:"grants"     yaml:"grants"`
}

type keysFile struct {
	File string `json:"file" yaml:"file"`
	URL  string `json:"url"  yaml:"url"`
}

type ruleFile struct {
	Name   string `json:"name"   yaml:"name"`
	Type   string `json:"type"   yaml:"type"`
	Equals string `json:"equals" yaml:"equals"`
}

type leewayFile struct {
	Expiry string `json:"expiry" yaml:"expiry"`
	Future string `json:"future" yaml:"future"`
}

type limitsFile struct {
	Token int `json:"token" yaml:"token"`
}

type routeFile struct {
	Scopes *scopesFile `json:"scopes" yaml:"scopes"`
}

type scopesFile struct {
	All []string `json:"all" yaml:"all"`
	Any []string `json:"any" yaml:"any"`
}

// placeholder is a configuration without faults.
var placeholder = validator.Config{Issuers: []validator.Issuer{{URL: "https://issuer.invalid", Audiences: []string{"https://api.invalid"}}}}

// loadJudge reads the configuration at path; jwksPath, if given, replaces the
// keys of its only issuer. The error is all faults.
func loadJudge(path, jwksPath string) (*judge, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	var file configFile
	faults, err := decodeConfig(text, &file)
	if err != nil {
		return nil, prefixed(path, err)
	}
	config := file.validatorConfig(filepath.Dir(path), jwksPath, &faults)
	v, err := validator.New(config)
	if err != nil {
		faults = append(faults, inFileTerms(err))
		v, err = validator.New(placeholder) // never asked: it lets the routes be checked too
		if err != nil {
			return nil, prefixed(path, err)
		}
	}
	guard, err := middleware.New(middleware.Config{Validator: v})
	if err != nil {
		return nil, prefixed(path, err)
	}
	table, routeFaults := newRoutes(file.Routes, guard.NewMux())
	if err := errors.Join(append(faults, routeFaults...)...); err != nil {
		return nil, prefixed(path, err)
	}
	return &judge{validator: v, guard: guard, routes: table}, nil
}

// validatorConfig turns the file into a validator's configuration and adds
// what is wrong with it to faults. Paths are relative to dir.
func (file *configFile) validatorConfig(dir, jwksPath string, faults *[]error) validator.Config {
	fault := func(format string, args ...any) { *faults = append(*faults, fmt.Errorf(format, args...)) }
	config := validator.Config{
		Leeway: validator.Leeway{
			Expiry: duration("leeway.expiry", file.Leeway.Expiry, validator.NoLeeway, fault),
			Future: duration("leeway.future", file.Leeway.Future, 0, fault),
		},
		MaxTokenBytes: file.Limits.Token,
	}
	if jwksPath != "" && len(file.Issuers) != 1 {
		fault("--jwks is for configurations with one issuer; this one has %d", len(file.Issuers))
	}
	for i := range file.Issuers {
		field := fmt.Sprintf("issuers[%d]", i)
		config.Issuers = append(config.Issuers, file.Issuers[i].validatorIssuer(field, dir, jwksPath, fault))
	}
	return config
}

func (file *issuerFile) validatorIssuer(field, dir, jwksPath string, fault func(string, ...any)) validator.Issuer {
	issuer := validator.Issuer{
		URL:        file.URL,
		Audiences:  file.Audiences,
		Algorithms: algorithms(field, file.Algorithms, fault),
		Keys:       file.source(field, dir, jwksPath, fault),
		Marker:     rules(field+".marker", file.Marker, fault),
		Claims:     rules(field+".claims", file.Claims, fault),
		Grants:     file.Grants,
	}
	switch file.Profile {
	case "", "rfc9068":
	case "legacy":
		issuer.Profile = validator.ProfileLegacy
	default:
		fault("%s.profile: %q is neither rfc9068 nor legacy", field, file.Profile)
	}
	return issuer
}

// source gives the issuer's keys; nil means discovery. Where it cannot, it gives
// an empty set, so that the fault is told once and here.
func (file *issuerFile) source(field, dir, jwksPath string, fault func(string, ...any)) jwkscache.Source {
	path := jwksPath
	switch {
	case path != "":
	case file.Keys == nil:
		return nil
	case (file.Keys.File == "") == (file.Keys.URL == ""):
		fault("%s.keys: give either file or url, or leave keys out for discovery", field)
		return noKeys
	case file.Keys.URL != "":
		return jwkscache.URL(file.Keys.URL)
	case filepath.IsAbs(file.Keys.File):
		path = file.Keys.File
	default:
		path = filepath.Join(dir, file.Keys.File)
	}
	document, err := os.ReadFile(path)
	if err != nil {
		fault("%s.keys: %w", field, err)
		return noKeys
	}
	return jwkscache.Static(document)
}

var noKeys = jwkscache.Static([]byte(`{"keys":[]}`))

// algorithms reads the list. After a fault it gives none, so that nothing is told
// of a list that nobody wrote.
func algorithms(field string, names []string, fault func(string, ...any)) []jose.Algorithm {
	if names == nil {
		return nil
	}
	all := []jose.Algorithm{}
	for i, name := range names {
		algorithm, err := jose.ParseAlgorithm(name)
		switch {
		case err != nil:
			fault("%s.algorithms[%d]: %w", field, i, err)
		case slices.Contains(all, algorithm):
			fault("%s.algorithms[%d]: %s is listed twice (Ed25519 and EdDSA are one algorithm)", field, i, name)
		default:
			all = append(all, algorithm)
			continue
		}
		names = nil
	}
	if names == nil {
		return nil
	}
	return all
}

// duration reads a Go duration; absent means the default, and zero is given as
// none, or is a fault where that is 0.
func duration(field, text string, none time.Duration, fault func(string, ...any)) time.Duration {
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		fault("%s: %q is not a duration such as 30s", field, text)
		return 0
	case d == 0 && none == 0:
		fault("%s: it cannot be 0s; leave it out for the default of 30s", field)
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

func rules(field string, files []ruleFile, fault func(string, ...any)) []validator.ClaimRule {
	var all []validator.ClaimRule
	for i, file := range files {
		claimType, known := claimTypes[file.Type]
		if !known {
			fault("%s[%d].type: %q is not string, strings or boolean", field, i, file.Type)
		}
		all = append(all, validator.ClaimRule{Name: file.Name, Type: claimType, Equals: file.Equals})
	}
	return all
}

// policy makes the policy of a route. A route without one is a fault, not an
// open door.
func (file routeFile) policy() (scopes.Policy, error) {
	switch {
	case file.Scopes == nil || file.Scopes.All == nil && file.Scopes.Any == nil:
		return scopes.Policy{}, errors.New("no policy; give scopes.all or scopes.any")
	case file.Scopes.All != nil && file.Scopes.Any != nil:
		return scopes.Policy{}, errors.New("both scopes.all and scopes.any; give one")
	case len(file.Scopes.All)+len(file.Scopes.Any) == 0:
		return scopes.Policy{}, errors.New("the list of scopes is empty")
	case file.Scopes.All != nil:
		policy := scopes.All(file.Scopes.All...)
		return policy, policy.Err()
	default:
		policy := scopes.Any(file.Scopes.Any...)
		return policy, policy.Err()
	}
}

// prefixed writes path before every line of err.
func prefixed(path string, err error) error {
	all := lines(err)
	for i := range all {
		all[i] = path + ": " + all[i]
	}
	return errors.New(strings.Join(all, "\n"))
}

// lines are the lines of an error that joins others.
func lines(err error) []string { return strings.Split(err.Error(), "\n") }
