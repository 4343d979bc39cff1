package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// syntaxError is the error of a text that is neither YAML nor JSON. It is at one
// place of the file.
type syntaxError struct {
	place

	problem string
}

func (e *syntaxError) Error() string { return e.problem }

// isJSON reports whether the text of a file is read as JSON: it starts with "{".
func isJSON(text []byte) bool {
	trimmed := bytes.TrimSpace(text)
	return len(trimmed) > 0 && trimmed[0] == '{'
}

// parse reads the text of a file, which is YAML or JSON. An error of the syntax is
// a [*syntaxError].
func parse(text []byte) (*yaml.Node, error) {
	if isJSON(text) {
		return parseJSON(string(text))
	}
	return parseYAML(text)
}

func parseYAML(text []byte) (*yaml.Node, error) {
	var document yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, &syntaxError{place{1, 1}, "the file is empty; issuers is required"}
	} else if err != nil {
		return nil, yamlError(err)
	}
	var second yaml.Node
	if err := decoder.Decode(&second); err == nil {
		return nil, &syntaxError{place{second.Line, second.Column}, "a second YAML document begins here; give one"}
	} else if !errors.Is(err, io.EOF) {
		return nil, yamlError(err)
	}
	return document.Content[0], nil
}

// yamlError returns an error of the YAML parser with its place. The parser tells
// the line in the text only, and not at all for the first one.
func yamlError(err error) error {
	at, problem := place{1, 1}, err.Error()
	if n, _ := fmt.Sscanf(problem, "yaml: line %d:", &at.line); n == 1 {
		problem = problem[len(fmt.Sprintf("yaml: line %d: ", at.line)):]
	}
	return &syntaxError{at, "is not YAML: " + problem}
}

func parseJSON(text string) (*yaml.Node, error) {
	root, err := strictjson.ParseNode(text)
	if found, ok := errors.AsType[*strictjson.PlaceError](err); ok {
		return nil, &syntaxError{place{found.Line, found.Column}, "is not JSON: " + found.Error()}
	}
	return yamlNode(&root), err
}

// yamlNode returns the YAML node that a JSON value means.
func yamlNode(json *strictjson.Node) *yaml.Node {
	node := &yaml.Node{Kind: yaml.ScalarNode, Value: json.Text, Line: json.Line, Column: json.Column}
	switch json.Kind {
	case strictjson.Object:
		node.Kind, node.Tag = yaml.MappingNode, "!!map"
	case strictjson.Array:
		node.Kind, node.Tag = yaml.SequenceNode, "!!seq"
	case strictjson.String:
		node.Tag, node.Style = "!!str", yaml.DoubleQuotedStyle
	default: // the tag follows from the text
	}
	for i := range json.Children {
		node.Content = append(node.Content, yamlNode(&json.Children[i]))
	}
	return node
}
