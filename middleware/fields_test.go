package middleware

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/scopes"
)

// TestFieldTable shows that the rows are as the look-up needs them: no row is in
// another one, and every name is spelled with one kind of separator.
func TestFieldTable(t *testing.T) {
	var folded []string
	for _, f := range fieldTable {
		name, _ := strings.CutSuffix(f.name, "*")
		if f.products == "" || f.kind == "" || name == "" {
			t.Errorf("%+v", f)
		}
		if !f.spells(name) {
			t.Errorf("%s has two kinds of separators", f.name)
		}
		spelling := []byte(name)
		for j, c := range spelling {
			spelling[j] = foldByte(c)
		}
		folded = append(folded, string(spelling))
	}
	for i, f := range fieldTable {
		for j, other := range fieldTable {
			switch open, otherOpen := strings.HasSuffix(f.name, "*"), strings.HasSuffix(other.name, "*"); {
			case i == j:
			case folded[i] == folded[j] && open == otherOpen:
				t.Errorf("%s and %s are one field", f.name, other.name)
			case open && strings.HasPrefix(folded[j], folded[i]) && (otherOpen || other.kind == f.kind):
				t.Errorf("%s has %s in it", f.name, other.name)
			}
		}
	}
}

// seenFrom returns the names of fields that a handler sees of a request with
// these fields from peer.
func seenFrom(t *testing.T, config Config, peer string, names ...string) []string {
	t.Helper()
	config.Validator = AnyValidator()
	guard, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = peer
	for _, name := range names {
		r.Header[name] = []string{"x"}
	}
	var seen []string
	guard.Require(scopes.Public(), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for _, name := range names {
			if _, there := r.Header[name]; there {
				seen = append(seen, name)
			}
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
	return seen
}

const (
	proxyPeer = "10.0.0.1:4711"
	otherPeer = "192.0.2.1:4711"
)

var behindProxy = Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}

// TestEveryField covers R-BT-11 and R-BT-15 for every row of the table: a field from
// another peer than a trusted proxy reaches no handler in any spelling, and one from
// a trusted proxy does in the spelling of the row.
func TestEveryField(t *testing.T) {
	for _, f := range fieldTable {
		name, open := strings.CutSuffix(f.name, "*")
		own := []string{name}
		if open {
			own = append(own, name+"Any")
		}
		for _, name := range slices.Clone(own) {
			own = append(own, http.CanonicalHeaderKey(name), strings.ToLower(name), strings.ToUpper(name))
		}
		var misspelt []string
		for _, name := range own {
			if other := regexp.MustCompile("[-_]").ReplaceAllString(name, "."); other != name {
				misspelt = append(misspelt, other, swapSeparators(name), swapSeparators(name[:len(name)/2])+name[len(name)/2:], name[:len(name)/2]+swapSeparators(name[len(name)/2:]))
			}
		}
		misspelt = slices.DeleteFunc(misspelt, func(name string) bool { return slices.Contains(own, name) })
		slices.Sort(own)
		own = slices.Compact(own)
		slices.Sort(misspelt)
		misspelt = slices.Compact(misspelt)

		for _, config := range []Config{{}, behindProxy} {
			if seen := seenFrom(t, config, otherPeer, slices.Concat(own, misspelt)...); len(seen) > 0 {
				t.Errorf("%s: a handler sees %q from a peer that is not trusted", f.name, seen)
			}
		}
		want := own
		if f.kind == overrideField {
			want = nil
		}
		if seen := seenFrom(t, behindProxy, proxyPeer, own...); !slices.Equal(seen, want) {
			t.Errorf("%s: a handler sees %q from a trusted proxy, want %q", f.name, seen, want)
		}
		if seen := seenFrom(t, behindProxy, proxyPeer, misspelt...); len(seen) > 0 {
			t.Errorf("%s: a handler sees %q, which the proxy did not set", f.name, seen)
		}
	}
}

// swapSeparators writes _ for - and - for _.
func swapSeparators(name string) string { return strings.NewReplacer("-", "_", "_", "-").Replace(name) }

// TestOrdinaryFields shows that fields which are not in the table reach handlers,
// also those whose names are similar to one in the table.
func TestOrdinaryFields(t *testing.T) {
	names := []string{
		"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Authorization", "Baggage", "Cache-Control", "Cdn-Loop", "Cf-Ray", "Connection",
		"Content-Digest", "Content-Encoding", "Content-Language", "Content-Length", "Content-Location", "Content-Type", "Cookie", "Date", "Dnt", "Dpop", "Early-Data",
		"Expect", "From", "Idempotency-Key", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Last-Event-Id", "Mcp-Session-Id",
		"Mcp-Protocol-Version", "Origin", "Pragma", "Prefer", "Priority", "Proxy-Authorization", "Range", "Referer", "Sec-Fetch-Site", "Sec-Websocket-Key", "Signature",
		"Signature-Input", "Te", "Traceparent", "Tracestate", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", "Via", "Want-Content-Digest", "X-Amzn-Trace-Id",
		"X-Api-Key", "X-B3-Traceid", "X-Cloud-Trace-Context", "X-Correlation-Id", "X-Csrf-Token", "X-Request-Id", "X-Request_id", "X-Requested-With", "X-Scheme-Id",
		"Forward", "Forwarded-", "Client-Certificate", "X-Real-Ips", "X-Real", "X-Http-Methods", "X-Forwarde", "Xforwarded-For", "True-Client-I", "True-Client-Ip2",
		"Qforwarded", "Q-Forwarded", "L-D-Client-Id", "X1forwarded-For", "X-Proxy", "X-Token", "X-Trino-Catalog", "X-Sendfile", "X-Accel-Expires", "X-Middleware", "X-Scope", "Ngrok-Trace-Id", "Ws", "$w",
		"X", "", "-", "_", "\x00", "é", strings.Repeat("x", 100), "X-Real-Ip" + strings.Repeat("-", 64),
	}
	for _, peer := range []string{otherPeer, proxyPeer} {
		if seen := seenFrom(t, behindProxy, peer, names...); !slices.Equal(seen, names) {
			t.Errorf("from %s only %q are left", peer, seen)
		}
	}
	if seen := seenFrom(t, behindProxy, otherPeer, "X-Forwarded-"+strings.Repeat("x", 100)); len(seen) > 0 {
		t.Errorf("a long name is seen: %q", seen)
	}
}

// TestFieldsOfProducts covers R-BT-11 with names as products send them: the table's
// own names could not show that a row is missing.
func TestFieldsOfProducts(t *testing.T) {
	trusted := []string{ // that a handler sees if a trusted proxy set them
		"X-Proxy-User", "X-Proxy-Roles", "X-Proxy-Ext-Department", "Es-Security-Runas-User", "X-Auth-Couchdb-Username", "X-Auth-Couchdb-Roles",
		"X-Auth-Couchdb-Token", "X-Scope-Orgid", "X-Trino-User", "X-Rstudio-Username", "X-Amzn-Ava-User-Context", "Ngrok-Auth-User-Email",
		"Ngrok-Auth-User-Id", "Sf-Context-Current-User", "Sf-Context-Current-User-Token", "X-Replit-User-Id", "X-Replit-User-Name", "X-Replit-User-Roles",
		"X-Sandstorm-User-Id", "X-Sandstorm-Permissions", "X-Token-User-Email", "X-Token-User-Roles", "X-Token-Subject", "$wsru", "$wscc", "$WSRA",
		"X-Sendfile-Type", "X-Accel-Mapping",
	}
	never := []string{"X-Middleware-Subrequest", "X_middleware_subrequest", "X_proxy_user", "Ngrok_auth_user_email", "_WSRU", "-Wsru", "$ws$ru", "$WS_RU"}
	if seen := seenFrom(t, behindProxy, otherPeer, slices.Concat(trusted, never)...); len(seen) > 0 {
		t.Errorf("a handler sees %q from a peer that is not trusted", seen)
	}
	if seen := seenFrom(t, behindProxy, proxyPeer, slices.Concat(trusted, never)...); !slices.Equal(seen, trusted) {
		t.Errorf("of a proxy's fields a handler sees %q, want %q", seen, trusted)
	}
}

// TestInsecureKeepFields shows that a field of InsecureKeepFields reaches handlers
// from every peer, in that spelling only, and that no other field does.
func TestInsecureKeepFields(t *testing.T) {
	config := behindProxy
	config.InsecureKeepFields = []string{"True-Client-IP", "x-forwarded-user", "X-Original-URL", "OIDC_CLAIM_sub"}
	names := []string{
		"True-Client-Ip", "TRUE-CLIENT-IP", "True_client_ip", "X-Forwarded-User", "X-Forwarded_user", "X-Forwarded-User2", "X-Forwarded-For",
		"X-Original-Url", "X_original_url", "X-Original-Uri", "Oidc_claim_sub", "Oidc-Claim-Sub", "Oidc_claim_subs",
	}
	want := []string{"True-Client-Ip", "TRUE-CLIENT-IP", "X-Forwarded-User", "X-Original-Url", "Oidc_claim_sub"}
	if seen := seenFrom(t, config, otherPeer, names...); !slices.Equal(seen, want) {
		t.Errorf("a handler sees %q from a peer that is not trusted, want %q", seen, want)
	}
	config.InsecureKeepFields[0] = "X-Forwarded-For" // before New, which copies
	guard, err := New(Config{Validator: AnyValidator(), InsecureKeepFields: config.InsecureKeepFields})
	if err != nil {
		t.Fatal(err)
	}
	config.InsecureKeepFields[0] = "Remote-User"
	if !guard.passes("X-Forwarded-For", false) || guard.passes("Remote-User", false) {
		t.Error("the list is not copied")
	}
	for name, problem := range map[string]string{
		"X-Request-Id": "is not a field that is removed", "": "is not a field that is removed", "True-Client": "is not a field that is removed",
		"X-Forwarded-*": "is not spelled like X-Forwarded-*", "X_Real_IP": "is not spelled like X-Real-IP", "X-Real_IP": "is not spelled like X-Real-IP",
		"OIDC-CLAIM-sub": "is not spelled like OIDC_*", "Client Cert": "is not spelled like", "Remote-User\r\n": "is not spelled like",
	} {
		_, err := New(Config{Validator: AnyValidator(), InsecureKeepFields: []string{"Forwarded", name}})
		if err == nil || !strings.Contains(err.Error(), "middleware: InsecureKeepFields[1]") || !strings.Contains(err.Error(), problem) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestFieldsInDocs shows that docs/http.md has the names of the table, under their
// kinds, and no others.
func TestFieldsInDocs(t *testing.T) {
	page, err := os.ReadFile("../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[fieldKind][]string{overrideField: nil, originField: nil, addressField: nil, userField: nil, certificateField: nil}
	for line := range strings.SplitSeq(string(page), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		kind := fieldKind(strings.Trim(cells[1], " "))
		if _, known := documented[kind]; !known {
			continue
		}
		for _, span := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[3], -1) {
			documented[kind] = append(documented[kind], span[1])
		}
	}
	for _, f := range fieldTable {
		if !slices.Contains(documented[f.kind], f.name) {
			t.Errorf("docs/http.md does not name %s under %q", f.name, f.kind)
		}
		documented[f.kind] = slices.DeleteFunc(documented[f.kind], func(name string) bool { return name == f.name })
	}
	for kind, names := range documented {
		if len(names) > 0 {
			t.Errorf("docs/http.md names %q under %q, and the table does not", names, kind)
		}
	}
}
