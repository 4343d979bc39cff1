package main

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// version is a semantic version without build metadata.
type version struct {
	number     [3]int   // major, minor, patch
	prerelease []string // identifiers behind the hyphen
}

var versionPattern = regexp.MustCompile(`^v(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(?:-((?:0|[1-9]\d{0,8}|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d{0,8}|\d*[A-Za-z-][0-9A-Za-z-]*))*))?$`)

// parseVersion reads "v1.2.3" or "v1.2.3-rc.1".
func parseVersion(text string) (version, error) {
	m := versionPattern.FindStringSubmatch(text)
	if m == nil {
		return version{}, fmt.Errorf("%q is no semantic version such as v1.2.3 or v1.2.3-rc.1", text)
	}
	var v version
	for i := range v.number {
		n, err := strconv.Atoi(m[i+1])
		if err != nil {
			return version{}, err
		}
		v.number[i] = n
	}
	if m[4] != "" {
		v.prerelease = strings.Split(m[4], ".")
	}
	return v, nil
}

// compare returns a negative number if v precedes w, and 0 if they are equal.
func (v version) compare(w version) int {
	for i := range v.number {
		if c := cmp.Compare(v.number[i], w.number[i]); c != 0 {
			return c
		}
	}
	switch {
	case len(v.prerelease) == 0 || len(w.prerelease) == 0:
		return cmp.Compare(len(w.prerelease), len(v.prerelease)) // a prerelease precedes its release
	default:
		return comparePrereleases(v.prerelease, w.prerelease)
	}
}

// comparePrereleases compares identifier by identifier: numbers by value,
// others by their bytes, and numbers precede others.
func comparePrereleases(a, b []string) int {
	for i := range min(len(a), len(b)) {
		m, errA := strconv.Atoi(a[i])
		n, errB := strconv.Atoi(b[i])
		var c int
		switch {
		case errA == nil && errB == nil:
			c = cmp.Compare(m, n)
		case errA == nil:
			c = -1
		case errB == nil:
			c = 1
		default:
			c = strings.Compare(a[i], b[i])
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}
