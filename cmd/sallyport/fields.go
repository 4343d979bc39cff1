package main

import (
	"maps"
	"reflect"
	"strconv"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/validator"
)

// fileField is what a file calls a field of the library's configuration.
type fileField struct {
	key string // below the key of the field that contains it; "" if it is that key
	or  string // the key instead, if the file has it
}

// fileFields holds the fields that a file can set by their names in Go. The name
// of an element of a list or a map ends with "[]". A rule inside AnyOf has the names of
// the outer rule.
var fileFields = func() map[string]fileField {
	fields := maps.Clone(renamedFields)
	addFields(fields, "Issuers[]", reflect.TypeFor[issuerFile](), reflect.TypeFor[validator.Issuer]())
	addFields(fields, "Issuers[].Opaque.Limits", reflect.TypeFor[opaqueLimitsFile](), reflect.TypeFor[introspect.Limits]())
	addFields(fields, "Issuers[].Answers.Marker[]", reflect.TypeFor[ruleFile](), reflect.TypeFor[validator.ClaimRule]())
	return fields
}()

// renamedFields are those of fileFields that no struct of the file has under the same name.
var renamedFields = map[string]fileField{
	"Issuers":              {key: "issuers"},
	"Issuers[].HTTPClient": {key: "ca_file"},

	"Issuers[].Opaque":                            {key: "opaque"},
	"Issuers[].Opaque.Endpoint":                   {key: "endpoint"},
	"Issuers[].Opaque.ID":                         {key: "client.id"},
	"Issuers[].Opaque.Authentication":             {},
	"Issuers[].Opaque.Authentication.Secret":      {key: "client.secret_file", or: "client.secret_env"},
	"Issuers[].Opaque.Authentication.Raw":         {key: "raw"},
	"Issuers[].Opaque.Authentication.Key":         {key: "client.private_key_file", or: "client.key_file"},
	"Issuers[].Opaque.Authentication.KeyID":       {key: "client.key_id"},
	"Issuers[].Opaque.Authentication.Audience":    {key: "assertion_audience"},
	"Issuers[].Opaque.Authentication.Certificate": {key: "client.certificate_file"},
	"Issuers[].Opaque.Prefix":                     {key: "prefix"},
	"Issuers[].Opaque.Hint":                       {key: "hint"},
	"Issuers[].Opaque.Signed":                     {key: "signed"},
	"Issuers[].Opaque.AnswerAudiences":            {key: "answer_audiences"},
	"Issuers[].Opaque.AnswerKeys":                 {key: "keys"},
	"Issuers[].Opaque.InactiveErrors":             {key: "inactive_errors"},
	"Issuers[].Opaque.Cache":                      {key: "cache"},
	"Issuers[].Opaque.Cache.TTL":                  {key: "ttl"},
	"Issuers[].Opaque.Cache.Negative":             {key: "negative"},
	"Issuers[].Opaque.Limits":                     {key: "limits"},

	"Issuers[].Answers":                 {key: "opaque"},
	"Issuers[].Answers.Marker":          {key: "marker"},
	"Issuers[].Answers.TokenTypes":      {key: "token_types"},
	"Issuers[].Answers.FiltersAudience": {key: "filters_audience"},
	"Issuers[].Answers.ScopeLists":      {key: "scope_lists"},

	"Leeway":        {key: "leeway"},
	"Leeway.Expiry": {key: "expiry"},
	"Leeway.Future": {key: "future"},

	"MaxTokenBytes":   {key: "limits.token"},
	"MaxTokenMembers": {key: "limits.members"},
	"MaxTokenDepth":   {key: "limits.depth"},

	"Hierarchy": {key: "hierarchy"}, // of the Guard
}

