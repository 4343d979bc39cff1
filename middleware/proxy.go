package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/validator"
)

// Arrival is what a client called, and from where, as far as the configuration
// lets it be known.
type Arrival struct {
	// Scheme is https or http.
	Scheme string
	// Host is the host, with a port if the client named one.
	Host string
	// Client is the client, or whatever stands before the outermost trusted
	// proxy. The zero Addr if that is not told.
	Client netip.Addr
}

var (
	errForwarding = validator.Refuse(validator.MalformedRequest,
		errors.New("middleware: a trusted proxy sent forwarding fields that cannot be read (RFC 7239 §4)"))
	errHops = validator.Refuse(validator.MalformedRequest,
		fmt.Errorf("middleware: a trusted proxy sent a forwarding field with more than %d hops", maxHops))
	errForwardingConflict = validator.Refuse(validator.MalformedRequest,
		errors.New("middleware: a trusted proxy sent Forwarded and X-Forwarded fields that say different things"))
	errHost = validator.Refuse(validator.MalformedRequest,
		errors.New("middleware: the Host field is not a host with an optional port (RFC 9110 §7.2)"))
)

// Arrival tells how r arrived. Config.PublicURL decides the scheme and the
// host; what a proxy says of them is not looked at then. Otherwise they are those
// of the connection and the Host field, unless the TCP peer is one of
// Config.TrustedProxies: then Forwarded (RFC 7239) or X-Forwarded-For, -Proto and
// -Host count, read from the right up to the first hop that is not trusted. Both
// kinds together must agree. The scheme of a WebSocket upgrade, ws or wss, is told
// as http or https. X-Forwarded-Port is not looked at.
//
// The error is a MalformedRequest: what the proxy or the Host field says cannot
// be read, or names more than 32 hops.
func (g *Guard) Arrival(r *http.Request) (Arrival, error) {
	if !g.made() {
		return Arrival{}, errUnmade
	}
	a := Arrival{Scheme: "http", Host: r.Host, Client: peer(r)}
	if r.TLS != nil {
		a.Scheme = "https"
	}
	if g.trusts(a.Client) {
		if err := g.forwarded(r.Header, &a); err != nil {
			return Arrival{}, err
		}
	}
	if g.public != nil {
		a.Scheme, a.Host = g.public.Scheme, g.public.Host
	}
	if !isHost(a.Host) {
		return Arrival{}, errHost
	}
	return a, nil
}

// presentation is what r presents.
func (g *Guard) presentation(r *http.Request) (validator.Presentation, error) {
	p, err := credentials(r.Header)
	if err != nil || p.Scheme != validator.DPoP && !g.trustsPeer(r) {
		return p, err
	}
	arrival, err := g.Arrival(r)
	if err != nil {
		return validator.Presentation{}, err
	}
	if p.Scheme == validator.DPoP { // proofs are for a method and a URL (RFC 9449 §4.2)
		p.Method = r.Method
		p.URL = &url.URL{Scheme: arrival.Scheme, Host: arrival.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	}
	return p, nil
}

// peer is the address that r came from. What is not an IP address, such as a
// Unix socket, is none.
func peer(r *http.Request) netip.Addr {
	address, _ := netip.ParseAddrPort(r.RemoteAddr) // the zero address is in no network
	return address.Addr().Unmap().WithZone("")
}

func (g *Guard) trustsPeer(r *http.Request) bool { return len(g.proxies) > 0 && g.trusts(peer(r)) }

func (g *Guard) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(g.proxies, func(p netip.Prefix) bool { return p.Contains(address) })
}

// hop is what one proxy says of the request it got. Empty texts were not said.
type hop struct {
	told   bool // there was something about the client
	client netip.Addr
	scheme string
	host   string
}

