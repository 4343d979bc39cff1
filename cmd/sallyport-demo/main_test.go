package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestOnce runs the command of the README.
func TestOnce(t *testing.T) {
	var out, errOut bytes.Buffer
	if status := run(t.Context(), []string{"--once"}, &out, &errOut); status != exitGood {
		t.Errorf("status %d\n%s%s", status, &out, &errOut)
	}
	for _, want := range []string{
		"good token                      200",
		"no_credentials         Bearer realm=\"api\", scope=\"orders:read\"\n",
		"HS256 with the public key       401",
		"500 unknown kids at once        401",
		"issuer down, unknown kid        503",
		"opaque, revoked 2 s ago         401",
		"introspection down, new         503",
		"gRPC call                    code                   µs  reason             challenge\n",
		"good token                   OK ",
		"read scope on a write        PermissionDenied",
		"method that is not listed    Unimplemented",
		"  order 1\n",
		"stream, its token expires    Unauthenticated",
		"stream, its token is revoked Unauthenticated",
		"42 requests as they should be, 0 not\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
}

// TestWrongRow checks that the demo marks answers other than the expected ones.
func TestWrongRow(t *testing.T) {
	d, err := start(t.Context(), "127.0.0.1:0", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	var out bytes.Buffer
	bad := show(t.Context(), &out, []row{
		d.get("good", testissuer.Token{Scope: "orders:read"}, http.StatusOK, ""),
		d.get("another status", testissuer.Token{Scope: "orders:read"}, http.StatusForbidden, ""),
		d.get("another reason", testissuer.Token{}, http.StatusForbidden, validator.Forbidden),
		{"no answer", func(context.Context) answer { return answer{status: 200, err: http.ErrServerClosed} }, http.StatusOK, ""},
		d.call("good", getOrder, codes.OK, "", testissuer.Token{Scope: "orders:read"}),
		d.call("another code", getOrder, codes.OK, "", testissuer.Token{}),
		d.call("another reason", getOrder, codes.Unauthenticated, validator.Expired),
	})
	if bad != 5 || strings.Count(out.String(), "^ should be") != 5 {
		t.Errorf("%d are bad, want 5\n%s", bad, &out)
	}
}

// TestWrongOpaqueRow checks that the demo marks a row if the issuer was asked another
// number of times than the row says, and a 503 without Retry-After.
func TestWrongOpaqueRow(t *testing.T) {
	d, err := start(t.Context(), "127.0.0.1:0", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	token := d.issuer.Opaque(testissuer.Token{Scope: "orders:read", Prefix: opaquePrefix})
	var out bytes.Buffer
	bad := show(t.Context(), &out, []row{
		{"asked once", d.asking(1, d.opaque(token)), http.StatusOK, ""},
		{"not asked", d.asking(1, d.opaque(token)), http.StatusOK, ""},
		{"no Retry-After", d.unanswered(token), http.StatusOK, ""},
	})
	for _, want := range []string{"asked 0 times, not 1\n", "no Retry-After\n"} {
		if bad != 2 || !strings.Contains(out.String(), want) {
			t.Errorf("%d are bad, want 2; %q is missing in\n%s", bad, want, &out)
		}
	}
}

// watched is a buffer that cancels a context when a text was written.
type watched struct {
	mu   sync.Mutex
	all  bytes.Buffer
	text string
	end  context.CancelFunc
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.all.Write(b)
	if strings.Contains(w.all.String(), w.text) {
		w.end()
	}
	return n, err
}

// TestInvitation checks that the demo serves after the table and prints commands with
// tokens.
func TestInvitation(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &watched{text: "/.well-known/oauth-authorization-server\n", end: cancel}
	var errOut bytes.Buffer
	if status := run(ctx, nil, out, &errOut); status != exitGood {
		t.Errorf("status %d\n%s%s", status, out.all.String(), &errOut)
	}
	lines := regexp.MustCompile(`(?m)^curl -i -H 'Authorization: Bearer (?:[\w-]+\.[\w-]+\.[\w-]+|demo_[\w-]+)' (-X POST )?http://127\.0\.0\.1:\d+/orders`)
	if n := len(lines.FindAllString(out.all.String(), -1)); n != 5 {
		t.Errorf("%d curl lines with a token, want 5\n%s", n, out.all.String())
	}
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"--help"}, exitGood, "drill"},
		{[]string{"show", "--help"}, exitGood, "--once"},
		{[]string{"--twice"}, exitUsage, "--twice"},
		{[]string{"--addr", "0.0.0.0:0"}, exitUsage, "not a loopback address"},
		{[]string{"--addr", "here"}, exitUsage, "not a loopback address"},
	} {
		var out, errOut bytes.Buffer
		status := run(t.Context(), test.args, &out, &errOut)
		if status != test.status || !strings.Contains(out.String()+errOut.String(), test.want) {
			t.Errorf("%v: status %d, %s%s", test.args, status, &out, &errOut)
		}
	}
}
