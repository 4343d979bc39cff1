package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// reader reads nodes of a file into Go values. It notes the place of every key and
// list element. Unknown, duplicate and overlong keys, values of another type and keys
// without a value are faults; what has no fault is read.
type reader struct {
	places    places
	faults    fault.List   // what they name is not read
	keyFaults []fileFault  // of keys that are left out: given a second time, or too long
	json      bool         // only strings are strings; in YAML, any scalar is one
	path      string       // of the value that is read
	depth     int          // of the values that contain it
	visits    int          // how many more nodes may be visited
	stopped   *fault.Fault // set if there were too many visits
}

// newReader returns a reader of the file with this root. By aliases, a small file
// can contain a number of nodes that is exponential in its size. The reader stops
// when it has visited ten times the nodes that are written in the file, and 10 000.
func newReader(root *yaml.Node, json bool) *reader {
	return &reader{places: places{}, faults: fault.In("sallyport"), json: json, visits: 10*written(root) + 10_000}
}

// written returns the number of nodes that are written below node, and node.
func written(node *yaml.Node) int {
	n := 1
	for _, child := range node.Content {
		n += written(child)
	}
	return n
}

// visit counts the visit of a node: once, and once more for each of the mappings in
// merging. It reports whether reading goes on.
func (r *reader) visit(merging []*yaml.Node) bool {
	if r.visits -= 1 + len(merging); r.visits < 0 && r.stopped == nil {
		r.stopped = &fault.Fault{Path: r.path, Problem: "uses aliases too often", Mend: "write out what they stand for, or use fewer"}
	}
	return r.stopped == nil
}

// read reads node, which is the value at path, into a struct, map, slice,
// pointer, string, int or bool.
func (r *reader) read(node *yaml.Node, path string, into reflect.Value) {
	r.path = path
	if !r.visit(nil) {
		return
	}
	if r.depth++; r.depth > maxDepth {
		r.faults.At(path).Addf("write it with fewer levels", "has more than %d levels above it", maxDepth)
	} else {
		r.readValue(node, path, into)
	}
	r.depth--
}

// readValue is read for a value that is not too deep.
func (r *reader) readValue(node *yaml.Node, path string, into reflect.Value) {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.ShortTag() == "!!null" {
		r.faults.At(path).Add("has no value", "give it one ([] for an empty list), or leave it out")
		return
	}
	switch into.Kind() {
	case reflect.Pointer:
		value := reflect.New(into.Type().Elem())
		r.read(node, path, value.Elem())
		into.Set(value)
	case reflect.Struct, reflect.Map:
		r.readMapping(node, path, into)
	case reflect.Slice:
		r.readList(node, path, into)
	default:
		r.readScalar(node, path, into)
	}
}

// readMapping reads a mapping into a struct or a map.
func (r *reader) readMapping(node *yaml.Node, path string, into reflect.Value) {
	if node.Kind != yaml.MappingNode || node.ShortTag() != "!!map" {
		want := "a mapping"
		switch {
		case path == "" && node.Kind == yaml.SequenceNode:
			want += "; if this is a list of issuers, put it under issuers:"
		case strings.HasPrefix(path, "issuers[") && strings.HasSuffix(path, "].tenant") && node.Kind == yaml.ScalarNode:
			want += "; with a preset, did you mean tenant_id?"
		}
		r.mistyped(node, path, want)
		return
	}
	if into.Kind() == reflect.Map {
		into.Set(reflect.MakeMap(into.Type()))
	}
	for _, m := range r.members(node, path, nil) {
		if r.stopped != nil {
			return
		}
		below := keyPath(path, m.name)
		r.places[below] = m.at
		if into.Kind() == reflect.Map {
			value := reflect.New(into.Type().Elem()).Elem()
			r.read(m.value, below, value)
			into.SetMapIndex(reflect.ValueOf(m.name), value)
		} else if i := slices.Index(keysOf(into.Type()), m.name); i >= 0 {
			r.read(m.value, below, into.Field(i))
		} else {
			known := keysOf(into.Type())
			if slices.Contains(known, "preset") && slices.Contains(otherURLs, m.name) {
				r.faults.At(below).Add("is not a known key", "did you mean url? known here: "+strings.Join(known, ", "))
				continue
			}
			r.faults.At(below).Add("is not a known key", suggestion(m.name, known))
		}
	}
}

