package validator_test

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/discovery"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// issuerNames are the names of issuers that are no https URLs.
var issuerNames = []string{
	"accounts.google.com", "acme.com", "http://sts.example.com/adfs/services/trust", "urn:example:issuer:1", "kubernetes/serviceaccount",
	"https://as.example.com/?tenant=a", "https://as.example.com/#a", "https://user@as.example.com", "Schlüsselamt", "a b", "https:as.example.com",
	strings.Repeat("n", 512),
}

// strangersOf are names that differ from name, and that a lenient comparison would take
// for it.
func strangersOf(name string) []string {
	changed := []string{name + "/", name + " ", " " + name, strings.TrimSuffix(name, name[len(name)-1:]), "https://" + name, name + "\u200b", name + "?"}
	if upper := strings.ToUpper(name); upper != name {
		changed = append(changed, upper)
	}
	return changed
}

// TestIssuerNames covers R-CL-01 for issuers that are no https URLs: with configured keys
// any name is an issuer's, and iss is compared with it byte for byte.
func TestIssuerNames(t *testing.T) {
	for _, name := range issuerNames {
		synctest.Test(t, func(t *testing.T) {
			is := issuertest.New(t)
			path := filepath.Join(t.TempDir(), "jwks.json")
			if err := os.WriteFile(path, is.JWKS(), 0o600); err != nil {
				t.Fatal(err)
			}
			for what, keys := range map[string]jwkscache.Source{
				"static": jwkscache.Static(is.JWKS()), "URL": jwkscache.URL(is.JWKSURL()), "file": jwkscache.File(path),
				"fallback": jwkscache.WithFallback(jwkscache.URL(is.JWKSURL()), is.JWKS()),
			} {
				v := is.Validator(t, is.Fetched, func(c *validator.Issuer) { c.URL, c.Keys = name, keys })
				if err := v.Warm(t.Context()); err != nil {
					t.Errorf("%s, %q: %v", what, name, err)
				}
				token, err := v.Validate(t.Context(), is.Bearer(issuertest.Claims{"iss": name}))
				if err != nil || token.Issuer() != name {
					t.Errorf("%s, %q: %v", what, name, causeOf(err))
				}
				for _, other := range append(strangersOf(name), is.URL()) {
					wantReason(t, what+": "+other, reasonFor(t, v, is, testissuer.Token{Claims: issuertest.Claims{"iss": other}}), validator.UnknownIssuer)
				}
				if s := v.Status(); v.Ready() != nil || len(s.Issuers) != 1 || s.Issuers[0].Issuer != name || s.Counts[0].Issuer != name || !slices.Equal(v.Issuers(), []string{name}) {
					t.Errorf("%s: %v, %+v", what, v.Ready(), v.Status().Issuers)
				}
			}
		})
	}
}

// TestIssuerNamesResolved: Config.ResolveIssuer is asked for any name, and its answer needs
// a source of keys for one that is no https URL.
func TestIssuerNamesResolved(t *testing.T) {
	for _, name := range issuerNames {
		synctest.Test(t, func(t *testing.T) {
			is, d := issuertest.New(t), newDirectory()
			config := is.Config(grantAll, func(c *validator.Issuer) { c.URL = name })
			d.set(name, answering(config))
			v := resolving(t, d, 0, nil)
			token := testissuer.Token{Claims: issuertest.Claims{"iss": name}}
			wantReason(t, name, reasonFor(t, v, is, token), "")
			for _, other := range strangersOf(name) {
				wantReason(t, other, reasonFor(t, v, is, testissuer.Token{Claims: issuertest.Claims{"iss": other}}), validator.UnknownIssuer)
			}
			v.ForgetIssuer(name)
			config.Keys = nil
			d.set(name, answering(config))
			_, err := v.Validate(t.Context(), bearer(is.Sign(token)))
			wantReason(t, name+", discovered", validator.ReasonOf(err), validator.Unavailable)
			if faults := validator.Faults(causeOf(err)); len(faults) != 1 || !strings.HasSuffix(faults[0].Path, ".URL") || !strings.Contains(faults[0].Mend, "MetadataURL") {
				t.Errorf("%v", causeOf(err))
			}
		})
	}
}

