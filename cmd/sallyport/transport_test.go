package main

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// keyServer serves the keys of the samples to those who present a client certificate, as
// example.com. It returns itself and the certificate that it presents, in PEM.
func keyServer(t *testing.T, client string) (server *httptest.Server, authority string) {
	t.Helper()
	keys := read(t, samples+"/jwks.json")
	block, rest := pem.Decode([]byte(client))
	for block.Type != "CERTIFICATE" {
		block, rest = pem.Decode(rest)
	}
	server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !bytes.Equal(r.TLS.PeerCertificates[0].Raw, block.Bytes) {
			http.Error(w, "another client", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, keys)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

// proxyTo starts a proxy that connects to address, whatever it is asked for, and counts what
// it is asked for.
func proxyTo(t *testing.T, address string) (proxy *httptest.Server, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	proxy = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Method != http.MethodConnect || r.Host != "example.com:443" {
			http.Error(w, r.Host, http.StatusBadRequest)
			return
		}
		up, err := new(net.Dialer).DialContext(r.Context(), "tcp", address)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer up.Close()
		down, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer down.Close()
		_, _ = io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(up, down) }()
		_, _ = io.Copy(down, up)
	}))
	t.Cleanup(proxy.Close)
	return proxy, asked
}

// TestTransport reaches the keys of an issuer with a private authority and a client
// certificate, through a proxy and without one. Each of the keys that is left out makes them
// unavailable.
func TestTransport(t *testing.T) {
	dir := opaqueFolder(t)
	server, authority := keyServer(t, read(t, dir+"/cert.pem"))
	proxy, asked := proxyTo(t, server.Listener.Addr().String())
	write(t, dir, "ca.pem", authority)
	const ca, certificate = "    ca_file: ca.pem\n", "    client_certificate: {certificate_file: cert.pem, key_file: pkcs8.pem}\n"
	direct := strings.Replace(minimal, "file: jwks.json", "url: "+server.URL, 1)
	proxied := strings.Replace(minimal, "file: jwks.json", "url: https://example.com/jwks", 1) + "    proxy: " + proxy.URL + "\n"
	for _, row := range []struct {
		name, config, want string
		proxied            int32
	}{
		{"directly", direct + ca + certificate, `"accept":true`, 0},
		{"without the authority", direct + certificate, `"unavailable"`, 0},
		{"without the certificate", direct + ca, `"unavailable"`, 0},
		{"through a proxy", proxied + ca + certificate, `"accept":true`, 1},
	} {
		asked.Store(0)
		write(t, dir, "sallyport.yaml", row.config)
		in := line(t, map[string]any{"token": token(t, "good, RS256")})
		got := invoke(t, in, "verify", "--config", filepath.Join(dir, "sallyport.yaml"), "--at", sampleTime)
		if got.status != exitDone || !strings.Contains(got.out, row.want) || asked.Load() != row.proxied {
			t.Errorf("%s: status %d, the proxy was asked %d times\n%s%s", row.name, got.status, asked.Load(), got.out, got.err)
		}
	}
}

// TestReplacedCertificate checks that the client certificate is read for each connection.
func TestReplacedCertificate(t *testing.T) {
	dir := opaqueFolder(t)
	got := converted(t, dir, minimal+"    client_certificate: {certificate_file: cert.pem, key_file: pkcs8.pem}\n", "")
	certificate := transportOf(t, got.HTTPClient).TLSClientConfig.GetClientCertificate
	if pair, err := certificate(nil); err != nil || len(pair.Certificate) != 1 {
		t.Errorf("%v, %v", pair, err)
	}
	write(t, dir, "pkcs8.pem", read(t, dir+"/other.pem"))
	if _, err := certificate(nil); err == nil || !strings.Contains(err.Error(), "private key does not match") {
		t.Errorf("the key of another certificate: %v", err)
	}
	write(t, dir, "cert.pem", "")
	if _, err := certificate(nil); err == nil {
		t.Error("an empty file is a certificate")
	}
	if proxy := transportOf(t, converted(t, dir, minimal+"    proxy: environment\n", "").HTTPClient).Proxy; proxy == nil {
		t.Error("no proxy is taken from the environment")
	}
}

// TestTransportFaults checks the faults of the keys that say how an issuer is reached.
func TestTransportFaults(t *testing.T) {
	const at = "issuers[0]."
	dir := opaqueFolder(t)
	for _, test := range []struct {
		name, config string
		want         []string
	}{
		{"proxy without a scheme", minimal + "    proxy: proxy.example:3128\n", []string{"5:5: " + at + "proxy: is not the URL of a proxy; give a URL such as http://proxy.example:3128, or environment"}},
		{"proxy with a password", minimal + "    proxy: http://user:" + canary + "@proxy.example:3128\n", []string{"5:5: " + at + "proxy: has a user, and a password must not stand here; give environment"}},
		{"proxy that is no URL", minimal + "    proxy: 'http://a b:" + canary + "@'\n", []string{"5:5: " + at + "proxy: is not the URL of a proxy"}},
		{"no files", minimal + "    client_certificate: {}\n", []string{"5:5: " + at + "client_certificate: is incomplete; give certificate_file and key_file"}},
		{"no key", minimal + "    client_certificate: {certificate_file: cert.pem}\n", []string{"5:5: " + at + "client_certificate: is incomplete"}},
		{"files that are none", minimal + "    client_certificate: {certificate_file: none.pem, key_file: empty.txt}\n", []string{
			"5:26: " + at + "client_certificate.certificate_file: names a file that cannot be read", "5:54: " + at + "client_certificate.key_file: names the file FILE/empty.txt, which is empty",
		}},
		{"another key", minimal + "    client_certificate: {certificate_file: cert.pem, key_file: other.pem}\n", []string{
			"5:54: " + at + "client_certificate.key_file: does not name the key of the first certificate in certificate_file",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for i := range test.want {
				test.want[i] = strings.ReplaceAll(test.want[i], "FILE", dir)
			}
			if text := checkFaultsIn(t, dir, test.config, test.want); strings.Contains(text, canary) {
				t.Errorf("a secret is shown:\n%s", text)
			}
		})
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
