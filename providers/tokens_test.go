package providers_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/sallyport-auth/sallyport/jose"
)

// tokensFile has the tokens of these tests, one a line, for the tests of other modules, which
// sign them.
const tokensFile = "testdata/tokens.ndjson"

// recordedAt is the time at which the tokens of tokensFile were issued.
const recordedAt = 1_800_000_000

// recorded is a line of tokensFile: a JWT, an opaque token, or a key of a provider that has
// others than one RS256 key.
type recorded struct {
	Preset  string          `json:"preset"`
	Key     map[string]any  `json:"key,omitempty"` // without its value
	Kind    string          `json:"kind,omitempty"`
	Opaque  string          `json:"opaque,omitempty"`
	Header  map[string]any  `json:"header,omitempty"`
	Claims  json.RawMessage `json:"claims,omitempty"`
	Want    string          `json:"want,omitempty"` // the reason, or "" if the token is accepted
	Subject string          `json:"subject,omitempty"`
	Client  string          `json:"client,omitempty"`
	Scopes  string          `json:"scopes,omitempty"`
}

// TestTokensFile checks that tokensFile has the tokens of these tests. With -update it writes
// them.
func TestTokensFile(t *testing.T) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	write := func(line recorded) {
		if err := encoder.Encode(line); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range all() {
		for _, key := range p.keyMembers(t) {
			write(recorded{Preset: p.name, Key: key})
		}
		for i := range p.shapes {
			s := &p.shapes[i]
			line := recorded{Preset: p.name, Kind: s.kind, Opaque: s.opaque, Want: string(s.want), Subject: s.subject, Client: s.client, Scopes: s.scopes}
			if s.claims != nil {
				line.Header, line.Claims = s.header(), atRecording(t, s.claims)
			}
			write(line)
		}
	}
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		if err := os.WriteFile(tokensFile, text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if written, err := os.ReadFile(tokensFile); err != nil || !bytes.Equal(written, text.Bytes()) {
		t.Errorf("%s does not have the tokens of the tests (%v): go test ./providers -update", tokensFile, err)
	}
}

// header returns the header of a token of this shape.
func (s *shape) header() map[string]any {
	header := map[string]any{"alg": jose.RS256.String(), "kid": "provider"}
	if s.alg != 0 {
		header["alg"] = s.alg.String()
	}
	if s.key != "" {
		header["kid"] = s.key
	}
	if s.typ != "" {
		header["typ"] = s.typ
	}
	return header
}

// nearNow matches a number that is as large as a time of these tests.
var nearNow = regexp.MustCompile(`\b1[0-9]{9}\b`)

// atRecording returns claims with times as if the token had been issued at recordedAt.
func atRecording(t *testing.T, c claims) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return nearNow.ReplaceAllFunc(text, func(number []byte) []byte {
		const near = 10_000_000
		at, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil || at < now-near || at > now+near {
			return number
		}
		return strconv.AppendInt(nil, at-now+recordedAt, 10)
	})
}

// keyMembers returns the members of the provider's keys, without those that differ in each
// process.
func (p *provider) keyMembers(t *testing.T) []map[string]any {
	t.Helper()
	var set struct{ Keys []map[string]any }
	if p.keys == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(p.keys), &set); err != nil {
		t.Fatal(err)
	}
	for _, key := range set.Keys {
		delete(key, "n")
		delete(key, "e")
	}
	return set.Keys
}
