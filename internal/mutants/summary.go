package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// count returns how many mutants of a room have a verdict. The empty room
// means all.
func (r *runner) count(room string, v verdict) int {
	n := 0
	for _, res := range r.results {
		if res.verdict == v && (room == "" || res.mutant.room() == room) {
			n++
		}
	}
	return n
}

// summary prints the counts of each room and what makes the run fail, and
// returns the exit code.
func (r *runner) summary(stale []string) int {
	slices.SortFunc(r.results, func(a, b result) int {
		if a.mutant.file != b.mutant.file {
			return strings.Compare(a.mutant.file, b.mutant.file)
		}
		return a.mutant.start - b.mutant.start
	})
	fmt.Fprintf(r.stdout, "\n%-24s %8s %8s %8s %10s %10s %10s\n", "room", "mutants", "killed", "by time", "survived", "not built", "minutes")
	var rooms []string
	for _, res := range r.results {
		rooms = append(rooms, res.mutant.room())
	}
	slices.Sort(rooms)
	for _, room := range append(slices.Compact(rooms), "") {
		r.row(room)
	}
	failures := 0
	for _, res := range r.results {
		key := res.mutant.key()
		switch _, listed := r.allowed[key]; {
		case res.verdict == survived && !listed:
			failures++
			fmt.Fprintf(r.stdout, "survived: %s:%d: %s\n", res.mutant.file, res.mutant.line, key)
		case listed && (res.verdict == killed || res.verdict == timedOut):
			failures++
			fmt.Fprintf(r.stdout, "listed as equivalent, and a test kills it: %s\n", key)
		}
	}
	for _, key := range stale {
		failures++
		fmt.Fprintf(r.stdout, "listed as equivalent, and there is no such mutant: %s\n", key)
	}
	if failures > 0 {
		return 1
	}
	return 0
}

// row prints the counts of a room, or of all together.
func (r *runner) row(room string) {
	name, n, listed := room, 0, 0
	var took time.Duration
	for _, res := range r.results {
		if room != "" && res.mutant.room() != room {
			continue
		}
		n++
		took += res.took / time.Duration(r.parallel)
		if res.verdict == survived && r.allowed[res.mutant.key()] != "" {
			listed++
		}
	}
	if room == "" {
		name = "all"
	}
	survivors := fmt.Sprint(r.count(room, survived))
	if listed > 0 {
		survivors += fmt.Sprintf(" (%d ok)", listed)
	}
	fmt.Fprintf(r.stdout, "%-24s %8d %8d %8d %10s %10d %10.1f\n", name, n,
		r.count(room, killed), r.count(room, timedOut), survivors, r.count(room, notBuilt), took.Minutes())
}
