package discovery_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/discovery"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// TestMetadataURL covers R-DI-03 for metadata at a URL of the configuration: it is the
// only one that is asked, and the document must be of the issuer all the same.
func TestMetadataURL(t *testing.T) {
	const name = "http://sts.example/adfs/services/trust"
	for document, want := range map[string]string{
		`{"issuer":"` + name + `","jwks_uri":"https://keys.example"}`:                                              "",
		`{"issuer":"https://sts.example/adfs","access_token_issuer":"` + name + `","jwks_uri":"https://k.test"}`:   "", // AD FS
		`{"issuer":"` + name + `","access_token_issuer":null,"jwks_uri":"https://keys.example"}`:                   "",
		`{"issuer":"https://sts.example/adfs","jwks_uri":"https://keys.example"}`:                                  "byte for byte",
		`{"issuer":"` + name + `/","jwks_uri":"https://keys.example"}`:                                             "slash at the end",
		`{"jwks_uri":"https://keys.example"}`:                                                                      "byte for byte",
		`{"issuer":"https://sts.example/adfs","access_token_issuer":"` + name + `/","jwks_uri":"https://a.test"}`:  "its access_token_issuer is",
		`{"issuer":"https://sts.example/adfs","access_token_issuer":["` + name + `"],"jwks_uri":"https://a.test"}`: "byte for byte",
	} {
		_, asked := server(t, nil)
		url, _ := server(t, map[string]string{"/custom/metadata": document, oauth: good, openID: good})
		metadata, err := discovery.New(discovery.Config{MetadataURL: url + "/custom/metadata?p=a"}).Discover(t.Context(), name, discovery.Keys)
		switch {
		case want == "" && (err != nil || metadata.JWKSURI == "" || metadata.Issuer != name):
			t.Errorf("%s: %+v, %v", document, metadata, err)
		case want != "" && (!errors.Is(err, discovery.ErrOtherIssuer) || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", document, err, want)
		}
		if n := asked.Load(); n != 0 {
			t.Errorf("%d requests to the issuer", n)
		}
	}
}

// TestAccessTokenIssuer checks that access_token_issuer proves nothing at the well-known
// URLs of an issuer, and that the error names what to configure.
func TestAccessTokenIssuer(t *testing.T) {
	issuer, _ := server(t, map[string]string{openID: `{"issuer":"https://other.example","access_token_issuer":"ISSUER","jwks_uri":"https://keys.example"}`})
	_, err := discovery.New(discovery.Config{}).Discover(t.Context(), issuer, discovery.Keys)
	if !errors.Is(err, discovery.ErrOtherIssuer) || !strings.Contains(err.Error(), "Issuer.MetadataURL") {
		t.Errorf("%v", err)
	}
}

// TestSchemeOfLinks checks that what counts for plain http is how the document was
// fetched, and not the name of its issuer: an issuer whose name is http has no link to
// this machine in a document that came over https.
func TestSchemeOfLinks(t *testing.T) {
	const document = `{"issuer":"http://localhost/adfs","jwks_uri":"http://127.0.0.1:9200/keys"}`
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(document))
	}))
	defer s.Close()
	_, err := discovery.New(discovery.Config{HTTPClient: s.Client(), MetadataURL: s.URL}).Discover(t.Context(), "http://localhost/adfs", discovery.Keys)
	if err == nil || !strings.Contains(err.Error(), "jwks_uri is http, and the document is not") {
		t.Errorf("%v", err)
	}
	url, _ := server(t, map[string]string{"/a": document})
	if _, err := discovery.New(discovery.Config{MetadataURL: url + "/a"}).Discover(t.Context(), "http://localhost/adfs", discovery.Keys); err != nil {
		t.Errorf("over http: %v", err)
	}
}

// TestTimeout checks that metadata may take as long as the configuration says.
func TestTimeout(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{0: 5 * time.Second, time.Second: time.Second, 30 * time.Second: 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			issuer := startIssuer(t)
			defer issuer.Close()
			client := discovery.New(discovery.Config{HTTPClient: issuer.Client(), Timeout: timeout})
			for _, e := range documents {
				issuer.Behave(e, testissuer.Behaviour{Delay: want - time.Millisecond})
			}
			if _, err := client.Discover(t.Context(), tenant, discovery.Keys); err != nil {
				t.Errorf("%v, just in time: %v", timeout, err)
			}
			for _, e := range documents {
				issuer.Behave(e, testissuer.Behaviour{Delay: time.Hour})
			}
			start := time.Now()
			_, err := client.Discover(t.Context(), tenant, discovery.Keys)
			if took := time.Since(start); err == nil || took != want {
				t.Errorf("%v: %v after %v", timeout, err, took)
			}
		})
	}
}
