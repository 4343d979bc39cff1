package latency

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/benchmarks"
)

// The protocols. HTTP/2 to our own servers has no TLS (h2c), which would hide a part of
// what a middleware adds.
const (
	HTTP1 = "HTTP/1.1"
	HTTP2 = "HTTP/2"
	GRPC  = "gRPC"
)

// Protocols are all protocols.
var Protocols = []string{HTTP1, HTTP2, GRPC}

// connections returns how many connections the requests of workers share if a connection
// can have several under way.
func connections(workers int) int { return max(4, workers/100) }

// client sends requests over connections of its own.
type client interface {
	// send sends a request with this Authorization field, and returns the status of the
	// answer: that of HTTP, or 0 if there is none.
	send(ctx context.Context, worker int, authorization string) int
	close()
}

// newClient returns a client of a server of this program. workers call it at once.
func newClient(protocol, address string, workers int) (client, error) {
	if protocol == GRPC {
		return newGRPCClient(address, connections(workers))
	}
	return newHTTPClient(protocol, "http://"+address+"/orders/17", nil, workers)
}

// httpClient is a client over HTTP.
type httpClient struct {
	template   *http.Request
	transports []*http.Transport
}

// newHTTPClient returns a client that sends GET requests to a URL with these fields.
func newHTTPClient(protocol, target string, header http.Header, workers int) (*httpClient, error) {
	at, err := url.Parse(target)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return nil, fmt.Errorf("latency: %q is no http or https URL", target)
	}
	if header == nil {
		header = make(http.Header)
	}
	c := &httpClient{template: &http.Request{Method: http.MethodGet, URL: at, Host: at.Host, Header: header}}
	count := 1
	if protocol == HTTP2 {
		count = connections(workers)
	}
	for range count {
		t := &http.Transport{
			DisableCompression: true, MaxIdleConnsPerHost: workers, MaxConnsPerHost: workers,
			IdleConnTimeout: time.Hour, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
			Protocols: new(http.Protocols),
		}
		t.Protocols.SetHTTP1(protocol == HTTP1)
		t.Protocols.SetHTTP2(protocol == HTTP2)
		t.Protocols.SetUnencryptedHTTP2(protocol == HTTP2)
		c.transports = append(c.transports, t)
	}
	return c, nil
}

func (c *httpClient) send(ctx context.Context, worker int, authorization string) int {
	r := c.template.WithContext(ctx)
	if authorization != "" {
		r.Header = http.Header{"Authorization": {authorization}}
	}
	answer, err := c.transports[worker%len(c.transports)].RoundTrip(r)
	if err != nil {
		return 0
	}
	_, err = io.Copy(io.Discard, answer.Body)
	if closed := answer.Body.Close(); err != nil || closed != nil {
		return 0
	}
	return answer.StatusCode
}

func (c *httpClient) close() {
	for _, t := range c.transports {
		t.CloseIdleConnections()
	}
}

// grpcClient is a client over gRPC.
type grpcClient []*grpc.ClientConn

func newGRPCClient(address string, count int) (grpcClient, error) {
	var c grpcClient
	for range count {
		connection, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			c.close()
			return nil, fmt.Errorf("latency: %w", err)
		}
		c = append(c, connection)
	}
	return c, nil
}

func (c grpcClient) send(ctx context.Context, worker int, authorization string) int {
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", authorization)
	out := new(wrapperspb.StringValue)
	err := c[worker%len(c)].Invoke(ctx, benchmarks.CallMethod, wrapperspb.String("orders/17"), out)
	switch status.Code(err) {
	case codes.OK:
		return http.StatusOK
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.Unavailable, codes.Canceled, codes.DeadlineExceeded: // by the server, or because there is no answer
		if ctx.Err() != nil {
			return 0
		}
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

func (c grpcClient) close() {
	for _, connection := range c {
		_ = connection.Close()
	}
}
