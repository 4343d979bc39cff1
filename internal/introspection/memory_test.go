package introspection

import (
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-auth/sallyport/introspect"
)

// inMemory is a transport whose server is a function, for tests in a synctest bubble,
// where sockets hang.
type inMemory func(r *http.Request, form url.Values) (status int, body string)

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	text, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(text))
	status, body := m(r, form)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}, nil
}

func (m inMemory) binding() Binding {
	return Binding{Issuer: issuerURL, HTTPClient: &http.Client{Transport: m}}
}

// memoryClient returns a configuration for a server in memory.
func memoryClient(a introspect.Authentication) introspect.Client {
	return introspect.Client{Endpoint: issuerURL + "/introspect", ID: apiID, Authentication: a}
}
