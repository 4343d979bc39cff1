package fetch

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// Timeout is the time that one fetch may take, where [Config] has no other, and
// that connecting may take.
const Timeout = 5 * time.Second

// refused holds the networks that no connection is made to: link-local networks,
// the metadata services of cloud providers, and addresses that are not of a single
// host. No issuer serves documents from them, and an attacker who can name a host
// could reach internal services through them.
var refused = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"),     // link-local; metadata of most providers
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba Cloud metadata
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure host services
	netip.MustParsePrefix("192.0.0.192/32"),     // Oracle Cloud metadata
	netip.MustParsePrefix("224.0.0.0/4"),
	netip.MustParsePrefix("255.255.255.255/32"),
	netip.MustParsePrefix("::/128"),
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("fec0::/10"),              // site-local, deprecated
	netip.MustParsePrefix("fd00:ec2::/32"),          // AWS metadata
	netip.MustParsePrefix("fd20:ce::254/128"),       // Google Cloud metadata
	netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"), // Oracle Cloud metadata
	netip.MustParsePrefix("fd00:42::42/128"),        // Scaleway metadata
	netip.MustParsePrefix("64:ff9b:1::/48"),         // local NAT64: embeds an IPv4 address somewhere
	netip.MustParsePrefix("::ffff:0:0:0/96"),        // SIIT, likewise
	netip.MustParsePrefix("2001::/32"),              // Teredo, likewise
	netip.MustParsePrefix("ff00::/8"),
}

// embedding holds the IPv6 networks whose addresses contain an IPv4 address, and
// the byte at which it starts.
var embedding = []struct {
	prefix netip.Prefix
	offset int
}{
	{netip.MustParsePrefix("::/96"), 12},        // IPv4-compatible
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // NAT64
	{netip.MustParsePrefix("2002::/16"), 2},     // 6to4
}

// allowed reports whether ip may be connected to.
func allowed(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if slices.ContainsFunc(refused, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return false
	}
	if ip == netip.IPv6Loopback() {
		return true
	}
	bytes := ip.As16()
	if bytes[8]&^2 == 0 && bytes[9] == 0 && bytes[10] == 0x5e && bytes[11] == 0xfe { // ISATAP (RFC 5214 §6.1)
		return allowed(netip.AddrFrom4([4]byte(bytes[12:])))
	}
	for _, e := range embedding {
		if e.prefix.Contains(ip) {
			return allowed(netip.AddrFrom4([4]byte(bytes[e.offset : e.offset+4])))
		}
	}
	return true
}

// loopbackHost reports whether a host name stands for this machine.
func loopbackHost(host string) bool {
	ip, _ := netip.ParseAddr(host) // the zero address is not a loopback address
	return host == "localhost" || ip.IsLoopback()
}

type loopbackKey struct{}

// onlyLoopback returns a context whose fetches connect to this machine only,
// whatever the name "localhost" resolves to.
func onlyLoopback(ctx context.Context) context.Context {
	return context.WithValue(ctx, loopbackKey{}, true)
}

// dialer returns a Dialer that connects within timeout. It checks each address after the
// name was resolved and before it connects.
func dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{
		Timeout: timeout,
		ControlContext: func(ctx context.Context, _, address string, _ syscall.RawConn) error {
			endpoint, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("%w: %s", ErrAddress, address)
			}
			ip := endpoint.Addr().Unmap()
			if !allowed(ip) || ctx.Value(loopbackKey{}) != nil && !ip.IsLoopback() {
				return fmt.Errorf("%w: %s", ErrAddress, ip)
			}
			return nil
		},
	}
}
