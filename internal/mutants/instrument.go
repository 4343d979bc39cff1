package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The environment variables that instrumented code reads when it starts.
const (
	activeVariable  = "MUTANTS_ACTIVE"  // "room number" of the mutant that is active
	reachedVariable = "MUTANTS_REACHED" // file to which the mutants that are reached are added
)

// switchFile is added to every room. A mutant is reached when the original and
// the mutant would take different ways for the first time.
const switchFile = `package %[1]s

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

var mutantActive = func() int {
	number, ok := strings.CutPrefix(os.Getenv(%[3]q), "%[2]s ")
	n, err := strconv.Atoi(number)
	if !ok || err != nil {
		return -1
	}
	return n
}()

var mutantsReached = func() *os.File {
	name := os.Getenv(%[4]q)
	if name == "" {
		return nil
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	return file
}()

var mutantNoted [%[5]d]atomic.Bool

func mutantIs(n int) bool {
	if mutantsReached != nil {
		mutantNote(n)
	}
	return n == mutantActive
}

func mutantNote(n int) {
	if mutantNoted[n].Swap(true) {
		return
	}
	if _, err := mutantsReached.WriteString("%[2]s " + strconv.Itoa(n) + "\n"); err != nil {
		panic(err)
	}
}
`

// instrument writes the files that hold all mutants of each room, and the
// overlay that puts them in place of the originals. It returns the overlay's
// name. The constant of mutant number n becomes a call: "(cond) && false" is
// written as "(cond) && !mutantIs(n)". The call is made only where the mutant
// and the original differ.
func instrument(tmp, dir string, mutants []mutant) (string, error) {
	replace := map[string]string{}
	put := func(name string, text []byte) error {
		original, err := filepath.Abs(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		file := filepath.Join(tmp, filepath.FromSlash(name))
		replace[original] = file
		return errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, text, 0o600))
	}
	byFile := map[string][]mutant{}
	perRoom := map[string]int{}
	for _, m := range mutants {
		perRoom[m.room()] = max(perRoom[m.room()], m.number+1)
		if !m.broken && !m.alone {
			byFile[m.file] = append(byFile[m.file], m)
		}
	}
	for file, in := range byFile {
		if err := put(file, withSwitches(in)); err != nil {
			return "", err
		}
		room := in[0].room()
		if perRoom[room] == 0 {
			continue
		}
		name, err := parser.ParseFile(token.NewFileSet(), file, in[0].src, parser.PackageClauseOnly)
		if err != nil {
			return "", err
		}
		text := fmt.Sprintf(switchFile, name.Name.Name, room, activeVariable, reachedVariable, perRoom[room])
		if err := put(room+"/mutants_switch.go", []byte(text)); err != nil {
			return "", err
		}
		perRoom[room] = 0
	}
	config, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(tmp, "overlay.json")
	return overlay, errors.Join(os.MkdirAll(tmp, 0o700), os.WriteFile(overlay, config, 0o600))
}

// withSwitches returns the source of a file with all its mutants in it.
func withSwitches(mutants []mutant) []byte {
	src := mutants[0].src
	// Those that enclose others come first, and insert their text outside.
	mutants = slices.SortedStableFunc(slices.Values(mutants), func(a, b mutant) int {
		if a.start != b.start {
			return a.start - b.start
		}
		return b.end - a.end
	})
	before, after := map[int]string{}, map[int]string{}
	for _, m := range mutants {
		is := "mutantIs(" + strconv.Itoa(m.number) + ")"
		constant := strings.NewReplacer("true", is, "false", "!"+is)
		before[m.start] += constant.Replace(m.before)
		after[m.end] = constant.Replace(m.after) + after[m.end]
	}
	var out []byte
	for i := range len(src) + 1 {
		out = append(out, after[i]...)
		out = append(out, before[i]...)
		if i < len(src) {
			out = append(out, src[i])
		}
	}
	return out
}
