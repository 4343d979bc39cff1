package providers

import (
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// faultsOf returns an empty list of faults. The paths of faults are the names of the
// fields of [Parameters], of which those of validator.Issuer have the same meaning.
func faultsOf() fault.List { return fault.In("providers") }

// checkList adds a fault if texts is empty or has an empty member.
func checkList(texts []string, mend string, f fault.List) {
	if len(texts) == 0 {
		f.Add("is empty", mend)
	}
	for i, text := range texts {
		if text == "" {
			f.Atf("[%d]", i).Add("is empty", mend)
		}
	}
}

// checkAudiences adds a fault if there is no audience or an empty one.
func checkAudiences(audiences []string, f fault.List) {
	checkList(audiences, "list the identifiers this API answers to, as they are in aud", f.At("Audiences"))
}

// checkAudience adds a fault if the only audience is empty.
func checkAudience(audience string, f fault.List) {
	if audience == "" {
		f.At("Audiences").Add("is empty", "give the identifier of this API that callers ask for")
	}
}

// checkURL adds a fault if issuer is no URL.
func checkURL(issuer string, f fault.List) {
	if _, _, ok := split(issuer); !ok {
		f.At("URL").Addf("give the iss of its tokens", "%q is no https URL without query and fragment", issuer)
	}
}

// checkIDs adds a fault for each text that is no number. what names such a thing.
func checkIDs(ids []string, what string, f fault.List) {
	for i, id := range ids {
		if id == "" || strings.Trim(id, "0123456789") != "" {
			f.Atf("[%d]", i).Addf("give the number of the "+what+", because a name can be given to somebody else later", "%q is no number", id)
		}
	}
}

// split returns the host and the path of a URL. ok is false if text is no https or http
// URL, or has a user, a query or a fragment. validator.New refuses http to other hosts
// than loopback.
func split(text string) (host, path string, ok bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.ContainsAny(text, "?#") {
		return "", "", false
	}
	return u.Host, u.EscapedPath(), true
}

// hostOf returns the host that text has or is: "login.example.com",
// "https://login.example.com" and "https://login.example.com/". paths are others than "/"
// that the URL may have. ok is false for any other text.
func hostOf(text string, paths ...string) (host string, ok bool) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	host, path, ok := split(text)
	path = strings.TrimSuffix(path, "/")
	return host, ok && (path == "" || slices.Contains(paths, path))
}

// isGUID reports whether text is a GUID, such as 11111111-2222-3333-4444-555555555555.
func isGUID(text string) bool {
	groups := strings.Split(text, "-")
	if len(groups) != 5 {
		return false
	}
	for i, length := range [...]int{8, 4, 4, 4, 12} {
		if len(groups[i]) != length || strings.Trim(groups[i], "0123456789abcdefABCDEF") != "" {
			return false
		}
	}
	return true
}
