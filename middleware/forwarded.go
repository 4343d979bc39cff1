package middleware

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-auth/sallyport/validator"
)

var (
	errForwarding = validator.Refuse(validator.MalformedRequest,
		errors.New("middleware: a trusted proxy sent forwarding fields that cannot be read (RFC 7239 §4)"))
	errHops = validator.Refuse(validator.MalformedRequest,
		fmt.Errorf("middleware: a trusted proxy sent a forwarding field with more than %d hops", maxHops))
	errForwardingConflict = validator.Refuse(validator.MalformedRequest,
		errors.New("middleware: a trusted proxy sent Forwarded and X-Forwarded fields that differ"))
	errHost = validator.Refuse(validator.MalformedRequest,
		errors.New("middleware: the Host field is not a host with an optional port (RFC 9110 §7.2)"))
)

const (
	// maxHops is the most hops in all lines of a field. Without a bound, the part
	// of the field that a client wrote could cost megabytes.
	maxHops = 32
	// maxParameters is the most parameters of an element. RFC 7239 §5 defines
	// four. Without a bound, the part that a client wrote could cost seconds.
	maxParameters = 16
	// maxValue is the longest value with quoted-pairs that is read, and the
	// longest scheme or host that is skipped. Addresses and host names are shorter.
	maxValue = 512
)

// hop is what the fields of one proxy say of the request that it got. A text is empty
// if there is no such parameter.
type hop struct {
	hasClient bool // there is a parameter or an address for the client, known or not
	client    netip.Addr
	scheme    string
	host      string
}

// parseForwarded reads Forwarded fields by the grammar of RFC 7239 §4. It is stricter
// in three points: it refuses an element without a parameter, one with more than
// maxParameters, and more than maxHops elements.
//
// With clientOnly it skips schemes and hosts without reading them.
func parseForwarded(fields []string, clientOnly bool) ([]hop, error) {
	var hops []hop
	for _, field := range fields {
		rest := strings.Trim(field, " \t")
		for {
			var h hop
			var ok bool
			if len(hops) == maxHops {
				return nil, errHops
			}
			if h, rest, ok = parseElement(rest, clientOnly); !ok {
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

// parseElement reads the forwarded-element that text starts with. The client of the
// hop is the zero Addr if it is hidden ("unknown", or _ and a name) or missing.
func parseElement(text string, clientOnly bool) (h hop, rest string, ok bool) {
	var seen [maxParameters]string
	rest = text
	for count := 0; ; count++ {
		name, after := cutToken(rest)
		if name == "" || count == len(seen) || containsFold(seen[:count], name) {
			return h, "", false
		}
		seen[count] = name
		if clientOnly && (strings.EqualFold(name, "proto") || strings.EqualFold(name, "host")) {
			rest = skipTarget(after)
		} else {
			var value string
			if value, rest, ok = parseValue(after); !ok || !h.set(name, value) {
				return h, "", false
			}
		}
		if rest, ok = strings.CutPrefix(rest, ";"); !ok {
			return h, rest, true
		}
		if clientOnly {
			rest = strings.TrimLeft(rest, " \t") // as many write it before proto
		}
	}
}

// set writes a parameter to h, and reports whether its value is well-formed.
func (h *hop) set(name, value string) (ok bool) {
	switch {
	case strings.EqualFold(name, "for"):
		h.client, ok = parseNode(value)
		h.hasClient = true
		return ok
	case strings.EqualFold(name, "proto"):
		h.scheme, ok = parseScheme(value)
		return ok
	case strings.EqualFold(name, "host"):
		h.host = value
		return isHost(value)
	default:
		return true
	}
}

func containsFold(names []string, name string) bool {
	return slices.ContainsFunc(names, func(seen string) bool { return strings.EqualFold(seen, name) })
}

// parseValue reads "=" and the token or quoted-string after it.
func parseValue(text string) (value, rest string, ok bool) {
	text, ok = strings.CutPrefix(text, "=")
	if !ok {
		return "", "", false
	}
	if !strings.HasPrefix(text, `"`) {
		value, rest = cutToken(text)
		return value, rest, value != ""
	}
	escaped := false
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			if value = text[1:i]; escaped && len(value) <= maxValue { // with a backslash left in it, it is no address, scheme or host
				value = unescape(value)
			}
			return value, text[i+1:], true
		case c == '\\':
			escaped = true
			if i++; i == len(text) || text[i] < ' ' && text[i] != '\t' || text[i] == 0x7f {
				return "", "", false
			}
		case c < ' ' && c != '\t', c == 0x7f:
			return "", "", false
		}
	}
	return "", "", false
}

// unescape resolves the quoted-pairs of a quoted-string.
func unescape(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' {
			i++
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// skipTarget returns the text after "=" and a scheme or host that is not read. A text
// that is not a value, such as a host with a port that is not quoted, ends at the next
// delimiter.
func skipTarget(text string) string {
	start := text[:min(len(text), maxValue)]
	if _, after, ok := parseValue(start); ok {
		rest := text[len(start)-len(after):]
		if trimmed := strings.TrimLeft(rest, " \t"); trimmed == "" || trimmed[0] == ',' || rest[0] == ';' {
			return rest
		}
	}
	if i := strings.IndexAny(text, ";,"); i >= 0 {
		return text[i:]
	}
	return ""
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
	if len(text) > 5 {
		return false
	}
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

// parseScheme reads a forwarded scheme. Proxies such as Traefik send ws or wss for a
// WebSocket upgrade, which is a request for http or https (RFC 6455 §3).
func parseScheme(text string) (scheme string, ok bool) {
	switch {
	case strings.EqualFold(text, "https"), strings.EqualFold(text, "wss"):
		return "https", true
	case strings.EqualFold(text, "http"), strings.EqualFold(text, "ws"):
		return "http", true
	default:
		return "", false
	}
}
