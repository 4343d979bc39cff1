package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/validator"
)

// inWords returns a text of the library with the keys of the file in place of the fields
// that it names. nearby are the keys of fields that the text may name alone. What is in
// quotes stays as it is.
func inWords(text string, nearby map[string]string) string {
	return goName.ReplaceAllStringFunc(phrases.Replace(text), func(name string) string {
		if key, ok := nearby[name]; ok {
			return key
		}
		for whole := name; ; {
			if key, ok := goWords[whole]; ok {
				return key + name[len(whole):]
			}
			end := strings.LastIndexByte(whole, '.')
			if end < 0 {
				return name
			}
			whole = whole[:end]
		}
	})
}

// goName matches a text in quotes, and a name as Go writes it.
var goName = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\b[A-Z]\w*(?:\.[A-Z]\w*)*`)

// goWords are the words of a file for names of Go. They are those of the constants, and of
// the fields: with the names of the structs before them, and alone if two letters in the
// name are upper case, as in no word of prose.
var goWords = func() map[string]string {
	words := maps.Clone(constants)
	for path := range fileFields {
		below, ofIssuer := strings.CutPrefix(path, "Issuers[].")
		key, names := keyOf(path), []string{"Config." + path}
		if ofIssuer {
			key = strings.TrimPrefix(key, "issuers.")
			names = []string{"Issuer." + below}
			for _, prefix := range []string{"Opaque.", "Answers.", "Tenant.", "KeyLimits."} {
				if rest, ok := strings.CutPrefix(below, prefix); ok {
					names = append(names, below)
					if prefix == "Opaque." {
						names = append(names, "Client."+rest)
					}
				}
			}
		}
		for _, name := range names {
			words[name] = key
		}
		if last := below[strings.LastIndexByte(below, '.')+1:]; unmistakable.MatchString(last) && below == last {
			words[last] = key
		}
	}
	return words
}()

// unmistakable matches a name that is no word of prose.
var unmistakable = regexp.MustCompile(`[a-z][A-Z]|^[A-Z]{2,}[a-z]`)

// keyOf returns the key of the field at path, below those of the fields that contain it.
func keyOf(path string) string {
	goPath, key := "", ""
	for step := range strings.SplitSeq(path, ".") {
		goPath = strings.TrimPrefix(goPath+"."+step, ".")
		key = fileFields[strings.TrimSuffix(goPath, "[]")].below(key, nil)
	}
	return key
}

// fieldsIn returns the keys of the fields of the struct at path, by their names in Go,
// but for names such as URL that are words of prose, too.
func fieldsIn(path string) map[string]string {
	keys := make(map[string]string)
	for other, field := range fileFields {
		parent, name := "", other
		if end := strings.LastIndexByte(other, '.'); end >= 0 {
			parent, name = other[:end], other[end+1:]
		}
		if parent == path && field.key != "" && strings.ToUpper(name) != name {
			keys[name] = field.key
		}
	}
	if slices.Contains(slices.Collect(maps.Values(keys)), "equals") {
		keys["AnyOf"] = "any_of"
	}
	return keys
}

// constants are the words of a file for constants and types of Go.
var constants = map[string]string{
	"ProfileRFC9068": "profile rfc9068",
	"ProfileLegacy":  "profile legacy",
	"ClaimString":    "string",
	"ClaimStrings":   "strings",
	"ClaimBoolean":   "boolean",
	"ClaimObject":    "object",
	"ToScope":        "scope",
	"ToRole":         "role",
	"AllScopes":      "[" + validator.AllScopes + "]",
	"AllRoles":       "all of them (roles: " + allRoles + ")",
	"EachRequest":    eachRequest,
	"AnyOf":          "any_of",
	"MemberNames":    "member_names",
	"Mapping":        "mapping",
	"Mapping.Values": "the key values of the mapping",

	"Mapping.Claim":       "the key claim of the mapping",
	"Mapping.MemberNames": "member_names of the mapping",
}

// phrases replaces texts of the library that name what a file does not have.
var phrases = strings.NewReplacer(
	"Issuers[", "issuers[",
	"leave it nil", "leave it out",
	"give each an Issuer, or use Config.ResolveIssuer with a list of yours", "give each an entry in issuers",
	"use EntraIDv1, whose", "take the preset entra-id-v1, whose",
	"such as with jwkscache.File", "such as keys: {file: cluster.json}",
	"such as with jwkscache.URL", "such as keys: {url: …}",
	" or ResolveIssuer", "",
	"correct Issuer.OtherTokens", "correct other_tokens; beside a preset, which has its own, report it",
	"add it to Issuer.Tenant.Owned", "add it to tenant.owned, or if the issuer has a preset, correct tenant_id",
	"set Issuer.Profile to ProfileLegacy with a Marker", "set profile to legacy and give a marker",
	"take the preset of the provider (package providers)", "set preset to that of the provider",
	"a Marker with Equals", "give a marker with equals",
	"no Mapping of the issuer reads it: add one to Issuer.Mappings, or take a preset of package providers",
	"none of the mappings of the issuer reads it: add one to mappings, such as {claim: scp, to: scope}",
	", or list it in Hierarchy under one of the token's that includes it", ", or list it in hierarchy under one of the token's that includes it",
	"an issuer of opaque tokens needs Issuer.Opaque", "an issuer of opaque tokens needs opaque",
	"no JWT of an issuer with Keys", "no JWT of an issuer with keys",
	"set no Issuer.Keys", "leave keys out",
	"Issuer.ForbiddenKeys or ForbidKey", "forbidden_keys",
	"Opaque.ID", "opaque.client.id",
	"Client.ID", "opaque.client.id",
	"Client.Authentication", "opaque.auth",
	"unset Raw", "leave it out",
	"ClientSecretBasic.Raw", "opaque.raw",
	"PrivateKeyJWT.Audience", "opaque.assertion_audience",
	"none of Audiences", "none of audiences",
	"is in Audiences", "is in audiences",
)