// otherURLs are words of providers for what an issuer has as url.
var otherURLs = []string{"issuer", "domain", "pool"}

// keysOf returns the keys that a struct is read from, in the order of its fields.
func keysOf(t reflect.Type) []string {
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = t.Field(i).Tag.Get("yaml")
	}
	return keys
}

// keyPath returns the path of a key of the mapping at path.
func keyPath(path, key string) string {
	switch {
	case !plainKey(key):
		return fmt.Sprintf("%s[%q]", path, key)
	case path == "":
		return key
	default:
		return path + "." + key
	}
}

// plainKey reports whether a path has the key without quotes.
func plainKey(key string) bool {
	other := func(c rune) bool {
		return c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	}
	return key != "" && strings.IndexFunc(key, other) < 0
}

// member is a key of a mapping and its value.
type member struct {
	name  string
	at    place // of the key
	value *yaml.Node
}

// members returns the members of the mapping at path. Those of the mappings that
// its key "<<" names follow its own, which they do not replace. The mappings in
// merging contain this one.
func (r *reader) members(mapping *yaml.Node, path string, merging []*yaml.Node) []member {
	var all []member
	named := make(map[string]int) // indexes in all
	merged := -1
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if !r.visit(merging) {
			return nil
		}
		key, at := mapping.Content[i], placeOf(mapping.Content[i])
		for key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!null" {
			r.places[keyPath(path, "")] = at
			r.faults.At(keyPath(path, "")).Add("is a key without a name", "write one")
			continue
		}
		if len(key.Value) > maxKeyBytes {
			r.keyFaults = append(r.keyFaults, fileFault{at, fault.Fault{
				Path: keyPath(path, shortened(key.Value)), Problem: fmt.Sprintf("is a key of %d bytes", len(key.Value)), Mend: fmt.Sprintf("give at most %d", maxKeyBytes),
			}})
			continue
		}
		if first, ok := named[key.Value]; ok {
			r.keyFaults = append(r.keyFaults, fileFault{at, fault.Fault{
				Path: keyPath(path, key.Value), Problem: fmt.Sprintf("is given twice, first on line %d", all[first].at.line), Mend: "keep one",
			}})
			continue
		}
		if key.Value == "<<" && key.ShortTag() == "!!merge" { // any key can have the tag
			merged = len(all)
		}
		named[key.Value] = len(all)
		all = append(all, member{key.Value, at, mapping.Content[i+1]})
	}
	if merged < 0 {
		return all
	}
	merge := all[merged]
	all = slices.Delete(all, merged, merged+1)
	delete(named, merge.name)
	r.places[keyPath(path, merge.name)] = merge.at
	for _, other := range r.merged(merge.value, keyPath(path, merge.name), append(merging, mapping)) {
		if _, ok := named[other.name]; !ok {
			named[other.name] = len(all)
			all = append(all, other)
		}
	}
	return all
}

// merged returns the members of the value of a "<<" key at path: of a mapping, or
// of a list of mappings.
func (r *reader) merged(node *yaml.Node, path string, merging []*yaml.Node) []member {
	if !r.visit(merging) {
		return nil
	}
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	var all []member
	switch {
	case slices.Contains(merging, node):
		r.faults.At(path).Add("contains itself", "")
	case node.Kind == yaml.MappingNode:
		all = r.members(node, path, merging)
	case node.Kind == yaml.SequenceNode:
		for _, element := range node.Content {
			all = append(all, r.merged(element, path, append(merging, node))...)
		}
	default:
		r.mistyped(node, path, "a mapping or a list of mappings")
	}
	return all
}

// wordList is a list that has a text in place of it for some values.
type wordList interface {
	// setText sets the list to what a text stands for, and reports whether it stands for one.
	setText(text string) bool
	// forms says in faults what can be written.
	forms() string
}

