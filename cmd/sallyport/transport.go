package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"

	"github.com/sallyport-auth/sallyport/internal/boundedfile"
	"github.com/sallyport-auth/sallyport/validator"
)

// certificateFile is the client certificate for connections to an issuer.
type certificateFile struct {
	CertificateFile string `yaml:"certificate_file"`
	KeyFile         string `yaml:"key_file"`
}

// fromEnvironment is the value of proxy that stands for HTTPS_PROXY and its kind.
const fromEnvironment = "environment"

// httpClient returns the client that connects to the issuer, or nil for the default.
func (c converter) httpClient(file *issuerFile) *http.Client {
	if file.CAFile == "" && file.Proxy == "" && file.ClientCertificate == nil {
		return nil
	}
	transport := validator.NewTransport()
	if file.CAFile != "" {
		transport.TLSClientConfig.RootCAs = c.at("ca_file").authorities(file.CAFile)
	}
	if file.Proxy != "" {
		transport.Proxy = c.at("proxy").proxy(file.Proxy)
	}
	if file.ClientCertificate != nil {
		transport.TLSClientConfig.GetClientCertificate = c.at("client_certificate").clientCertificate(file.ClientCertificate)
	}
	return &http.Client{Transport: transport}
}

// authorities returns the certificate authorities in a file, which are the only ones that
// are trusted.
func (c converter) authorities(name string) *x509.CertPool {
	pool := x509.NewCertPool()
	if text, ok := c.readText(name); ok && c.checkCertificates(name, text) {
		pool.AppendCertsFromPEM(text)
	}
	return pool
}

// proxy returns the proxy for requests to the issuer.
func (c converter) proxy(text string) func(*http.Request) (*url.URL, error) {
	if text == fromEnvironment {
		return http.ProxyFromEnvironment
	}
	const mend = "give a URL such as http://proxy.example:3128, or " + fromEnvironment
	switch u, err := url.Parse(text); {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" || u.Host == "":
		c.faults.Add("is not the URL of a proxy", mend)
	case u.User != nil:
		c.faults.Add("has a user, and a password must not stand here", "give "+fromEnvironment+", and the URL in HTTPS_PROXY")
	default:
		return http.ProxyURL(u)
	}
	return nil
}

// clientCertificate returns a function that reads the certificate and the key of this API
// for each connection, so that they can be replaced.
func (c converter) clientCertificate(file *certificateFile) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if file.CertificateFile == "" || file.KeyFile == "" {
		c.faults.Add("is incomplete", "give certificate_file and key_file")
		return nil
	}
	if !c.checkPair(file.CertificateFile, file.KeyFile) {
		return nil
	}
	certificateFile, keyFile := c.file(file.CertificateFile), c.file(file.KeyFile)
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		certificate, err := boundedfile.ReadRegular(certificateFile, maxSecretFile)
		if err != nil {
			return nil, fmt.Errorf("client_certificate: %w", err)
		}
		key, err := boundedfile.ReadRegular(keyFile, maxSecretFile)
		if err != nil {
			return nil, fmt.Errorf("client_certificate: %w", err)
		}
		pair, err := tls.X509KeyPair(certificate, key)
		return &pair, err
	}
}
