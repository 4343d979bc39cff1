package middleware

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// maxParameters is how many parameters an element may have. RFC 7239 §5 has four;
// without a bound, a client's part of the field could cost seconds.
const maxParameters = 16

// parseForwarded reads Forwarded fields by the grammar of RFC 7239 §4, with two
// deviations to the strict side: an element without a parameter is refused, and
// one with more than maxParameters.
func parseForwarded(fields []string) ([]hop, error) {
	var hops []hop
	for _, field := range fields {
		rest := strings.Trim(field, " \t")
		for {
			var h hop
			var ok bool
			if h, rest, ok = parseElement(rest); !ok {
				return nil, errForwarding
			}
			hops = append(hops, h)
			if rest = strings.TrimLeft(rest, " \t"); rest == "" {
				break
			}
			if rest, ok = strings.CutPrefix(rest, ","); !ok {
				return nil, errForwarding
			}
			rest = strings.TrimLeft(rest, " \t")
		}
	}
	return hops, nil
}

// parseElement reads the forwarded-element that text starts with. An address
// that is hidden ("unknown", or _ and a name) or not told is the zero Addr.
func parseElement(text string) (h hop, rest string, ok bool) {
	var seen []string
	for rest = text; ; rest = rest[1:] {
		name, after := cutToken(rest)
		name = strings.ToLower(name)
		value, after, ok := parseValue(after)
		if name == "" || !ok {
			return h, "", false
		}
		if len(seen) == maxParameters || slices.Contains(seen, name) {
			return h, "", false
		}
		seen = append(seen, name)
		switch name {
		case "for":
			if h.client, ok = parseNode(value); !ok {
				return h, "", false
			}
		case "proto":
			if h.scheme = strings.ToLower(value); !isScheme(h.scheme) {
				return h, "", false
			}
		case "host":
			if h.host = value; !isHost(value) {
				return h, "", false
			}
		}
		if rest = after; !strings.HasPrefix(rest, ";") {
			return h, rest, true
		}
	}
}

// parseValue reads "=" and the token or quoted-string behind it.
func parseValue(text string) (value, rest string, ok bool) {
	text, ok = strings.CutPrefix(text, "=")
	if !ok {
		return "", "", false
	}
	if !strings.HasPrefix(text, `"`) {
		value, rest = cutToken(text)
		return value, rest, value != ""
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), text[i+1:], true
		case c == '\\':
			if i++; i == len(text) || text[i] < ' ' && text[i] != '\t' || text[i] == 0x7f {
				return "", "", false
			}
			b.WriteByte(text[i])
		case c < ' ' && c != '\t', c == 0x7f:
			return "", "", false
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// parseNode reads a node of RFC 7239 §6.
func parseNode(text string) (netip.Addr, bool) {
	name, port, found := strings.Cut(text, ":")
	if strings.EqualFold(name, "unknown") || isObfuscated(name) {
		return netip.Addr{}, !found || isPort(port) || isObfuscated(port)
	}
	if strings.Count(text, ":") > 1 && !strings.HasPrefix(text, "[") { // IPv6 has brackets here
		return netip.Addr{}, false
	}
	return parseAddress(text)
}

// isObfuscated reports whether text is an obfnode or obfport.
func isObfuscated(text string) bool {
	for i := range len(text) {
		if !isAlphanumeric(text[i]) && strings.IndexByte("._-", text[i]) < 0 {
			return false
		}
	}
	return len(text) > 1 && text[0] == '_'
}

// parseAddress reads an address with an optional port, IPv6 in brackets if
// there is one.
func parseAddress(text string) (netip.Addr, bool) {
	if inner, found := strings.CutPrefix(text, "["); found {
		inner, port, closed := strings.Cut(inner, "]")
		address, err := netip.ParseAddr(inner)
		return address.Unmap(), closed && err == nil && address.Is6() && address.Zone() == "" && (port == "" || port[0] == ':' && isPort(port[1:]))
	}
	if name, port, found := strings.Cut(text, ":"); found && !strings.Contains(port, ":") {
		address, err := netip.ParseAddr(name)
		return address, err == nil && isPort(port)
	}
	address, err := netip.ParseAddr(text)
	return address.Unmap(), err == nil && address.Zone() == ""
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// isHost reports whether text is a host name or address with an optional port,
// and so cannot carry a path or a user into a URL.
func isHost(text string) bool {
	if strings.HasPrefix(text, "[") {
		_, ok := parseAddress(text)
		return ok
	}
	name, port, found := strings.Cut(text, ":")
	for i := range len(name) {
		if !isAlphanumeric(name[i]) && strings.IndexByte(".-_", name[i]) < 0 {
			return false
		}
	}
	return name != "" && (!found || isPort(port))
}