// readList reads a list into a slice.
func (r *reader) readList(node *yaml.Node, path string, into reflect.Value) {
	if list, ok := reflect.TypeAssert[wordList](into.Addr()); ok && node.Kind != yaml.SequenceNode {
		if node.Kind != yaml.ScalarNode || node.ShortTag() != "!!str" || !list.setText(node.Value) {
			r.mistyped(node, path, list.forms())
		}
		return
	}
	if node.Kind != yaml.SequenceNode || node.ShortTag() != "!!seq" {
		want := "a list"
		if into.Type().Elem().Kind() == reflect.String && isPlainText(node) && !isPrivate(path) {
			want += "; write [" + node.Value + "]"
		}
		r.mistyped(node, path, want)
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(node.Content), len(node.Content)))
	for i, element := range node.Content {
		if r.stopped != nil {
			return
		}
		below := fmt.Sprintf("%s[%d]", path, i)
		r.places[below] = placeOf(element)
		r.read(element, below, into.Index(i))
	}
}

// isPlainText reports whether node is a short string that a list in brackets can hold as it is.
func isPlainText(node *yaml.Node) bool {
	text := node.Value
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!str" && text != "" && len(text) <= maxShown &&
		!strings.ContainsAny(text, ",[]{}#&*!|>%@`'\"\\ \t\n") && !strings.HasSuffix(text, ":")
}

// readScalar reads a scalar into a string, an int or a bool.
func (r *reader) readScalar(node *yaml.Node, path string, into reflect.Value) {
	tag := node.ShortTag()
	if node.Kind != yaml.ScalarNode {
		tag = ""
	}
	switch into.Kind() {
	case reflect.Int:
		if tag != "!!int" || node.Decode(into.Addr().Interface()) != nil {
			r.mistyped(node, path, "a whole number")
		}
	case reflect.Bool:
		if tag != "!!bool" || node.Decode(into.Addr().Interface()) != nil {
			r.mistyped(node, path, "true or false")
		}
	default:
		if tag != "!!str" && (r.json || !slices.Contains(plainTags, tag)) {
			r.mistyped(node, path, "a string")
			return
		}
		into.SetString(node.Value)
	}
}

// plainTags are the tags, besides that of strings, of what YAML allows without
// quotes where a string is expected, such as 30 or 2026-01-31.
var plainTags = []string{"!!int", "!!float", "!!bool", "!!timestamp"}

// mistyped adds the fault that the value at path has another type than it must
// have.
func (r *reader) mistyped(node *yaml.Node, path, want string) {
	text := shortened(node.Value)
	found := fmt.Sprintf("%q with the tag %s", text, node.ShortTag())
	switch tag := node.ShortTag(); {
	case node.Kind == yaml.MappingNode:
		found = "a mapping" + otherTag(node, "!!map")
	case node.Kind == yaml.SequenceNode:
		found = "a list" + otherTag(node, "!!seq")
	case tag == "!!str":
		found = fmt.Sprintf("the string %q", text)
	case tag == "!!int" || tag == "!!float":
		found = "the number " + text
	case tag == "!!bool":
		found = text
	}
	if node.Kind == yaml.ScalarNode && isPrivate(path) {
		found = "a single value"
	}
	r.faults.At(path).Add("is "+found, "give "+want)
}

// isPrivate reports whether the value at path may be a secret, if only by mistake, so
// that no fault shows it.
func isPrivate(path string) bool {
	_, below, found := strings.Cut(path, ".opaque.client")
	return found && (below == "" || below[0] == '.' || below[0] == '[')
}

// otherTag returns " with the tag …" if the tag of node is not the usual one.
func otherTag(node *yaml.Node, usual string) string {
	if tag := node.ShortTag(); tag != usual {
		return " with the tag " + tag
	}
	return ""
}

const (
	// maxKeyBytes is how many bytes a key may have. It is part of the path of every
	// value below it, and the reader keeps all paths.
	maxKeyBytes = 1 << 10

	// maxDepth is how many levels a file may have. Rules may have rules inside, and the
	// path of a value grows with each level.
	maxDepth = 32

	maxShown = 64 // bytes of a value, or of a key that is too long, in a fault
)

// shortened returns the part of text that a fault shows.
func shortened(text string) string {
	if len(text) > maxShown {
		return strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	return text
}

func placeOf(node *yaml.Node) place { return place{node.Line, node.Column} }
