package main

import (
	"bytes"
	"os"
	"regexp"
	"testing"
)

// TestDocuments shows that the pieces of .proto files in the documents stand in that of
// the example. Those of Go are compared by internal/archtest.
func TestDocuments(t *testing.T) {
	proto, err := os.ReadFile("proto/orders/v1/orders.proto")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```proto\n(.*?)^```$")
	for file, want := range map[string]int{"../../README.md": 1, "../../docs/grpc.md": 2} {
		document, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := blocks.FindAllSubmatch(document, -1)
		if len(found) != want {
			t.Errorf("%s has %d pieces, want %d", file, len(found), want)
		}
		for _, block := range found {
			if !bytes.Contains(proto, block[1]) {
				t.Errorf("%s: this is not in orders.proto:\n%s", file, block[1])
			}
		}
	}
}
