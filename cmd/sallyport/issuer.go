package main

import (
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// issuerFile is an issuer as people write it, with a key for each field of
// [validator.Issuer], and for each parameter of the presets.
type issuerFile struct {
	Preset            string           `yaml:"preset"`
	URL               string           `yaml:"url"`
	TenantID          string           `yaml:"tenant_id"`
	Audiences         []string         `yaml:"audiences"`
	ClientIDs         []string         `yaml:"client_ids"`
	Accounts          []string         `yaml:"accounts"`
	Repositories      []string         `yaml:"repositories"`
	Owners            []string         `yaml:"owners"`
	Projects          []string         `yaml:"projects"`
	Algorithms        []string         `yaml:"algorithms"`
	Keys              *keysFile        `yaml:"keys"`
	MetadataURL       string           `yaml:"metadata_url"`
	KeyIssuers        []string         `yaml:"key_issuers"`
	KeyLimits         keyLimitsFile    `yaml:"key_limits"`
	ForbiddenKeys     []keyNameFile    `yaml:"forbidden_keys"`
	CAFile            string           `yaml:"ca_file"`
	Proxy             string           `yaml:"proxy"`
	ClientCertificate *certificateFile `yaml:"client_certificate"`
	InsecureAllowHTTP bool             `yaml:"insecure_allow_http"`
	Profile           string           `yaml:"profile"`
	Marker            []ruleFile       `yaml:"marker"`
	OtherTokens       []ruleFile       `yaml:"other_tokens"`
	Claims            []ruleFile       `yaml:"claims"`
	Grants            []string         `yaml:"grants"`
	ScopeLists        bool             `yaml:"scope_lists"`
	Mappings          []mappingFile    `yaml:"mappings"`
	Roles             roleNames        `yaml:"roles"`
	ACRs              []string         `yaml:"acrs"`
	Tenant            *tenantFile      `yaml:"tenant"`
	ClientClaim       string           `yaml:"client_claim"`
	ClientOnly        *ruleFile        `yaml:"client_only"`
	User              *ruleFile        `yaml:"user"`
	SubjectOptional   bool             `yaml:"subject_optional"`
	MultiFactor       []string         `yaml:"multi_factor"`
	Opaque            *opaqueFile      `yaml:"opaque"`
	ActiveWithin      string           `yaml:"active_within"`
}

type keyNameFile struct {
	KeyID      string `yaml:"kid"`
	Thumbprint string `yaml:"thumbprint"`
}

// roleNames are the roles that an issuer may give. A role may have any name, so that all
// of them are a text and no element of the list.
type roleNames []string

// allRoles stands for every role in a file.
const allRoles = "all roles"

func (n *roleNames) setText(text string) bool {
	*n = roleNames{validator.AllRoles}
	return text == allRoles
}

func (*roleNames) forms() string { return "a list, or the words " + allRoles }

type tenantFile struct {
	Fixed string   `yaml:"fixed"`
	Claim string   `yaml:"claim"`
	Owned []string `yaml:"owned"`
}

// issuer returns the issuer of a file with that index. has reports whether the file has a
// key of it.
func (c converter) issuer(index int, file *issuerFile, has func(key string) bool) validator.Issuer {
	if has("preset") {
		return c.presetIssuer(index, file, has)
	}
	for _, key := range presetOnly {
		if has(key) {
			c.at(key).faults.Add("is for presets", "give preset, or leave it out")
		}
	}
	return c.ownIssuer(file)
}

// ownIssuer returns the issuer without regard to a preset.
func (c converter) ownIssuer(file *issuerFile) validator.Issuer {
	return validator.Issuer{
		URL:               file.URL,
		Audiences:         file.Audiences,
		ClientIDs:         file.ClientIDs,
		Algorithms:        c.at("algorithms").algorithms(file.Algorithms),
		Keys:              c.at("keys").issuerKeys(file),
		MetadataURL:       file.MetadataURL,
		KeyIssuers:        file.KeyIssuers,
		KeyLimits:         limits[jwkscache.Limits](c.at("key_limits"), file.KeyLimits),
		ForbiddenKeys:     keyNames(file.ForbiddenKeys),
		HTTPClient:        c.httpClient(file),
		InsecureAllowHTTP: file.InsecureAllowHTTP,
		Profile:           c.at("profile").profile(file.Profile),
		Marker:            c.at("marker").rules(file.Marker),
		OtherTokens:       c.at("other_tokens").rules(file.OtherTokens),
		Claims:            c.at("claims").rules(file.Claims),
		Grants:            file.Grants,
		ScopeLists:        file.ScopeLists,
		Mappings:          c.at("mappings").mappings(file.Mappings),
		Roles:             file.Roles,
		ACRs:              file.ACRs,
		Tenant:            c.at("tenant").tenant(file.Tenant),
		ClientClaim:       file.ClientClaim,
		ClientOnly:        c.at("client_only").markerRule(file.ClientOnly),
		User:              c.at("user").markerRule(file.User),
		SubjectOptional:   file.SubjectOptional,
		MultiFactor:       file.MultiFactor,
		Opaque:            c.at("opaque").opaque(file.Opaque, file.Audiences),
		Answers:           c.at("opaque").answers(file.Opaque),
		ActiveWithin:      c.at("active_within").askedWithin(file),
	}
}

func (c converter) profile(name string) validator.Profile {
	switch name {
	case "", "rfc9068":
		return validator.ProfileRFC9068
	case "legacy":
		return validator.ProfileLegacy
	default:
		c.faults.Addf("give rfc9068 or legacy", "is %q", name)
		return validator.ProfileRFC9068
	}
}

func keyNames(files []keyNameFile) []jwkscache.KeyName {
	var all []jwkscache.KeyName
	for _, file := range files {
		all = append(all, jwkscache.KeyName(file))
	}
	return all
}

// tenant returns the rule of a file. An empty one is a fault, since the library takes it
// for no rule.
func (c converter) tenant(file *tenantFile) validator.TenantRule {
	if file == nil {
		return validator.TenantRule{}
	}
	if file.Fixed == "" && file.Claim == "" && len(file.Owned) == 0 {
		c.faults.Add("names no tenant", "give fixed, or claim and owned, or leave it out")
	}
	return validator.TenantRule{Fixed: file.Fixed, Claim: file.Claim, Owned: file.Owned}
}
