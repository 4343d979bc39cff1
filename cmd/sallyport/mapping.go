package main

import "github.com/sallyport-auth/sallyport/validator"

// mappingFile says which claim has scopes or roles.
type mappingFile struct {
	Claim       claimPath           `yaml:"claim"`
	To          string              `yaml:"to"`
	Values      map[string][]string `yaml:"values"`
	MemberNames bool                `yaml:"member_names"`
}

// claimPath is the names that lead to a claim. A file has a list of them, or the one name
// of a claim at the top level of the token.
type claimPath []string

func (p *claimPath) setText(name string) bool {
	*p = claimPath{name}
	return true
}

func (*claimPath) forms() string {
	return "the name of a claim, or a list of the names that lead to it"
}

var attributes = map[string]validator.Attribute{
	"scope": validator.ToScope,
	"role":  validator.ToRole,
}

func (c converter) mappings(files []mappingFile) []validator.Mapping {
	var all []validator.Mapping
	for i, file := range files {
		to, known := attributes[file.To]
		switch at := c.faults.Atf("[%d]", i); {
		case file.To == "":
			at.At("to").Add("is missing", "give scope or role")
		case !known:
			at.At("to").Addf("give scope or role", "is %q", file.To)
		}
		if !known {
			to = validator.ToScope // so that the library finds no second fault
		}
		all = append(all, validator.Mapping{Claim: file.Claim, To: to, Values: file.Values, MemberNames: file.MemberNames})
	}
	return all
}
