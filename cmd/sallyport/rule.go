package main

import (
	"github.com/sallyport-auth/sallyport/validator"
)

// ruleFile is a claim that a token must have, or alternatives.
type ruleFile struct {
	Name   string     `yaml:"name"`
	Type   string     `yaml:"type"`
	Equals string     `yaml:"equals"`
	AnyOf  []ruleFile `yaml:"any_of"`
}

var claimTypes = map[string]validator.ClaimType{
	"":        validator.ClaimString,
	"string":  validator.ClaimString,
	"strings": validator.ClaimStrings,
	"boolean": validator.ClaimBoolean,
	"object":  validator.ClaimObject,
}

// rules returns the rules of a list, or nil if it is absent.
func (c converter) rules(files []ruleFile) []validator.ClaimRule {
	var all []validator.ClaimRule
	for i := range files {
		at := c
		at.faults = c.faults.Atf("[%d]", i)
		all = append(all, at.rule(&files[i]))
	}
	return all
}

func (c converter) rule(file *ruleFile) validator.ClaimRule {
	claimType, known := claimTypes[file.Type]
	if !known {
		c.faults.At("type").Addf("give string, strings, boolean or object", "is %q", file.Type)
	}
	rule := validator.ClaimRule{Name: file.Name, Type: claimType, Equals: file.Equals, AnyOf: c.at("any_of").rules(file.AnyOf)}
	if file.AnyOf != nil && len(file.AnyOf) == 0 {
		c.faults.At("any_of").Add("is empty", "list the alternatives, or leave it out")
	}
	return rule
}

// markerRule returns a rule that may be absent. An empty one is a fault, since the library
// takes it for no rule.
func (c converter) markerRule(file *ruleFile) validator.ClaimRule {
	if file == nil {
		return validator.ClaimRule{}
	}
	if file.Name == "" && file.Type == "" && file.Equals == "" && file.AnyOf == nil {
		c.faults.Add("has no claim", "give name or any_of, or leave it out")
	}
	return c.rule(file)
}
