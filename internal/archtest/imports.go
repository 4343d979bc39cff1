package archtest

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Room is one row of the import table: a folder with all below it that has no
// row of its own.
type Room struct {
	Dir  string
	Why  string
	Leaf bool // every room may import it

	Rooms    []string // further rooms that it may import
	External []string // import path prefixes of third parties; "*" means any
	Std      []string // packages of RestrictedStd that it may import
}

// Rooms is the import table. A room imports itself, the leaves, the standard
// library short of RestrictedStd, and what its row names.
var Rooms = []Room{
	{
		Dir: "internal/strictjson", Leaf: true,
		Why:      "the one JSON decoder for what comes from outside",
		External: []string{"github.com/go-json-experiment/json"},
	},
	{
		Dir: "internal/clock", Leaf: true,
		Why: "the clock that verify --at and tests set",
	},
	{
		Dir: "internal/fetch", Leaf: true,
		Why: "bounded, address-guarded HTTP, so that no room opens a connection of its own",
	},
	{
		Dir: "internal/detached", Leaf: true,
		Why: "work that many wait for, so that no room lets one caller's end fail another",
	},
	{
		Dir: "internal/hook", Leaf: true,
		Why: "guards against users' hooks, contexts and errors that panic, so that every room does it alike",
	},
	{
		Dir: "internal/zero", Leaf: true,
		Why: "calls methods of zero values; tests alone import it",
	},
	{
		Dir: "discovery", Why: "metadata of one issuer; knows nothing of keys",
	},
	{
		Dir: "jose", Why: "the only room that knows jwx, so that replacing it changes one package",
		External: []string{"github.com/lestrrat-go/jwx/v3"},
	},
	{
		Dir: "jwkscache", Why: "one issuer's keys; knows nothing of tokens",
		Rooms: []string{"jose"},
		Std:   []string{"os"}, // key files and snapshots, where the configuration asks for them
	},
	{
		Dir: "validator", Why: "judges tokens; knows nothing of transports or policies",
		Rooms:    []string{"jose", "jwkscache", "discovery"},
		External: []string{"github.com/hashicorp/golang-lru/v2"},
	},
	{
		Dir: "scopes", Why: "judges operations by the token alone, so that every transport shares it",
		Rooms: []string{"jose", "validator"}, // jose for the names of algorithms
	},
	{
		Dir: "middleware", Why: "joins validation and policy; only adapters may import it",
		Rooms: []string{"validator", "scopes"},
	},
	{
		Dir: "resourcemeta", Why: "what the API says of itself; knows nothing of requests that are judged, so that it cannot open one",
		Rooms: []string{"validator", "scopes"},
	},
	{
		Dir: "testissuer", Why: "an issuer for tests: it signs, so that nothing else has to",
		Rooms: []string{"jose"},
		Std:   []string{"encoding/json"},
	},
	{
		Dir: "cmd/sallyport-demo", Why: "the demo, a binary of its own because it carries an issuer",
		Rooms:    []string{"testissuer", "validator", "scopes", "middleware"},
		External: []string{"github.com/alecthomas/kong"},
		Std:      []string{"os"},
	},
	{
		Dir: "cmd/sallyport", Why: "the binary: every library room, never the test issuer, since it must not be able to mint",
		Rooms:    []string{"jose", "jwkscache", "validator", "scopes", "middleware"},
		External: []string{"github.com/alecthomas/kong", "go.yaml.in/yaml/v3"},
		Std:      []string{"encoding/json", "log", "os"},
	},
	{
		Dir: "internal/differential", Why: "compares with independent verifiers, whose modules stay out of the root",
		Rooms:    []string{"jose", "jwkscache", "validator", "scopes", "middleware"},
		External: []string{"*"},
		Std:      []string{"encoding/json", "os"},
	},
	{
		Dir: "benchmarks", Why: "compares with peers, whose modules stay out of the root",
		Rooms:    []string{"jose", "jwkscache", "validator", "scopes", "middleware"},
		External: []string{"*"},
		Std:      []string{"encoding/json", "log", "os", "os/exec"},
	},
	{
		Dir: "examples", Why: "programs that a user would copy: public rooms only",
		Rooms:    []string{"jose", "jwkscache", "validator", "scopes", "middleware", "resourcemeta"},
		External: []string{"*"},
		Std:      []string{"encoding/json", "log", "os"},
	},
	{
		Dir: "internal/archtest", Why: "reads the repository as text, so that it can judge a broken one",
		Std: []string{"os"},
	},
	{
		Dir: "internal/mutants", Why: "runs the go tool on changed files",
		Std: []string{"encoding/json", "os", "os/exec"},
	},
}

// RestrictedStd holds the standard packages that a room imports only if its
// row says so, with the reason.
var RestrictedStd = map[string]string{
	"C":              "cgo would cost users their cross builds",
	"encoding/json":  "folds the case of names and keeps the last duplicate: use internal/strictjson",
	"log":            "a library does not log: it answers with errors and calls hooks",
	"net/http/pprof": "registers handlers on the global mux when imported",
	"os":             "a library neither reads files, environment and arguments nor writes to the terminal unasked",
	"os/exec":        "a library starts no process",
	"plugin":         "code that is loaded at run time cannot be reviewed",
	"unsafe":         "memory safety is what a token parser rests on",
}

// CheckImports reports imports that the table does not allow, folders without
// a row, and rows without a folder.
func CheckImports(fsys fs.FS, repo *Repo, rooms []Room) []string {
	var out []string
	for _, room := range rooms {
		if info, err := fs.Stat(fsys, room.Dir); err != nil || !info.IsDir() {
			out = append(out, room.Dir+": has a row in the import table and does not exist")
		}
		if room.Why == "" {
			out = append(out, room.Dir+": its row in the import table gives no reason")
		}
	}
	for _, pkg := range repo.Packages {
		room, ok := roomOf(rooms, pkg.Dir)
		if !ok {
			out = append(out, pkg.Dir+": has no row in the import table")
			continue
		}
		for _, file := range pkg.Files {
			for _, spec := range file.AST.Imports {
				name, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					name = spec.Path.Value
				}
				if why := refuse(repo, rooms, room, name); why != "" {
					out = append(out, fmt.Sprintf("%s: %s must not import %s: %s", repo.where(spec.Pos()), room.Dir, name, why))
				}
			}
		}
	}
	return out
}

// refuse says why room must not import name, or nothing if it may.
func refuse(repo *Repo, rooms []Room, room Room, name string) string {
	if dir, ok := repo.folder(name); ok {
		target, ok := roomOf(rooms, dir)
		switch {
		case !ok:
			return dir + " has no row in the import table"
		case target.Dir == room.Dir, target.Leaf, slices.Contains(room.Rooms, target.Dir):
			return ""
		default:
			return fmt.Sprintf("its row does not name %s (%s: %s)", target.Dir, room.Dir, room.Why)
		}
	}
	first, _, _ := strings.Cut(name, "/")
	if strings.Contains(first, ".") {
		for _, prefix := range room.External {
			if prefix == "*" || within(name, prefix) {
				return ""
			}
		}
		return fmt.Sprintf("its row does not name this module (%s: %s)", room.Dir, room.Why)
	}
	if why := RestrictedStd[name]; why != "" && !slices.Contains(room.Std, name) {
		return why
	}
	return ""
}

// roomOf returns the room with the longest folder that holds dir.
func roomOf(rooms []Room, dir string) (Room, bool) {
	var best Room
	for _, room := range rooms {
		if within(dir, room.Dir) && len(room.Dir) > len(best.Dir) {
			best = room
		}
	}
	return best, best.Dir != ""
}
