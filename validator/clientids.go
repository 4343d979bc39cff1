package validator

import (
	"slices"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

var errAudienceClient = refusal(WrongAudience, "the token has no aud, and its client is none of Issuer.ClientIDs")

// judgesByClient reports whether a token counts as meant for this API by its client: it
// has no aud, and the configuration names clients. A token with an aud of whatever value
// does not.
func (is *checkedIssuer) judgesByClient(c *tokenClaims) bool {
	return len(is.ClientIDs) > 0 && c.audience.Kind() == strictjson.Absent
}

// checkClientIDs returns the refusal of a token without aud whose client is none of
// Issuer.ClientIDs, or is not known.
func (is *checkedIssuer) checkClientIDs(members []strictjson.Member) *Error {
	client, refused := is.legacyClient(members)
	if refused != nil {
		return refused
	}
	if slices.Contains(is.ClientIDs, client.id) { // "" is not among them
		return nil
	}
	return errAudienceClient.because(func() cause.Details {
		d := is.seenClient(client)
		d.Mend = "if tokens that this client gets are for this API, add it to Issuer.ClientIDs"
		if client.id == "" {
			d.Mend = "name the claim that has the client in Issuer.ClientClaim"
		}
		return d
	})
}

// seenClient says what the client of a token without aud was compared with.
func (is *checkedIssuer) seenClient(client clientName) cause.Details {
	d := cause.Details{Found: "no aud, and no client that is known", Wanted: cause.OneOf(is.ClientIDs)}
	if client.id != "" {
		d.Found = "no aud, and the client " + cause.Quote(client.id)
	}
	return d
}

// checkClientIDs adds the faults of Issuer.ClientIDs.
func (c *Issuer) checkClientIDs(f fault.List) {
	if c.ClientIDs == nil {
		return
	}
	if len(c.ClientIDs) == 0 {
		f.Add("is empty", "leave it nil if tokens without aud are refused")
	}
	if c.Profile != ProfileLegacy {
		f.Add("is for ProfileLegacy only", "remove it: a token of RFC 9068 has aud (§2.2)")
	}
	checkNames(c.ClientIDs, f)
	for i, client := range c.ClientIDs {
		if slices.Contains(c.Audiences, client) {
			f.Atf("[%d]", i).Addf("remove it from Audiences, which are the names of this API: an ID token of the client has it as aud",
				"%q is in Audiences, too", client)
		}
	}
}