// TestIssuerNamesOpaque: an issuer that is no https URL is asked at an endpoint of the
// configuration. Its answers are compared with the name.
func TestIssuerNamesOpaque(t *testing.T) {
	for _, name := range issuerNames {
		is := newOpaqueIssuer(t, func(c *validator.Issuer) { c.URL = name })
		if err := is.v.Warm(t.Context()); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		token := wantVerdict(t, name, is.v, is.OpaqueBearer(issuertest.Claims{"iss": name}), "", validator.Introspected, "")
		if token != nil && token.Issuer() != name {
			t.Errorf("%q is %q", name, token.Issuer())
		}
		wantVerdict(t, name+": without iss", is.v, is.OpaqueBearer(issuertest.Claims{"iss": nil}), "", validator.Introspected, "")
		for _, other := range append(strangersOf(name), is.URL()) {
			wantVerdict(t, other, is.v, is.OpaqueBearer(issuertest.Claims{"iss": other}), validator.UnknownIssuer, validator.Introspected, "iss in the answer")
		}
	}
}

// TestIssuerNameInSnapshots: the keys of an issuer that is no URL survive a restart.
func TestIssuerNameInSnapshots(t *testing.T) {
	for _, name := range issuerNames {
		synctest.Test(t, func(t *testing.T) {
			is := issuertest.New(t)
			config := validator.Config{
				SnapshotDir: filepath.Join(t.TempDir(), "keys"),
				Issuers:     []validator.Issuer{is.Config(is.Fetched, func(c *validator.Issuer) { c.URL, c.Keys = name, jwkscache.URL(is.JWKSURL()) })},
			}
			if err := issuertest.Validator(t, config).Warm(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // until the keys are saved
			is.Down(true)
			restarted := issuertest.Validator(t, config)
			wantReason(t, name, reasonFor(t, restarted, is, testissuer.Token{Claims: issuertest.Claims{"iss": name}}), "")
		})
	}
}

// TestIssuerNameDiscovered: each thing that is left to the metadata needs a URL to look
// at, and the fault names the field that takes its place.
func TestIssuerNameDiscovered(t *testing.T) {
	is := issuertest.New(t)
	const name = "accounts.google.com"
	bearer := introspect.Bearer{Authentication: introspect.ClientSecretBasic{Secret: introspect.SecretText("s")}}
	client := func(change func(*introspect.Client)) func(*validator.Issuer) {
		return func(c *validator.Issuer) {
			opaque := *c.Opaque
			change(&opaque)
			c.Opaque = &opaque
		}
	}
	for _, row := range []struct {
		what   string
		config validator.Issuer
		mends  []string // nil: no fault
	}{
		{"keys", is.Config(is.Fetched), []string{"Keys"}},
		{"keys, named", is.Config(func(c *validator.Issuer) { c.Keys = jwkscache.Discovered() }), []string{"Keys"}},
		{"an endpoint", is.OpaqueConfig(discovered), []string{"Opaque.Endpoint"}},
		{"no keys, and an endpoint of the configuration", is.OpaqueConfig(), nil},
		{"keys of signed answers", is.OpaqueConfig(client(func(c *introspect.Client) { c.Signed = true })), []string{"Keys"}},
		{"own keys of signed answers", is.OpaqueConfig(client(func(c *introspect.Client) { c.Signed, c.AnswerKeys = true, jwkscache.Static(is.JWKS()) })), nil},
		{"own keys of signed answers, discovered", is.OpaqueConfig(client(func(c *introspect.Client) { c.Signed, c.AnswerKeys = true, jwkscache.Discovered() })), []string{"Opaque.AnswerKeys"}},
		{"a token endpoint", is.OpaqueConfig(client(func(c *introspect.Client) { c.Authentication = bearer })), []string{"TokenEndpoint of Opaque.Authentication"}},
		{"a token endpoint, by pointer", is.OpaqueConfig(client(func(c *introspect.Client) { c.Authentication = &bearer })), []string{"TokenEndpoint of Opaque.Authentication"}},
		{"keys and an endpoint", is.HybridConfig(discovered, func(c *validator.Issuer) { c.Keys = jwkscache.Discovered() }), []string{"Keys", "Opaque.Endpoint"}},
	} {
		config := row.config
		config.URL = name
		_, err := validator.New(validator.Config{Issuers: []validator.Issuer{config}})
		faults := validator.Faults(err)
		if row.mends == nil {
			if err != nil {
				t.Errorf("%s: %v", row.what, err)
			}
			config.MetadataURL = "https://as.example.com/metadata"
			if _, err := validator.New(validator.Config{Issuers: []validator.Issuer{config}}); len(validator.Faults(err)) != 1 {
				t.Errorf("%s: nothing is discovered, and MetadataURL gives %v", row.what, err)
			}
			continue
		}
		if len(faults) != 1 || faults[0].Path != "Issuers[0].URL" || !strings.HasSuffix(faults[0].Mend, "set MetadataURL, or configure "+strings.Join(row.mends, " and ")) {
			t.Errorf("%s: %v", row.what, err)
		}
		config.MetadataURL = "https://as.example.com/metadata"
		if _, err := validator.New(validator.Config{Issuers: []validator.Issuer{config}}); err != nil {
			t.Errorf("%s: with MetadataURL: %v", row.what, err)
		}
	}
}

// rerouted is a transport that answers one URL with the OpenID Connect metadata of an
// issuer, which has other members. Other metadata are not found.
type rerouted struct {
	is      *issuertest.Issuer
	at      string // the URL of the metadata
	fetched []string
}

func (r *rerouted) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	r.fetched = append(r.fetched, request.URL.String())
	switch {
	case request.URL.String() == r.at:
		request.URL.Scheme, request.URL.Host, request.URL.Path, request.URL.RawQuery = "https", "issuer.test", "/.well-known/openid-configuration", ""
	case strings.Contains(request.URL.Path, "/.well-known/"):
		return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody, Header: http.Header{}, Request: request}, nil
	}
	return r.is.Transport().RoundTrip(request)
}

