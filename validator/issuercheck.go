package validator

import (
	"slices"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/jose"
)

var defaultAlgorithms = []jose.Algorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}

// check adds the faults of c. sole reports whether there is no other issuer. The
// faults of Keys, KeyLimits and ForbiddenKeys are found when the keys are opened.
func (c *Issuer) check(sole bool, f fault.List) {
	if !sole {
		c.checkBounded(f)
	}
	c.checkURL(f.At("URL"))
	c.checkMetadataURL(f.At("MetadataURL"))
	c.checkAudiences(f.At("Audiences"))
	c.checkClientIDs(f.At("ClientIDs"))
	c.checkAlgorithms(f.At("Algorithms"))
	c.checkKeyIssuers(f.At("KeyIssuers"))
	c.checkProfile(f)
	c.checkRules(f)
	c.checkMappings(f.At("Mappings"))
	c.Tenant.check(f.At("Tenant"))
	checkClientClaim(c.ClientClaim, c.Profile, f.At("ClientClaim"))
	c.checkMultiFactor(f.At("MultiFactor"))
	grantList(c.Grants).check(f.At("Grants"))
	roleList(c.Roles).check(f.At("Roles"))
	acrList(c.ACRs).check(f.At("ACRs"))
	c.checkOpaque(f)
}

func (c *Issuer) checkAudiences(f fault.List) {
	if len(c.Audiences) == 0 && len(c.ClientIDs) == 0 {
		f.Add("is empty", "list the identifiers this API answers to")
	}
	checkNames(c.Audiences, f)
}

func (c *Issuer) checkAlgorithms(f fault.List) {
	if c.Algorithms != nil && len(c.Algorithms) == 0 {
		f.Add("is empty, which allows none", "leave it nil for the default")
	}
	for i, a := range c.Algorithms {
		at := f.Atf("[%d]", i)
		if !a.Valid() {
			at.Addf("take one of package jose's constants", "%d is not an algorithm", a)
		}
		if slices.Contains(c.Algorithms[:i], a) {
			at.Addf("remove it; Ed25519 and EdDSA are one algorithm", "%s is listed twice", a)
		}
	}
}

func (c *Issuer) checkKeyIssuers(f fault.List) {
	if c.KeyIssuers != nil && len(c.KeyIssuers) == 0 {
		f.Add("is empty, which allows no key that has an issuer", "list the issuers whose keys are used, or leave it nil")
	}
	checkNames(c.KeyIssuers, f)
}

func (c *Issuer) checkProfile(f fault.List) {
	marker := f.At("Marker")
	switch c.Profile {
	case ProfileRFC9068:
		if len(c.Marker) > 0 {
			marker.Add("is for the legacy profile only", "declare it as a further claim")
		}
	case ProfileLegacy:
		if len(c.Marker) == 0 {
			marker.Add("is empty, and the legacy profile needs one", "name a claim that access tokens have and ID tokens have not")
		}
		checkMarks(c.Marker, marker)
	default:
		f.At("Profile").Addf("take ProfileRFC9068 or ProfileLegacy", "%d does not exist", c.Profile)
	}
}

func (c *Issuer) checkMultiFactor(f fault.List) {
	if c.MultiFactor != nil && len(c.MultiFactor) == 0 {
		f.Add("is empty", "leave it nil if no value of amr counts")
	}
	checkNames(c.MultiFactor, f)
}

// checkBounded adds the bounds that an issuer beside others lacks: Grants, and Roles
// if a Mapping makes a role of every value.
func (c *Issuer) checkBounded(f fault.List) {
	if c.Grants == nil {
		f.At("Grants").Add("is missing, and this issuer is not the only one", "list the scopes that this issuer may grant, or AllScopes")
	}
	if c.Roles != nil {
		return
	}
	for i := range c.Mappings {
		if m := &c.Mappings[i]; m.To == ToRole && m.Values == nil {
			f.At("Mappings").Atf("[%d]", i).Add("makes a role of every value, and there are other issuers or ResolveIssuer",
				"list the roles that this issuer may give in Roles, or AllRoles, or give the mapping Values")
		}
	}
}
