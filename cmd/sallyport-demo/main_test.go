package main

import (
	"bytes"
	"context"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestOnce runs the demo as the README does.
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
		"24 requests as they should be, 0 not\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
}

// TestWrongRow shows that a row which is not what it should be is told.
func TestWrongRow(t *testing.T) {
	d, err := start(t.Context(), "127.0.0.1:0")
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
	})
	if bad != 3 || strings.Count(out.String(), "^ should be") != 3 {
		t.Errorf("%d are bad, want 3\n%s", bad, &out)
	}
}

// watched ends a context when a text was written.
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

// TestInvitation shows that the demo serves on after the table, and that the
// lines it prints are commands with tokens in them.
func TestInvitation(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &watched{text: "/.well-known/oauth-authorization-server\n", end: cancel}
	var errOut bytes.Buffer
	if status := run(ctx, nil, out, &errOut); status != exitGood {
		t.Errorf("status %d\n%s%s", status, out.all.String(), &errOut)
	}
	lines := regexp.MustCompile(`(?m)^curl -i -H 'Authorization: Bearer [\w-]+\.[\w-]+\.[\w-]+' (-X POST )?http://127\.0\.0\.1:\d+/orders`)
	if n := len(lines.FindAllString(out.all.String(), -1)); n != 4 {
		t.Errorf("%d curl lines with a token, want 4\n%s", n, out.all.String())
	}
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"--help"}, exitGood, "--once"},
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