// TestMetadataURLs covers R-DI-03 and R-JK-01 for metadata at a URL of the configuration,
// as for Azure AD B2C, for AD FS and inside a Kubernetes cluster.
func TestMetadataURLs(t *testing.T) {
	for _, row := range []struct {
		what, url, at string
		members       map[string]any
		told          string // "": the metadata are used
	}{
		{"Azure AD B2C", "https://login.example/tenant/v2.0/", "https://login.example/tenant/v2.0/.well-known/openid-configuration?p=policy", map[string]any{"issuer": "https://login.example/tenant/v2.0/"}, ""},
		{"a custom domain", "https://tenant.example/", "https://id.acme.example/.well-known/openid-configuration", map[string]any{"issuer": "https://tenant.example/"}, ""},
		{"Kubernetes", "https://kubernetes.default.svc.cluster.local", "https://10.0.0.1/.well-known/openid-configuration", map[string]any{"issuer": "https://kubernetes.default.svc.cluster.local"}, ""},
		{"a name", "acme.com", "https://acme.com/metadata", map[string]any{"issuer": "acme.com"}, ""},
		{"AD FS", "http://sts.example/adfs/services/trust", "https://sts.example/adfs/.well-known/openid-configuration", map[string]any{"issuer": "https://sts.example/adfs", "access_token_issuer": "http://sts.example/adfs/services/trust"}, ""},
		{"another tenant", "https://login.example/a", "https://login.example/b/metadata", map[string]any{"issuer": "https://login.example/b"}, "byte for byte"},
		{"a slash", "https://login.example/a", "https://login.example/a/metadata", map[string]any{"issuer": "https://login.example/a/"}, "differ in the slash"},
		{"another AD FS", "http://sts.example/adfs/services/trust", "https://sts.example/metadata", map[string]any{"issuer": "https://sts.example/adfs", "access_token_issuer": "http://other.example/adfs/services/trust"}, "access_token_issuer is"},
		{"without issuer", "https://login.example/a", "https://login.example/a/metadata", map[string]any{"issuer": nil}, "byte for byte"},
	} {
		t.Run(row.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				is := issuertest.At(t, "https://issuer.test")
				is.Metadata(testissuer.OpenIDMetadata, func(members map[string]any) { maps.Copy(members, row.members) })
				for _, opaque := range []bool{false, true} {
					transport := &rerouted{is: is, at: row.at}
					config, present := is.Config(is.Fetched), func(c issuertest.Claims) validator.Presentation { return is.Bearer(c) }
					if opaque {
						config, present = is.OpaqueConfig(discovered), func(c issuertest.Claims) validator.Presentation { return is.OpaqueBearer(c) }
					}
					config.URL, config.MetadataURL, config.HTTPClient = row.url, row.at, &http.Client{Transport: transport}
					v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{config}})
					warmed := v.Warm(t.Context())
					_, err := v.Validate(t.Context(), present(issuertest.Claims{"iss": row.url}))
					if row.told == "" {
						if warmed != nil || err != nil {
							t.Errorf("opaque %t: %v; %v", opaque, warmed, causeOf(err))
						}
					} else if wantReason(t, row.what, validator.ReasonOf(err), validator.Unavailable); !strings.Contains(causeText(err), row.told) || !strings.Contains(warmed.Error(), row.told) {
						t.Errorf("opaque %t: %v; %v; want %q", opaque, warmed, causeOf(err), row.told)
					}
					if slices.ContainsFunc(transport.fetched, func(url string) bool { return url != row.at && strings.Contains(url, "/.well-known/") }) {
						t.Errorf("fetched %q", transport.fetched)
					}
				}
			})
		})
	}
}