// forwarded puts into a what the fields of a trusted peer say. With a PublicURL,
// nothing that they say of scheme and host counts, so it is not read either.
func (g *Guard) forwarded(header http.Header, a *Arrival) error {
	hops, err := parseForwarded(header["Forwarded"], g.public != nil)
	if err != nil {
		return err
	}
	custom, err := g.parseXForwarded(header)
	if err != nil {
		return err
	}
	said, err := g.agreed(g.outermost(hops), custom)
	if said == nil {
		return err
	}
	a.Client = said.client
	if said.scheme != "" {
		a.Scheme = said.scheme
	}
	if said.host != "" {
		a.Host = said.host
	}
	return nil
}

// agreed merges what Forwarded and X-Forwarded-* say about one hop; either may be
// nil. It returns an error if they differ. With a PublicURL only the client is
// compared, and a hop without a client is ignored.
func (g *Guard) agreed(standard, custom *hop) (*hop, error) {
	switch {
	case custom == nil:
		return standard, nil
	case standard == nil, g.public != nil && !standard.told:
		return custom, nil
	case g.public != nil && !custom.told:
		return standard, nil
	case standard.client != custom.client, standard.scheme != custom.scheme, standard.host != custom.host:
		return nil, errForwardingConflict
	default:
		return standard, nil
	}
}

// outermost is the hop before which nobody is trusted, or nil if there is none.
func (g *Guard) outermost(hops []hop) *hop {
	for i := len(hops) - 1; i >= 0; i-- {
		if i == 0 || !g.trusts(hops[i].client) {
			return &hops[i]
		}
	}
	return nil
}

// parseXForwarded reads the three fields. Scheme and host are said once, or
// once for each hop; with a PublicURL they are not read.
func (g *Guard) parseXForwarded(header http.Header) (*hop, error) {
	clients, few := listed(header["X-Forwarded-For"])
	schemes, fewSchemes := listed(header["X-Forwarded-Proto"])
	hosts, fewHosts := listed(header["X-Forwarded-Host"])
	if len(clients)+len(schemes)+len(hosts) == 0 && few && fewSchemes && fewHosts {
		return nil, nil //nolint:nilnil // nothing was said
	}
	if !few || g.public == nil && (!fewSchemes || !fewHosts) {
		return nil, errHops
	}
	said := hop{told: len(clients) > 0}
	at := len(clients) - 1
	for ; at >= 0; at-- {
		client, ok := parseAddress(clients[at])
		if !ok {
			return nil, errForwarding
		}
		if said.client = client; !g.trusts(client) {
			break
		}
	}
	if g.public != nil {
		return &said, nil
	}
	at = max(at, 0)
	readable := true
	if len(schemes) > 0 {
		said.scheme, readable = parseScheme(ofHop(schemes, at, len(clients)))
	}
	if len(hosts) > 0 {
		said.host = ofHop(hosts, at, len(clients))
		readable = readable && isHost(said.host)
	}
	if !readable {
		return nil, errForwarding
	}
	return &said, nil
}

// ofHop is the value for hop number at of all, or "" if there is none.
func ofHop(values []string, at, all int) string {
	switch {
	case len(values) == 1:
		return values[0]
	case len(values) == all && all > 0:
		return values[at]
	default:
		return ""
	}
}

// listed returns the members of a list (RFC 9110 §5.6.1), over all its field
// lines. ok is false if there are more than maxHops.
func listed(fields []string) (members []string, ok bool) {
	count := 0
	for _, field := range fields {
		count += strings.Count(field, ",") + 1
	}
	if count == 0 || count > maxHops {
		return nil, count == 0
	}
	members = make([]string, 0, count)
	for _, field := range fields {
		for member := range strings.SplitSeq(field, ",") {
			members = append(members, strings.Trim(member, " \t"))
		}
	}
	return members, true
}

// parseScheme reads a forwarded scheme. Proxies such as Traefik tell ws and wss of
// a WebSocket upgrade, whose request is one for http or https (RFC 6455 §3).
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
