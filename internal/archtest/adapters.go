package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
)

// adapterRooms are the rooms that an adapter may import besides the leaves:
// validator for Presentation and Reason, scopes for policies, and middleware for
// Route.
var adapterRooms = []string{"validator", "scopes", "middleware"}

// decisions are the methods that decide on a token or a request by one step alone.
// An adapter calls Route.Check, which takes all of them.
var decisions = []string{"Validate", "Inspect", "Decide", "Meets"}

// CheckAdapters reports rows of adapters that name a room which decides, adapters
// that are not marked as such, and calls in them that decide past Route.Check. A
// folder middleware/…auth is an adapter.
func CheckAdapters(repo *Repo, rooms []Room) []string {
	var out []string
	for _, room := range rooms {
		if isAdapterFolder(room.Dir) && !room.Adapter {
			out = append(out, room.Dir+": its row in the import table does not say that it is an Adapter")
		}
		if !room.Adapter {
			continue
		}
		for _, name := range room.Rooms {
			if !slices.Contains(adapterRooms, name) {
				out = append(out, fmt.Sprintf("%s: is an Adapter and must not import %s, which decides; use Route.Check", room.Dir, name))
			}
		}
	}
	for _, pkg := range repo.Packages {
		if room, ok := roomOf(rooms, pkg.Dir); !ok || !room.Adapter {
			continue
		}
		for _, file := range pkg.Files {
			ast.Inspect(file.AST, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains(decisions, s.Sel.Name) {
					out = append(out, fmt.Sprintf("%s: an adapter must not call %s; use Route.Check", repo.where(s.Pos()), s.Sel.Name))
				}
				return true
			})
		}
	}
	return out
}

func isAdapterFolder(dir string) bool {
	return path.Dir(dir) == "middleware" && strings.HasSuffix(dir, "auth")
}