// TestMetadataURLOverHTTP: plain http is for loopback hosts, and with InsecureAllowHTTP.
func TestMetadataURLOverHTTP(t *testing.T) {
	is := issuertest.New(t)
	for url, want := range map[string]bool{"http://127.0.0.1:8080/metadata": true, "http://localhost/metadata": true, "http://10.0.0.1/metadata": false} {
		for _, insecure := range []bool{false, true} {
			_, err := validator.New(validator.Config{Issuers: []validator.Issuer{is.Config(is.Fetched, func(c *validator.Issuer) {
				c.URL, c.MetadataURL, c.InsecureAllowHTTP = "urn:issuer", url, insecure
			})}})
			if (err == nil) != (want || insecure) {
				t.Errorf("%s, insecure %t: %v", url, insecure, err)
			}
		}
	}
}

// TestMetadataURLInLog: the first line about the issuer says where its metadata are.
func TestMetadataURLInLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, lines := issuertest.New(t), new(bytes.Buffer)
		v := issuertest.Validator(t, validator.Config{
			Logger: slog.New(slog.NewTextHandler(lines, nil)),
			Issuers: []validator.Issuer{is.Config(is.Fetched, func(c *validator.Issuer) {
				c.URL, c.MetadataURL = "urn:issuer", "https://issuer.test/metadata?secret=1"
			})},
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { _ = v.Run(ctx); close(ended) }()
		time.Sleep(10 * time.Second)
		cancel()
		<-ended
		if first, _, _ := strings.Cut(lines.String(), "\n"); !strings.Contains(first, "issuer=urn:issuer") || !strings.Contains(first, "metadata=https://issuer.test/metadata") || strings.Contains(first, "secret") {
			t.Errorf("%s", first)
		}
	})
}

