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

	// Tests is set for a room that only tests may import, whatever the other rows
	// say.
	Tests bool

	// Adapter is set for a room that turns the requests of a transport into calls
	// of Route.Check ([CheckAdapters]).
	Adapter bool

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
		Std:      []string{"encoding/json"}, // for the type Number
	},
	{
		Dir: "internal/clock", Leaf: true,
		Why: "the clock that verify --at and tests set",
	},
	{
		Dir: "internal/cause", Leaf: true,
		Why: "why something was refused, for operators, so that every room shows the same fields and quotes them alike",
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
		Dir: "internal/apart", Leaf: true,
		Why: "handlers in goroutines of their own, so that every adapter passes their panics on alike",
	},
	{
		Dir: "internal/periodic", Leaf: true,
		Why: "visits of many values by one timer, so that no held request costs a goroutine",
	},
	{
		Dir: "internal/misuse", Leaf: true,
		Why: "marks causes that are security events, so that packages without a view of each other agree on them",
	},
	{
		Dir: "internal/secretnames", Leaf: true,
		Why: "the one list of names of credentials, for all that removes or redacts them",
	},
	{
		Dir: "internal/recordqueue", Leaf: true,
		Why: "log records on their way to a handler, so that no room waits for one that is slow",
	},
	{
		Dir: "internal/fault", Leaf: true,
		Why: "faults of configurations as values, so that every constructor reports them alike",
	},
	{
		Dir: "internal/boundedfile", Leaf: true,
		Why: "reads the files that configurations name, so that no pipe or device blocks or floods a room",
		Std: []string{"os"}, // where the configuration names a file
	},
	{
		Dir: "internal/sampling", Leaf: true,
		Why: "which events of a flood are logged, so that every room counts the others alike",
	},
	{
		Dir: "internal/logline", Leaf: true,
		Why: "the lines that this module logs by itself, so that no room waits for a logger or writes raw text",
	},
	{
		Dir: "internal/zero", Tests: true,
		Why: "calls methods of zero values",
	},
	{
		Dir: "internal/validated", Why: "the proof that a token was validated just now; only scopes and middleware may import it",
	},
	{
		Dir: "internal/discovery", Why: "metadata of one issuer; knows nothing of keys",
	},
	{
		Dir: "jose", Why: "the only room that knows jwx, so that replacing it changes one package",
		External: []string{"github.com/lestrrat-go/jwx/v3"},
	},
	{
		Dir: "internal/directory", Why: "finds values by names that nobody has verified, within bounds; knows nothing of issuers",
	},
	{
		Dir: "internal/claims", Why: "reads claims and verifies the JWTs of a known issuer; decides nothing about access",
		Rooms: []string{"jose"},
	},
	{
		Dir: "internal/keysource", Why: "sources of keys as values: jwkscache makes them, internal/issuerkeys reads them, and users do neither",
	},
	{
		Dir: "jwkscache", Why: "what users write and see of one issuer's keys; it fetches nothing",
		Rooms: []string{"jose", "internal/keysource"},
	},
	{
		Dir: "internal/snapshot", Why: "what a restart needs, in a directory that is checked up to the root; knows nothing of keys in use",
		Rooms: []string{"jwkscache"}, // for the names of keys and the hook
		Std:   []string{"os"},        // where the configuration names a directory
	},
	{
		Dir: "internal/issuerkeys", Why: "finds one issuer's keys, behind validator only; knows nothing of tokens",
		Rooms: []string{"jose", "jwkscache", "internal/keysource", "internal/snapshot", "internal/discovery"}, // discovery for its errors, which are outcomes of a fetch
		Std:   []string{"os"},                                                                                 // key files, where the configuration names one
	},
	{
		Dir: "introspect", Why: "what users write and see of introspection; it asks nobody",
		Rooms: []string{"jose", "jwkscache"}, // for the keys of signed answers
	},
	{
		Dir: "internal/introspection", Why: "asks one issuer about tokens, behind validator only; decides nothing about access",
		Rooms:    []string{"jose", "introspect", "internal/claims"},
		External: []string{"github.com/sony/gobreaker/v2", "golang.org/x/sync"},
	},
	{
		Dir: "validator", Why: "checks tokens; knows nothing of transports or policies",
		Rooms:    []string{"jose", "jwkscache", "internal/issuerkeys", "internal/snapshot", "internal/claims", "internal/directory", "internal/discovery", "introspect", "internal/introspection"},
		External: []string{"github.com/hashicorp/golang-lru/v2"},
	},
	{
		Dir: "providers", Why: "what the issuers of large providers are; it configures validator and checks nothing itself",
		Rooms: []string{"jose", "jwkscache", "validator"},
	},
	{
		Dir: "scopes", Why: "decides on operations by the token alone, so that every transport shares it",
		Rooms: []string{"jose", "validator", "internal/validated", "introspect"}, // jose for the names of algorithms, introspect for the kind of an error
	},
	{
		Dir: "middleware", Why: "joins validation and policy; only adapters may import it",
		Rooms: []string{"validator", "scopes", "internal/validated", "introspect"}, // introspect for the kinds of errors, which are labels
	},
	{
		Dir: "metrics", Why: "makes Prometheus series of decisions and of the state of issuers; decides nothing",
		Rooms:    []string{"validator", "jwkscache", "introspect", "middleware"},
		External: []string{"github.com/prometheus/client_golang"},
	},
	{
		Dir: "middleware/connectauth", Adapter: true,
		Why:      "puts the guard in front of Connect handlers; the three protocols of Connect are its only business",
		Rooms:    []string{"scopes", "middleware", "validator"},
		External: []string{"connectrpc.com/connect", "google.golang.org/genproto/googleapis/rpc/errdetails", "google.golang.org/protobuf"},
	},
	{
		Dir: "middleware/grpcauth", Adapter: true,
		Why:      "turns calls of grpc-go into calls of Route.Check; its modules stay out of the root",
		Rooms:    []string{"validator", "scopes", "middleware"},
		External: []string{"google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto/googleapis/rpc", "golang.org/x/oauth2"},
	},
	{
		Dir: "middleware/gatewayauth", Adapter: true,
		Why:      "writes the refusals of a gRPC server as HTTP behind grpc-gateway; it asks nobody and decides nothing",
		Rooms:    []string{"middleware"},
		External: []string{"github.com/grpc-ecosystem/grpc-gateway/v2", "google.golang.org/genproto/googleapis/rpc", "google.golang.org/grpc", "google.golang.org/protobuf"},
	},
	{
		Dir: "middleware/gatewayauth/internal/orders", Tests: true,
		Why:      "a service for the tests of gatewayauth, generated from its .proto file",
		External: []string{"github.com/grpc-ecosystem/grpc-gateway/v2", "google.golang.org/grpc", "google.golang.org/protobuf"},
		Std:      []string{"unsafe"}, // generated
	},
	{
		Dir: "redact", Why: "keeps credentials out of what others log; knows their names and forms, and nothing of tokens",
	},
	{
		Dir: "audit", Why: "what the Guard decided, as records for log/slog; decides nothing",
		Rooms: []string{"validator", "scopes", "middleware", "introspect", "jwkscache"},
	},
	{
		Dir: "resourcemeta", Why: "what the API says of itself; knows nothing of requests, so that it cannot open one",
		Rooms: []string{"validator", "scopes"},
	},
	{
		Dir: "protopolicy", Why: "policies from .proto files, whose library stays out of the root",
		Rooms:    []string{"scopes", "protopolicy/sallyportv1"},
		External: []string{"google.golang.org/protobuf"},
	},
	{
		Dir: "protopolicy/sallyportv1", Why: "generated code that users' generated code imports; decides nothing",
		External: []string{"google.golang.org/protobuf"},
		Std:      []string{"unsafe"}, // protoc-gen-go keeps descriptors in strings
	},
	{
		Dir: "internal/testkey", Why: "keys for tests: it signs whatever text a test writes, so that no test signs by hand",
		Rooms: []string{"jose"},
	},
	{
		Dir: "internal/issuertest", Tests: true,
		Why:   "an issuer under test with its Validator and its Guard, so that no test sets them up by hand",
		Rooms: []string{"testissuer", "introspect", "jwkscache", "validator", "middleware"},
	},
	{
		Dir: "testissuer", Why: "an issuer for tests: it signs, so that no other public room has to",
		Rooms: []string{"jose", "internal/testkey"},
		Std:   []string{"encoding/json"},
	},
	{
		Dir: "cmd/sallyport-demo", Why: "the demo, a binary of its own because it carries an issuer",
		Rooms:    []string{"testissuer", "jose", "jwkscache", "introspect", "validator", "scopes", "middleware", "middleware/grpcauth", "metrics"},
		External: []string{"github.com/alecthomas/kong", "github.com/prometheus/client_golang/prometheus", "google.golang.org/grpc", "google.golang.org/protobuf"},
		Std:      []string{"os"},
	},
	{
		Dir: "cmd/sallyport", Why: "the binary: every library room, never the test issuer, since it must not be able to mint",
		Rooms:    []string{"jose", "jwkscache", "introspect", "validator", "providers", "scopes", "middleware"},
		External: []string{"github.com/alecthomas/kong", "go.yaml.in/yaml/v3"},
		Std:      []string{"encoding/json", "os"},
	},
	{
		Dir: "internal/adapters", Why: "compares the adapters of all transports, whose modules stay out of the root",
		External: []string{"*"},
		Std:      []string{"os"},
	},
	{
		Dir: "internal/alertrules", Why: "tests of the alert rules and of their runbooks",
	},
	{
		Dir: "internal/differential", Why: "compares with independent verifiers, whose modules stay out of the root",
		Rooms:    []string{"jose", "jwkscache", "introspect", "validator", "scopes", "middleware"},
		External: []string{"*"},
		Std:      []string{"encoding/json", "os"},
	},
	{
		Dir: "internal/protogen", Why: "writes and checks the code of .proto files, with compilers whose modules stay out of the root",
		Rooms:    []string{"scopes", "protopolicy", "protopolicy/sallyportv1"},
		External: []string{"*"},
		Std:      []string{"os", "os/exec"},
	},
	{
		Dir: "interop", Why: "tests with real authorization servers, whose modules stay out of the root",
		External: []string{"*"},
		Std:      []string{"encoding/json", "log", "os"},
	},
	{
		Dir: "benchmarks", Why: "compares with peers, whose modules stay out of the root, and simulates fleets",
		Rooms:    []string{"internal/issuerkeys", "jose", "jwkscache", "introspect", "validator", "providers", "scopes", "middleware", "middleware/grpcauth", "testissuer", "metrics", "audit"},
		External: []string{"*"},
		Std:      []string{"encoding/json", "log", "os", "os/exec"},
	},
	{
		Dir: "examples", Why: "programs that a user would copy: public rooms only",
		Rooms:    []string{"jose", "jwkscache", "introspect", "validator", "providers", "scopes", "middleware", "resourcemeta", "middleware/grpcauth", "middleware/connectauth", "protopolicy", "examples/grpc/ordersv1", "metrics"},
		External: []string{"*"},
		Std:      []string{"encoding/json", "log", "os"},
	},
	{
		Dir: "examples/grpc/ordersv1", Why: "generated code",
		Rooms:    []string{"protopolicy/sallyportv1"},
		External: []string{"google.golang.org/grpc", "google.golang.org/protobuf"},
		Std:      []string{"unsafe"}, // protoc-gen-go keeps descriptors in strings
	},
	{
		Dir: "internal/archtest", Why: "reads the repository as text, so that it can judge a broken one",
		Std: []string{"os"},
	},
	{
		Dir: "internal/release", Why: "runs git and the go tool to make a version",
		Std: []string{"encoding/json", "os", "os/exec"},
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
	"expvar":         "registers a handler on the global mux when imported",
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
		case target.Tests && target.Dir != room.Dir:
			return fmt.Sprintf("only tests may (%s: %s)", target.Dir, target.Why)
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
