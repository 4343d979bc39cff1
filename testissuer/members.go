package testissuer

import (
	"encoding/json"
	"fmt"
)

// override changes members: an entry of changes replaces the member of its name,
// and nil removes the member.
func override(members, changes map[string]any) {
	for name, value := range changes {
		if value == nil {
			delete(members, name)
		} else {
			members[name] = value
		}
	}
}

// encode returns a JSON object with these members.
func encode(members map[string]any) []byte {
	text, err := json.Marshal(members)
	if err != nil {
		panic(fmt.Sprintf("testissuer: a member cannot be written as JSON: %v", err))
	}
	return text
}

// must returns v and panics on an error. It is for calls of the standard library
// that cannot fail with what they are given here.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("testissuer: %v", err))
	}
	return v
}