// TestMetadataTimeout: metadata and keys may each take as long as their limit says.
func TestMetadataTimeout(t *testing.T) {
	for _, row := range []struct {
		what           string
		metadata, keys time.Duration // how long they take
		limits         jwkscache.Limits
		want           bool
	}{
		{"both slow, default", 4 * time.Second, 4 * time.Second, jwkscache.Limits{}, true},
		{"metadata too slow", 6 * time.Second, 0, jwkscache.Limits{}, false},
		{"metadata too slow, and FetchTimeout does not help", 6 * time.Second, 0, jwkscache.Limits{FetchTimeout: 30 * time.Second}, false},
		{"slow metadata", 19 * time.Second, 0, jwkscache.Limits{MetadataTimeout: 20 * time.Second}, true},
		{"both slow", 29 * time.Second, 29 * time.Second, jwkscache.Limits{MetadataTimeout: 30 * time.Second, FetchTimeout: 30 * time.Second}, true},
		{"metadata in time, keys too slow", 19 * time.Second, 6 * time.Second, jwkscache.Limits{MetadataTimeout: 20 * time.Second}, false},
		{"metadata too slow for a short limit", 2 * time.Second, 0, jwkscache.Limits{MetadataTimeout: time.Second}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			is := issuertest.New(t)
			for _, e := range []testissuer.Endpoint{testissuer.OAuthMetadata, testissuer.OpenIDMetadata} {
				is.Behave(e, testissuer.Behaviour{Delay: row.metadata})
			}
			is.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: row.keys})
			v := is.Validator(t, is.Fetched, func(c *validator.Issuer) { c.KeyLimits = row.limits })
			start := time.Now()
			err := v.Warm(t.Context())
			if (err == nil) != row.want {
				t.Errorf("%s: %v after %v", row.what, err, time.Since(start))
			}
			if took := time.Since(start); row.want && took != row.metadata+row.keys {
				t.Errorf("%s: took %v", row.what, took)
			}
			advance(2 * time.Minute)
		})
	}
}

// TestMetadataTimeoutOfEndpoints: the limit is also that of metadata which name
// endpoints.
func TestMetadataTimeoutOfEndpoints(t *testing.T) {
	for limit, want := range map[time.Duration]bool{0: false, 20 * time.Second: true} {
		synctest.Test(t, func(t *testing.T) {
			is := issuertest.New(t)
			for _, e := range []testissuer.Endpoint{testissuer.OAuthMetadata, testissuer.OpenIDMetadata} {
				is.Behave(e, testissuer.Behaviour{Delay: 10 * time.Second})
			}
			v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.OpaqueConfig(discovered, func(c *validator.Issuer) { c.KeyLimits.MetadataTimeout = limit })}})
			if err := v.Warm(t.Context()); (err == nil) != want || err != nil && !strings.Contains(err.Error(), discovery.ErrNoMetadata.Error()) {
				t.Errorf("%v: %v", limit, err)
			}
			advance(time.Minute)
		})
	}
}

// TestAccessTokenIssuerWarning: the metadata of AD FS name another issuer for access tokens.
// Whoever configures the issuer of the metadata is told so, since all tokens are refused.
func TestAccessTokenIssuerWarning(t *testing.T) {
	const trust = "http://issuer.test/adfs/services/trust"
	for name, row := range map[string]struct {
		member any
		change func(*validator.Issuer)
		warned bool
	}{
		"none":     {member: nil},
		"null":     {member: map[string]any{}},
		"the same": {member: "https://issuer.test"},
		"another":  {member: trust, warned: true},
		"another, and it is configured": {member: trust, change: func(c *validator.Issuer) {
			c.URL, c.MetadataURL = trust, "https://issuer.test/.well-known/openid-configuration"
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			is := issuertest.At(t, "https://issuer.test")
			for _, e := range metadataDocuments {
				is.Metadata(e, func(members map[string]any) { members["access_token_issuer"] = row.member })
			}
			changes := []func(*validator.Issuer){is.Fetched}
			if row.change != nil {
				changes = append(changes, row.change)
			}
			v := is.Validator(t, changes...)
			if err := v.Warm(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			warnings := v.Warnings()
			if (len(warnings) == 1) != row.warned || row.warned && (!strings.Contains(warnings[0], trust) || !strings.Contains(warnings[0], "MetadataURL")) {
				t.Errorf("%s: %q", name, warnings)
			}
		})
	}
}
