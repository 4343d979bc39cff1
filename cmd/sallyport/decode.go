package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/validator"
)

// decodeConfig reads JSON with the strict decoder and anything else as YAML. The
// faults are keys and types that do not fit and keys without a value, all of them
// and each with its line; what does fit is in file. The error is for a text that
// cannot be read at all.
func decodeConfig(text []byte, file *configFile) (faults []error, err error) {
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		return decodeJSON(text, file)
	}
	if faults, err = decodeYAML(text, file); err != nil {
		return nil, err
	}
	return append(faults, emptyInYAML(text)...), nil
}

func decodeJSON(text []byte, file *configFile) (faults []error, err error) {
	if err := strictjson.UnmarshalKnown(string(text), file); err != nil {
		strict := errors.New(goType.ReplaceAllString(err.Error(), ""))
		// The decoder stops at the first fault. If the text is JSON, reading
		// it as YAML tells the others too.
		*file = configFile{}
		if faults, err = decodeYAML(text, file); err != nil {
			return nil, strict
		}
		if len(faults) == 0 {
			faults = []error{strict}
		}
	}
	for _, place := range strictjson.Nulls(string(text)) {
		faults = append(faults, emptyAt(place))
	}
	return faults, nil
}

// emptyAt is the fault of a key or an element without a value. A missing key means
// its default; a key without a value could mean that or an empty list.
func emptyAt(place string) error {
	return fmt.Errorf("%s has no value; give it one ([] for an empty list), or leave it out", place)
}

// emptyInYAML returns the faults of all keys and elements without a value in one
// document.
func emptyInYAML(text []byte) []error {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil // the decoder told why
	}
	return emptyBelow(&document, "the file")
}

// emptyBelow returns those of a node, which stands at a key or an index.
func emptyBelow(node *yaml.Node, place string) []error {
	if node.ShortTag() == "!!null" {
		return []error{emptyAt(fmt.Sprintf("line %d: %s", node.Line, place))}
	}
	var faults []error
	for i, child := range node.Content {
		switch {
		case node.Kind == yaml.DocumentNode:
			faults = append(faults, emptyBelow(child, place)...)
		case node.Kind != yaml.MappingNode:
			faults = append(faults, emptyBelow(child, fmt.Sprintf("element %d", i))...)
		case i%2 == 0:
			faults = append(faults, emptyBelow(child, "a key")...)
		default:
			faults = append(faults, emptyBelow(child, node.Content[i-1].Value)...)
		}
	}
	return faults
}

func decodeYAML(text []byte, file *configFile) (faults []error, err error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	err = decoder.Decode(file)
	types, mistyped := errors.AsType[*yaml.TypeError](err)
	switch {
	case mistyped:
		for _, fault := range types.Errors {
			faults = append(faults, errors.New(inPlainWords(fault)))
		}
	case errors.Is(err, io.EOF):
		return nil, errors.New("the file is empty; issuers is required")
	case err != nil:
		return nil, err
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file has more than one YAML document; give one")
	}
	return faults, nil
}

var (
	// goType is the part of a decoder's error that speaks of this program's
	// types.
	goType       = regexp.MustCompile(`( in type| into( Go)?) [][*]*main\.\w+`)
	unknownField = regexp.MustCompile(`field (\S+) not found in type \S+`)
	wrongType    = regexp.MustCompile("cannot unmarshal !!(\\w+)( `.*`)? into (\\S+)")
)

// expected says what the decoder's types are called in a file.
var expected = map[string]string{
	"string": "a string", "int": "a number", "[]string": "a list of strings",
	"[]main.issuerFile": "a list of issuers", "[]main.ruleFile": "a list of claims",
}

// given says what YAML's tags are called.
var given = map[string]string{
	"str": "a string", "int": "a number", "float": "a number", "bool": "true or false", "seq": "a list", "map": "a mapping", "null": "nothing",
}

// inPlainWords turns an error of the YAML decoder into what its reader can act on.
func inPlainWords(fault string) string {
	fault = unknownField.ReplaceAllString(fault, `unknown key "$1"`)
	parts := wrongType.FindStringSubmatchIndex(fault)
	if parts == nil {
		return goType.ReplaceAllString(fault, "")
	}
	part := func(i int) string {
		if parts[2*i] < 0 {
			return ""
		}
		return fault[parts[2*i]:parts[2*i+1]]
	}
	want, known := expected[part(3)]
	if !known {
		want = "a mapping of keys"
	}
	got, known := given[part(1)]
	if !known {
		got = part(1)
	}
	return fault[:parts[0]] + got + part(2) + " stands where " + want + " is expected" + fault[parts[1]:]
}

// fileTerms are the names of this program's file for those of the library.
var fileTerms = strings.NewReplacer(
	"validator: ", "", "Issuers[", "issuers[", "Issuers is", "issuers is", ": URL must", ": url must", ": URL is", ": url is",
	": Audiences", ": audiences", ": Algorithms", ": algorithms", "; leave it nil for", "; leave it out for", ": Keys: ", ": keys: ",
	": Claims[", ": claims[", ": Marker[", ": marker[", ": Marker is", ": marker is", "ProfileLegacy", "profile legacy", "a Marker: ", "a marker: ",
	"in Claims", "in claims", "Leeway.Expiry", "leeway.expiry", "Leeway.Future", "leeway.future", "NoLeeway", "0s",
	"MaxTokenBytes", "limits.token", ": Name is", ": name is", "set Equals", "set equals", ": Equals of", ": equals of",
	": Grants[", ": grants[", ": Grants is nil, and", ": grants is missing, and", "other issuers or Tenants", "other issuers", "AllScopes", `"`+validator.AllScopes+`"`,
)

// inFileTerms says a fault of the library's configuration in the file's names.
func inFileTerms(err error) error { return errors.New(fileTerms.Replace(err.Error())) }