// addFields adds the fields of library, a struct at path, that file has under the same
// name, and those of the structs inside.
func addFields(fields map[string]fileField, path string, file, library reflect.Type) {
	for field := range file.Fields() {
		below := path + "." + field.Name
		of, known := library.FieldByName(field.Name)
		if _, renamed := fields[below]; renamed || !known || field.Name == "AnyOf" {
			continue
		}
		fields[below] = fileField{key: field.Tag.Get("yaml")}
		inner, ofInner := field.Type, of.Type
		if inner.Kind() == reflect.Slice {
			inner, ofInner, below = inner.Elem(), ofInner.Elem(), below+"[]"
		} else if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && ofInner.Kind() == reflect.Struct {
			addFields(fields, below, inner, ofInner)
		}
	}
}

// mends replaces advice of the library that names things of Go.
var mends = map[string]string{
	"Issuers[].Algorithms":             "list some, or leave it out for RS256, PS256, ES256 and EdDSA",
	"Issuers[].Marker[]":               "name another claim, or give equals",
	"Issuers[].Grants":                 "list the scopes that this issuer may grant; [" + validator.AllScopes + "] is all",
	"Issuers[].ActiveWithin":           "give 1s to 5m, or " + eachRequest,
	"Issuers[].Opaque.Endpoint":        "give an https URL without user information and fragment; http is for loopback hosts only",
	"Issuers[].Opaque.Hint":            "leave it out for access_token, or give " + noHint,
	"Issuers[].Opaque.AnswerAudiences": "list the names of this API in the aud of signed answers, or leave it out",
	"Leeway.Expiry":                    "give 0s to 60s",
}

// inFile returns a fault of the library's configuration as a fault of the file. If
// the file cannot set the field, its name in Go becomes part of the problem. The places
// are those of the keys that the file has.
func inFile(f fault.Fault, written places) fault.Fault {
	goPath, path, nearby := "", "", fieldsIn("")
	for _, step := range goSteps(f.Path) {
		if step.name == "AnyOf" {
			path += ".any_of" + step.elements("")
			continue
		}
		goPath = strings.TrimPrefix(goPath+"."+step.name, ".")
		field, known := fileFields[goPath]
		if !known {
			f.Problem = f.Path + " " + f.Problem
			break
		}
		path = step.elements(field.below(path, written))
		goPath += strings.Repeat("[]", len(step.indexes))
		maps.Copy(nearby, fieldsIn(goPath))
	}
	f.Path, f.Problem, f.Mend = path, inWords(f.Problem, nearby), inWords(f.Mend, nearby)
	if own := mends[goPath]; own != "" {
		f.Mend = own
	}
	return f
}

// below returns the path of a field whose parent is at path.
func (f fileField) below(path string, written places) string {
	if f.key == "" {
		return path
	}
	if other := path + "." + f.or; f.or != "" {
		if _, ok := written[other]; ok {
			return other
		}
	}
	return strings.TrimPrefix(path+"."+f.key, ".")
}

// goStep is a part of the path of a fault: the name of a field, and the elements in it.
type goStep struct {
	name    string
	indexes []string // a number, or a key in quotes
}

// goSteps returns the parts of a path such as Issuers[0].Mappings[1].Values["a.b"][0].
func goSteps(path string) []goStep {
	var steps []goStep
	for path != "" {
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		step := goStep{name: path[:end]}
		path = path[end:]
		for strings.HasPrefix(path, "[") {
			index, err := strconv.QuotedPrefix(path[1:])
			if err != nil {
				index, _, _ = strings.Cut(path[1:], "]")
			}
			step.indexes = append(step.indexes, index)
			path = strings.TrimPrefix(path[1+len(index):], "]")
		}
		steps = append(steps, step)
		path = strings.TrimPrefix(path, ".")
	}
	return steps
}

// elements returns path with the elements of the step as the file has them.
func (s *goStep) elements(path string) string {
	for _, index := range s.indexes {
		if key, err := strconv.Unquote(index); err == nil {
			path = keyPath(path, key)
		} else {
			path += "[" + index + "]"
		}
	}
	return path
}
