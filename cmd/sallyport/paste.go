package main

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/validator"
)

// paste reads tokens as people have them at hand: a token, Bearer and a token, an
// Authorization field, what curl -v printed, and NDJSON. It is fed line by line.
type paste struct {
	pasted  bool     // a line of curl was read, so that unknown lines are ignored
	request string   // method and target of the request that is being read
	fields  []string // the Authorization fields of that request
	pending *input   // its credentials
	command *input   // the credentials of a curl command; those that curl prints are better
	seen    bool     // curl printed credentials since the command
}

// line reads one line, the number of which is for names. It returns what is complete with
// it.
func (p *paste) line(text string, number int) ([]input, error) {
	text, metered := afterMeter(text)
	p.pasted = p.pasted || metered
	if sent, ok := strings.CutPrefix(text, ">"); ok {
		p.pasted = true
		return p.sent(strings.TrimSpace(sent), number), nil
	}
	complete := p.finished()
	switch {
	case text == "":
		return complete, nil
	case strings.HasPrefix(text, "{"):
		in, err := parseInput(text)
		if err != nil && p.pasted { // the body of an answer
			return complete, nil
		}
		if err == nil && in.name == "" {
			in.name = fmt.Sprintf("line %d", number)
		}
		return append(complete, in), err
	case strings.ContainsAny(text[:1], "<*}"):
		p.pasted = true
		return complete, nil
	case isCurl(text):
		complete = append(complete, p.unprinted()...)
		p.pasted = true
		if values := fieldsOfCommand(text); values != nil {
			p.command = credentialsOf(values, "the curl command")
		}
		return complete, nil
	}
	if in := single(text, p.pasted, number); in != nil {
		return append(complete, *in), nil
	}
	if p.pasted {
		return complete, nil
	}
	return complete, fmt.Errorf("%w: it is neither JSON, nor a token, an Authorization field or a line of curl -v", errLine)
}

// meter is a line of the progress meter of curl.
var meter = regexp.MustCompile(`^(?:[\d.kMG]+\s+){8}(?:[\d-]+:[\d-]+:[\d-]+\s+){3}[\d.]+[kMG]?`)

// afterMeter returns text without the spaces around it and without the progress meter of
// curl, and whether there was one. curl writes it before and between the other lines if
// its output goes into a pipe, and no newline after it.
func afterMeter(text string) (rest string, found bool) {
	for {
		text = strings.TrimSpace(text)
		if strings.HasPrefix(text, "% Total ") {
			return "", true
		}
		end := meter.FindStringIndex(text)
		if end == nil {
			return text, found
		}
		text, found = text[end[1]:], true
	}
}

// end returns what is complete with the end of the input.
func (p *paste) end() []input {
	if p.fields == nil { // the fields may have been cut off
		p.pending = nil
	}
	return append(p.finished(), p.unprinted()...)
}

// sent reads one line of a request that curl sent.
func (p *paste) sent(text string, number int) []input {
	if method, rest, ok := strings.Cut(text, " "); ok && !strings.HasSuffix(method, ":") && strings.Contains(rest, " HTTP/") {
		complete := p.finished()
		target, _, _ := strings.Cut(rest, " HTTP/")
		p.request = method + " " + target
		p.noCredentials(method)
		return complete
	}
	if text == "" { // the end of the fields
		return p.finished()
	}
	if value, ok := field(text, "authorization"); ok {
		name, _, _ := strings.Cut(p.request, "?")
		if name == "" {
			name = fmt.Sprintf("line %d", number)
		}
		p.fields = append(p.fields, value)
		p.pending, p.seen = credentialsOf(p.fields, name), true
		p.pending.route = p.request
	}
	return nil
}

// noCredentials makes the request one without credentials, until an Authorization field is
// read. One to a proxy is none to the API.
func (p *paste) noCredentials(method string) {
	if method == http.MethodConnect {
		return
	}
	name, _, _ := strings.Cut(p.request, "?")
	p.pending = credentialsOf(nil, name)
	p.pending.route = p.request
}

// finished returns the request that was being read.
func (p *paste) finished() []input {
	defer func() { p.pending, p.fields, p.request = nil, nil, "" }()
	if p.pending == nil {
		return nil
	}
	return []input{*p.pending}
}

// unprinted returns the credentials of a curl command, if curl printed none.
func (p *paste) unprinted() []input {
	defer func() { p.command, p.seen = nil, false }()
	if p.command == nil || p.seen {
		return nil
	}
	return []input{*p.command}
}

// single reads a line that has credentials and nothing else, or returns nil. After a line
// of curl, a word is a token only if it has the form of a JWT.
func single(text string, pasted bool, number int) *input {
	name := fmt.Sprintf("line %d", number)
	if value, ok := field(text, "authorization"); ok {
		return credentialsOf([]string{value}, name)
	}
	scheme, _, several := strings.Cut(text, " ")
	if several {
		if strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "DPoP") {
			return credentialsOf([]string{text}, name)
		}
		return nil
	}
	token := strings.Trim(text, "\"'`,")
	if token == "" || pasted && strings.Count(token, ".") != 2 {
		return nil
	}
	return &input{name: name, presentation: validator.Presentation{Scheme: validator.Bearer, Token: token}}
}

// credentialsOf reads the values of the Authorization fields of a request, as a server reads
// them.
func credentialsOf(values []string, name string) *input {
	in := &input{name: name}
	in.presentation, in.unreadable = middleware.Credentials(values, nil)
	return in
}

// field returns the value of a line that is the field called name.
func field(text, name string) (string, bool) {
	found, value, ok := strings.Cut(text, ":")
	return strings.TrimSpace(value), ok && strings.EqualFold(found, name)
}

// isCurl reports whether text is a curl command, perhaps after a prompt.
func isCurl(text string) bool {
	words := strings.Fields(text)
	return len(words) > 1 && (words[0] == "curl" || words[1] == "curl" && len(words[0]) == 1)
}

// fieldsOfCommand returns the values of the Authorization fields in a curl command, or nil.
func fieldsOfCommand(text string) []string {
	var values []string
	for _, quote := range []string{`"`, `'`} {
		for i, part := range strings.Split(text, quote) {
			if value, ok := field(part, http.CanonicalHeaderKey("authorization")); ok && i%2 == 1 {
				values = append(values, value)
			}
		}
	}
	words := strings.Fields(text)
	for i, word := range words {
		if word == "--oauth2-bearer" && i+1 < len(words) {
			values = append(values, "Bearer "+strings.Trim(words[i+1], `"'`))
		}
	}
	return values
}
