package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/validator"
)

// input is one line of the verify contract.
type input struct {
	name         string
	route        string
	routed       bool
	presentation validator.Presentation
}

// inputLimits let annotated lines through; the token inside has its own.
var inputLimits = strictjson.Limits{Depth: 64, Members: 4096}

// parseInput reads one line. Members that it does not know are ignored.
func parseInput(line string) (input, error) {
	in := input{presentation: validator.Presentation{Scheme: validator.Bearer}}
	members, err := strictjson.ParseObject(line, inputLimits, nil)
	if err != nil {
		return input{}, fmt.Errorf("%w: %w", errLine, err)
	}
	hasToken := false
	for _, m := range members {
		if err := in.read(m); err != nil {
			return input{}, fmt.Errorf("%w: %s: %w", errLine, m.Name, err)
		}
		hasToken = hasToken || m.Name == "token"
	}
	if !hasToken {
		return input{}, fmt.Errorf("%w: the member token is missing", errLine)
	}
	return in, nil
}

func (in *input) read(m strictjson.Member) error {
	p := &in.presentation
	switch m.Name {
	case "name":
		return text(&in.name, m.Value)
	case "token":
		return text(&p.Token, m.Value)
	case "method":
		return text(&p.Method, m.Value)
	case "route":
		in.routed = true
		return text(&in.route, m.Value)
	case "scheme":
		return scheme(&p.Scheme, m.Value)
	case "url":
		return requestURL(&p.URL, m.Value)
	case "cert":
		return certificate(&p.Certificate, m.Value)
	case "dpop":
		return texts(&p.Proofs, m.Value)
	default:
		return nil
	}
}

// inputError is what is wrong with a member.
type inputError string

func (e inputError) Error() string { return string(e) }

func text(dst *string, v strictjson.Value) error {
	s, ok := v.Text()
	if !ok {
		return inputError("must be a string")
	}
	*dst = s
	return nil
}

func texts(dst *[]string, v strictjson.Value) error {
	if v.Kind() != strictjson.Array {
		return inputError("must be an array of strings")
	}
	for element := range v.Elements() {
		var s string
		if err := text(&s, element); err != nil {
			return err
		}
		*dst = append(*dst, s)
	}
	return nil
}

// scheme reads an authentication scheme; another one than ours is no
// credentials, as on the wire.
func scheme(dst *validator.Scheme, v strictjson.Value) error {
	var s string
	if err := text(&s, v); err != nil {
		return err
	}
	switch strings.ToLower(s) {
	case "bearer":
		*dst = validator.Bearer
	case "dpop":
		*dst = validator.DPoP
	default:
		*dst = 0
	}
	return nil
}

func requestURL(dst **url.URL, v strictjson.Value) error {
	var s string
	if err := text(&s, v); err != nil {
		return err
	}
	u, err := url.Parse(s)
	if err != nil {
		return inputError("is not a URL")
	}
	*dst = u
	return nil
}

func certificate(dst **x509.Certificate, v strictjson.Value) error {
	var s string
	if err := text(&s, v); err != nil {
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
