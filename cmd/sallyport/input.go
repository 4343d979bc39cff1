package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/validator"
)

// input is one input line.
type input struct {
	name         string
	route        string
	routed       bool
	presentation validator.Presentation
	unreadable   error // why there are no credentials that can be read; of --explain only
}

// errLine means that one line cannot be read and the next ones can.
var errLine = errors.New("not a valid input line")

// inputLimits are the limits of a line, which may have annotations. The token has its
// own limits.
var inputLimits = strictjson.Limits{Depth: 64, Members: 4096}

// parseInput reads one line and ignores unknown members.
func parseInput(line string) (input, error) {
	in := input{presentation: validator.Presentation{Scheme: validator.Bearer}}
	members, err := strictjson.ParseObject(line, inputLimits, nil)
	if err != nil {
		return input{}, fmt.Errorf("%w: %w", errLine, err)
	}
	hasToken := false
	for _, m := range members {
		if err := in.set(m); err != nil {
			return input{}, fmt.Errorf("%w: %s: %w", errLine, m.Name, err)
		}
		hasToken = hasToken || m.Name == "token"
	}
	if !hasToken {
		return input{}, fmt.Errorf("%w: the member token is missing", errLine)
	}
	return in, nil
}

func (in *input) set(m strictjson.Member) error {
	p := &in.presentation
	switch m.Name {
	case "name":
		return setText(&in.name, m.Value)
	case "token":
		return setText(&p.Token, m.Value)
	case "method":
		return setText(&p.Method, m.Value)
	case "route":
		in.routed = true
		return setText(&in.route, m.Value)
	case "scheme":
		return setScheme(&p.Scheme, m.Value)
	case "url":
		return setURL(&p.URL, m.Value)
	case "cert":
		return setCertificate(&p.Certificate, m.Value)
	case "dpop":
		return setTexts(&p.Proofs, m.Value)
	default:
		return nil
	}
}

// inputError says what is wrong with a member.
type inputError string

func (e inputError) Error() string { return string(e) }

func setText(dst *string, v strictjson.Value) error {
	s, ok := v.Text()
	if !ok {
		return inputError("must be a string")
	}
	*dst = s
	return nil
}

func setTexts(dst *[]string, v strictjson.Value) error {
	if v.Kind() != strictjson.Array {
		return inputError("must be an array of strings")
	}
	for element := range v.Elements() {
		var s string
		if err := setText(&s, element); err != nil {
			return err
		}
		*dst = append(*dst, s)
	}
	return nil
}

// setScheme reads an authentication scheme.
func setScheme(dst *validator.Scheme, v strictjson.Value) error {
	var s string
	if err := setText(&s, v); err != nil {
		return err
	}
	switch strings.ToLower(s) {
	case "bearer":
		*dst = validator.Bearer
	case "dpop":
		*dst = validator.DPoP
	default:
		*dst = validator.OtherScheme
	}
	return nil
}

func setURL(dst **url.URL, v strictjson.Value) error {
	var s string
	if err := setText(&s, v); err != nil {
		return err
	}
	u, err := url.Parse(s)
	if err != nil {
		return inputError("is not a URL")
	}
	*dst = u
	return nil
}

func setCertificate(dst **x509.Certificate, v strictjson.Value) error {
	var s string
	if err := setText(&s, v); err != nil {
		return err
	}
	block, _ := pem.Decode([]byte(s))
	if block == nil || block.Type != "CERTIFICATE" {
		return inputError("is not a certificate in PEM")
	}
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return inputError("is not an X.509 certificate")
	}
	*dst = parsed
	return nil
}
