package main

import (
	"strings"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/validator"
)

// fileField is what a file calls a field of [validator.Config].
type fileField struct {
	key  string // below the key of the field that contains it; "" if it is that key
	or   string // the key instead, if the file has it
	mend string // replaces advice of the library that names things of Go
}

// fileFields holds the fields that a file can set by their names in Go. The name
// of an element of a list ends with "[]".
var fileFields = map[string]fileField{
	"Issuers":                   {key: "issuers"},
	"Issuers[].URL":             {key: "url"},
	"Issuers[].Audiences":       {key: "audiences"},
	"Issuers[].Algorithms":      {key: "algorithms", mend: "list some, or leave it out for RS256, PS256, ES256 and EdDSA"},
	"Issuers[].Keys":            {key: "keys"},
	"Issuers[].Profile":         {key: "profile"},
	"Issuers[].Marker":          {key: "marker"},
	"Issuers[].Marker[]":        {mend: "name another claim, or give equals"},
	"Issuers[].Marker[].Name":   {key: "name"},
	"Issuers[].Marker[].Equals": {key: "equals"},
	"Issuers[].Claims":          {key: "claims"},
	"Issuers[].Claims[].Name":   {key: "name"},
	"Issuers[].Claims[].Equals": {key: "equals"},
	"Issuers[].Grants":          {key: "grants", mend: "list the scopes that this issuer may grant; [" + validator.AllScopes + "] is all"},
	"Issuers[].HTTPClient":      {key: "ca_file"},
	"Issuers[].ActiveWithin":    {key: "active_within", mend: "give 1s to 5m, or each_request"},

	"Issuers[].Opaque":                            {key: "opaque"},
	"Issuers[].Opaque.Endpoint":                   {key: "endpoint", mend: "give an https URL without user information and fragment; http is for loopback hosts only"},
	"Issuers[].Opaque.ID":                         {key: "client.id"},
	"Issuers[].Opaque.Authentication":             {},
	"Issuers[].Opaque.Authentication.Secret":      {key: "client.secret_file", or: "client.secret_env"},
	"Issuers[].Opaque.Authentication.Raw":         {key: "raw"},
	"Issuers[].Opaque.Authentication.Key":         {key: "client.private_key_file", or: "client.key_file"},
	"Issuers[].Opaque.Authentication.KeyID":       {key: "client.key_id"},
	"Issuers[].Opaque.Authentication.Audience":    {key: "assertion_audience"},
	"Issuers[].Opaque.Authentication.Certificate": {key: "client.certificate_file"},
	"Issuers[].Opaque.Prefix":                     {key: "prefix"},
	"Issuers[].Opaque.Hint":                       {key: "hint", mend: "leave it out for access_token, or give none"},
	"Issuers[].Opaque.Signed":                     {key: "signed"},
	"Issuers[].Opaque.AnswerAudiences":            {key: "answer_audiences", mend: "list the names of this API in the aud of signed answers, or leave it out"},
	"Issuers[].Opaque.AnswerKeys":                 {key: "keys"},
	"Issuers[].Opaque.InactiveErrors":             {key: "inactive_errors"},
	"Issuers[].Opaque.Cache":                      {key: "cache"},
	"Issuers[].Opaque.Cache.TTL":                  {key: "ttl"},
	"Issuers[].Opaque.Cache.Negative":             {key: "negative"},

	"Issuers[].Answers":                 {key: "opaque"},
	"Issuers[].Answers.Marker":          {key: "marker"},
	"Issuers[].Answers.Marker[]":        {},
	"Issuers[].Answers.Marker[].Name":   {key: "name"},
	"Issuers[].Answers.Marker[].Equals": {key: "equals"},
	"Issuers[].Answers.TokenTypes":      {key: "token_types"},
	"Issuers[].Answers.FiltersAudience": {key: "filters_audience"},
	"Issuers[].Answers.ScopeLists":      {key: "scope_lists"},

	"Leeway":        {key: "leeway"},
	"Leeway.Expiry": {key: "expiry", mend: "give 0s to 60s"},
	"Leeway.Future": {key: "future"},
	"MaxTokenBytes": {key: "limits.token"},
}

// inFile returns a fault of the library's configuration as a fault of the file. If
// the file cannot set the field, its name in Go becomes part of the problem. The places
// are those of the keys that the file has.
func inFile(f fault.Fault, written places) fault.Fault {
	if f.Path == "" {
		return f
	}
	goPath, path := "", ""
	for step := range strings.SplitSeq(f.Path, ".") {
		name, index, indexed := strings.Cut(step, "[")
		goPath = strings.TrimPrefix(goPath+"."+name, ".")
		field, known := fileFields[goPath]
		if !known {
			f.Problem = f.Path + " " + f.Problem
			break
		}
		path = field.below(path, written)
		if indexed {
			goPath, path = goPath+"[]", path+"["+index
		}
	}
	f.Path, f.Problem = path, fileWords.Replace(f.Problem)
	if own := fileFields[goPath].mend; own != "" {
		f.Mend = own
	}
	return f
}

// below returns the path of a field whose parent is at path.
func (f fileField) below(path string, written places) string {
	if f.key == "" {
		return path
	}
	if other := path + "." + f.or; f.or != "" {
		if _, ok := written[other]; ok {
			return other
		}
	}
	return strings.TrimPrefix(path+"."+f.key, ".")
}

// fileWords replaces the fields that texts of the library name by the keys of the file.
var fileWords = strings.NewReplacer(
	"Issuers[", "issuers[",
	"Config.Issuers", "issuers",
	"Config.MaxTokenBytes", "limits.token",
	"Issuer.URL", "url",
	"Issuer.Audiences", "audiences",
	"Issuer.Algorithms", "algorithms",
	"Issuer.Grants", "grants",
	"set Issuer.Profile to ProfileLegacy with a Marker", "set profile to legacy and give a marker",
	"set Issuer.Mappings to EntraMappings(), OktaMappings() or Auth0Mappings(), or to your own", "no key of this file reads it; Issuer.Mappings in Go does",
	"; if another scope of the token includes it, say so in Config.Hierarchy", "",
	"Issuer.Answers.TokenTypes", "opaque.token_types",
	"Issuer.Answers.Marker", "opaque.marker",
	"Issuer.Answers.FiltersAudience", "opaque.filters_audience",
	"Issuer.Answers.ScopeLists", "opaque.scope_lists",
	", or list it in Hierarchy under one of the token's that includes it", "", // no key sets it
	"an issuer of opaque tokens needs Issuer.Opaque", "an issuer of opaque tokens needs opaque",
	"no JWT of an issuer with Keys", "no JWT of an issuer with keys",
	"Issuer.HTTPClient", "ca_file",
	"set no Issuer.Keys", "leave keys out",
	"Issuer.Opaque.Endpoint", "opaque.endpoint",
	"Client.Endpoint", "opaque.endpoint",
	"Opaque.ID", "opaque.client.id",
	"Client.ID", "opaque.client.id",
	"Client.Authentication", "opaque.auth",
	"Client.Signed", "opaque.signed",
	"Client.InactiveErrors", "opaque.inactive_errors",
	"unset Raw", "leave it out",
	"ClientSecretBasic.Raw", "opaque.raw",
	"PrivateKeyJWT.Audience", "opaque.assertion_audience",
	"; Client.Limits.AnswerBytes is the bound", "", // no key sets it
	"Answers.FiltersAudience", "opaque.filters_audience",
	"is in Audiences", "is in audiences",
)
