package main

import "strings"

// suggestion returns what to write in place of an unknown key: the known keys, and first
// the one that was probably meant.
func suggestion(key string, known []string) string {
	text := "known here: " + strings.Join(known, ", ")
	if near := nearest(key, known); near != "" {
		return "did you mean " + near + "? " + text
	}
	return text
}

// maxTypos is how many letters of a key may be wrong, missing, too many or exchanged, so
// that it is still suggested.
const maxTypos = 2

// nearest returns the known key that is nearest to key, or "" if none is near. Upper case
// and other separators are no differences: clientIDs and client-ids are client_ids.
func nearest(key string, known []string) string {
	best, fewest := "", maxTypos+1
	for _, candidate := range known {
		if d := typos(plainLetters(key), plainLetters(candidate)); d < fewest && 2*d < len(candidate) {
			best, fewest = candidate, d
		}
	}
	return best
}

// plainLetters returns key in lower case and without separators.
func plainLetters(key string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(key))
}

// typos returns how many letters have to be changed, added, removed or exchanged with
// their neighbor to make b of a (the optimal string alignment distance).
func typos(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			changed := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				changed++
			}
			rows[i][j] = min(changed, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
