package middleware

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/validator"
)

// Arrival is the scheme and host that a client called, and the address of the client.
type Arrival struct {
	// Scheme is https or http.
	Scheme string
	// Host is the host, with a port if the client named one.
	Host string
	// Client is the address of the client, or of the peer of the outermost trusted
	// proxy. It is the zero Addr if the address is not known.
	Client netip.Addr
}

// Arrival returns how r arrived. Scheme and host are those of Config.PublicURL if it
// is set, whatever a proxy sent. Otherwise they are those of the connection and the
// Host field. If the TCP peer is in Config.TrustedProxies, Forwarded (RFC 7239) or
// X-Forwarded-For, -Proto and -Host count instead, read from the right up to the
// first hop that is not trusted. If both kinds are there they must agree. The scheme
// of a WebSocket upgrade, ws or wss, counts as http or https. X-Forwarded-Port is
// ignored.
//
// The error is a MalformedRequest: a field of the proxy or the Host field is
// malformed, or names more than 32 hops.
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

// locate adds the method and the URL of r to p if it has proofs for them. The
// fields of a trusted proxy must be readable in any case.
func (g *Guard) locate(r *http.Request, p *validator.Presentation) error {
	if p.Scheme != validator.DPoP && !g.trustsPeer(r) {
		return nil
	}
	arrival, err := g.Arrival(r)
	if err != nil {
		return err
	}
	if p.Scheme == validator.DPoP { // proofs are for a method and a URL (RFC 9449 §4.2)
		p.Method = r.Method
		p.URL = &url.URL{Scheme: arrival.Scheme, Host: arrival.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	}
	return nil
}

// peer returns the address that r came from, or the zero Addr if it has no IP
// address, as over a Unix socket.
func peer(r *http.Request) netip.Addr {
	address, _ := netip.ParseAddrPort(r.RemoteAddr) // the zero address is in no network
	return address.Addr().Unmap().WithZone("")
}

func (g *Guard) trustsPeer(r *http.Request) bool { return len(g.proxies) > 0 && g.trusts(peer(r)) }

func (g *Guard) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(g.proxies, func(p netip.Prefix) bool { return p.Contains(address) })
}

// forwarded writes the client, scheme and host that the fields of a trusted peer name
// to a. With a PublicURL it does not read schemes and hosts.
func (g *Guard) forwarded(header http.Header, a *Arrival) error {
	hops, err := parseForwarded(header["Forwarded"], g.public != nil)
	if err != nil {
		return err
	}
	custom, err := g.parseXForwarded(header)
	if err != nil {
		return err
	}
	named, err := g.agreed(g.outermost(hops), custom)
	if named == nil {
		return err
	}
	a.Client = named.client
	if named.scheme != "" {
		a.Scheme = named.scheme
	}
	if named.host != "" {
		a.Host = named.host
	}
	return nil
}

// agreed returns the hop that Forwarded and X-Forwarded-* name; either may be nil. It
// returns an error if they differ. With a PublicURL it compares the client only, and
// ignores a hop without a client.
func (g *Guard) agreed(standard, custom *hop) (*hop, error) {
	switch {
	case custom == nil:
		return standard, nil
	case standard == nil, g.public != nil && !standard.hasClient:
		return custom, nil
	case g.public != nil && !custom.hasClient:
		return standard, nil
	case standard.client != custom.client, standard.scheme != custom.scheme, standard.host != custom.host:
		return nil, errForwardingConflict
	default:
		return standard, nil
	}
}

// outermost returns the last hop whose client is not a trusted proxy, or the first
// hop, or nil if there are no hops.
func (g *Guard) outermost(hops []hop) *hop {
	for i := len(hops) - 1; i >= 0; i-- {
		if i == 0 || !g.trusts(hops[i].client) {
			return &hops[i]
		}
	}
	return nil
}

// parseXForwarded reads X-Forwarded-For, -Proto and -Host. Scheme and host have one
// value, or one for each hop. With a PublicURL it does not read them.
func (g *Guard) parseXForwarded(header http.Header) (*hop, error) {
	clients, few := listed(header["X-Forwarded-For"])
	schemes, fewSchemes := listed(header["X-Forwarded-Proto"])
	hosts, fewHosts := listed(header["X-Forwarded-Host"])
	if len(clients)+len(schemes)+len(hosts) == 0 && few && fewSchemes && fewHosts {
		return nil, nil //nolint:nilnil // there are no such fields
	}
	if !few || g.public == nil && (!fewSchemes || !fewHosts) {
		return nil, errHops
	}
	named := hop{hasClient: len(clients) > 0}
	at := len(clients) - 1
	for ; at >= 0; at-- {
		client, ok := parseAddress(clients[at])
		if !ok {
			return nil, errForwarding
		}
		if named.client = client; !g.trusts(client) {
			break
		}
	}
	if g.public != nil {
		return &named, nil
	}
	at = max(at, 0)
	readable := true
	if len(schemes) > 0 {
		named.scheme, readable = parseScheme(ofHop(schemes, at, len(clients)))
	}
	if len(hosts) > 0 {
		named.host = ofHop(hosts, at, len(clients))
		readable = readable && isHost(named.host)
	}
	if !readable {
		return nil, errForwarding
	}
	return &named, nil
}

// ofHop returns the value for hop number at of all, or "" if there is none.
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
