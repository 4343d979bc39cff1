package middleware

import (
	"errors"
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
	errForwardingConflict = validator.Refuse(validator.MalformedRequest,
		errors.New("middleware: a trusted proxy sent Forwarded and X-Forwarded fields that say different things"))
	errHost = validator.Refuse(validator.MalformedRequest,
		errors.New("middleware: the Host field is not a host with an optional port (RFC 9110 §7.2)"))
)

// Arrival tells how r arrived. Config.PublicURL decides the scheme and the
// host. Otherwise they are those of the connection and the Host field, unless
// the TCP peer is one of Config.TrustedProxies: then Forwarded (RFC 7239) or
// X-Forwarded-For, -Proto and -Host count, read from the right up to the first
// hop that is not trusted. Both kinds together must agree. X-Forwarded-Port is
// not looked at.
//
// The error is a MalformedRequest: what the proxy or the Host field says cannot
// be read.
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
	client netip.Addr
	scheme string
	host   string
}

// forwarded puts into a what the fields of a trusted peer say.
func (g *Guard) forwarded(header http.Header, a *Arrival) error {
	standard, err := parseForwarded(header.Values("Forwarded"))
	if err != nil {
		return err
	}
	custom, err := g.parseXForwarded(header)
	if err != nil {
		return err
	}
	said := g.outermost(standard)
	switch {
	case said == nil:
		said = custom
	case custom != nil && *said != *custom:
		return errForwardingConflict
	}
	if said == nil {
		return nil
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
// once for each hop.
func (g *Guard) parseXForwarded(header http.Header) (*hop, error) {
	clients := listed(header.Values("X-Forwarded-For"))
	schemes := listed(header.Values("X-Forwarded-Proto"))
	hosts := listed(header.Values("X-Forwarded-Host"))
	if len(clients)+len(schemes)+len(hosts) == 0 {
		return nil, nil //nolint:nilnil // nothing was said
	}
	var said hop
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
	at = max(at, 0)
	said.scheme = strings.ToLower(ofHop(schemes, at, len(clients)))
	said.host = ofHop(hosts, at, len(clients))
	if len(schemes) > 0 && !isScheme(said.scheme) || len(hosts) > 0 && !isHost(said.host) {
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

// listed are the members of a list (RFC 9110 §5.6.1), over all its field lines.
func listed(fields []string) []string {
	var all []string
	for _, field := range fields {
		for member := range strings.SplitSeq(field, ",") {
			all = append(all, strings.Trim(member, " \t"))
		}
	}
	return all
}

func isScheme(text string) bool { return text == "https" || text == "http" }
