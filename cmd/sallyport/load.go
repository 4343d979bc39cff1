package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/sallyport-auth/sallyport/internal/boundedfile"
	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// load reads the configuration at path. The keys in the file jwks, if it is given,
// replace those of the only issuer. The error is [fileErrors] with all faults, or
// says why the file cannot be opened.
func load(path, jwks string) (*verifier, error) {
	text, err := boundedfile.Read(path, maxFile) // it may be a pipe
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	node, err := parse(text)
	if syntax, ok := errors.AsType[*syntaxError](err); ok {
		return nil, fileErrors{{path, []fileFault{{syntax.place, fault.Fault{Problem: syntax.problem}}}}}
	}
	var file configFile
	r := newReader(node, isJSON(text))
	r.read(node, "", reflect.ValueOf(&file).Elem())
	if r.stopped != nil {
		return nil, fileErrors{{path, r.places.find(*r.stopped)}}
	}

	faults, ofKeys := fault.In("sallyport"), fault.In("sallyport")
	v, err := validator.New(converter{filepath.Dir(path), jwks, r.places, faults, ofKeys}.config(&file))
	for _, f := range fault.All(err) {
		f = inFile(f, r.places)
		if jwks != "" && f.Path == "issuers[0].keys" {
			ofKeys.Add(f.Problem, f.Mend)
			continue
		}
		faults.At(f.Path).Add(f.Problem, f.Mend)
	}
	if err != nil { // the routes are checked all the same
		if v, err = validator.New(faultless); err != nil {
			return nil, err
		}
	}
	guard, err := middleware.New(middleware.Config{Validator: v, Hierarchy: file.Hierarchy})
	if err != nil {
		for _, f := range fault.All(err) {
			f = inFile(f, r.places)
			faults.At(f.Path).Add(f.Problem, f.Mend)
		}
		if guard, err = middleware.New(middleware.Config{Validator: v}); err != nil {
			return nil, err
		}
	}
	checkAsking(file.Routes, file.Issuers, faults)
	table := newRoutes(guard.NewMux(), file.Routes, r.places, faults)
	all := withoutConsequences(fault.All(r.faults.Err()), fault.All(faults.Err()))
	if found := faulty(path, append(r.keyFaults, r.places.find(all...)...), jwks, fault.All(ofKeys.Err())); found != nil {
		return nil, found
	}
	anyToken, err := guard.Route("any", scopes.Authenticated())
	if err != nil {
		return nil, err
	}
	return &verifier{validator: v, routes: table, anyToken: anyToken}, nil
}

// faulty returns the faults of the configuration at path, and those of the key file
// jwks, as one error. It returns nil if there are none.
func faulty(path string, ofConfig []fileFault, jwks string, ofKeys []fault.Fault) error {
	var all fileErrors
	if len(ofConfig) > 0 {
		all = append(all, &fileError{path, ofConfig})
	}
	if len(ofKeys) > 0 {
		all = append(all, &fileError{jwks, places{}.find(ofKeys...)})
	}
	if all == nil {
		return nil
	}
	return all
}

// faultless is a configuration without faults. No token is verified by it.
var faultless = validator.Config{Issuers: []validator.Issuer{standIn(0)}}

// withoutConsequences returns the faults that were found while a file was read and
// those that were found in what was read. It leaves out what follows from the
// former: a value that could not be read is missing in the mapping or list that
// contains it.
func withoutConsequences(reading, read []fault.Fault) []fault.Fault {
	all := slices.Clone(reading)
	for _, f := range read {
		if !slices.ContainsFunc(reading, func(cause fault.Fault) bool {
			return contains(cause.Path, f.Path) || f.Path == parent(cause.Path)
		}) {
			all = append(all, f)
		}
	}
	return all
}
