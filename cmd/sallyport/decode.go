package main

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/validator"
)

// decodeConfig reads JSON with the strict decoder and anything else as YAML. The
// faults are keys and types that do not fit, all of them and each with its line;
// what does fit is in file. The error is for a text that cannot be read at all.
func decodeConfig(text []byte, file *configFile) (faults []error, err error) {
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		err := strictjson.UnmarshalKnown(string(text), file)
		if err == nil {
			return nil, nil
		}
		// The decoder stops at the first fault. If the text is JSON, reading
		// it as YAML tells the others too.
		if faults, yamlErr := decodeYAML(text, new(configFile)); yamlErr == nil && len(faults) > 0 {
			return nil, errors.Join(faults...)
		}
		return nil, errors.New(goType.ReplaceAllString(err.Error(), ""))
	}
	return decodeYAML(text, file)
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
	": Grants[", ": grants[", "AllScopes", `"`+validator.AllScopes+`"`,
)

// inFileTerms says a fault of the library's configuration in the file's names.
func inFileTerms(err error) error { return errors.New(fileTerms.Replace(err.Error())) }
