package grpcauth_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// vector is a case of http-public.json in the area grpc.
type vector struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Area    string `json:"area"`
	Request struct {
		GRPC     string      `json:"grpc"`
		Metadata [][2]string `json:"metadata"`
	} `json:"request"`
	Expect struct {
		Status []json.RawMessage `json:"status"` // of gRPC: a name
	} `json:"expect"`
}

// TestVectors runs the cases of http-public.json in the area grpc, and those of the
// third-party vectors if SALLYPORT_VECTORS names their folder.
func TestVectors(t *testing.T) {
	t.Parallel()
	files := []string{"../../testdata/http-public.json"}
	if dir := os.Getenv("SALLYPORT_VECTORS"); dir != "" {
		more, err := filepath.Glob(filepath.Join(dir, "http-*.json"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, more...)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ Cases []vector }
		if err := json.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		ran := 0
		for _, c := range file.Cases {
			if c.Area == "grpc" {
				ran++
				t.Run(filepath.Base(name)+" "+c.ID+" "+c.Name, func(t *testing.T) {
					t.Parallel()
					c.run(t)
				})
			}
		}
		if ran == 0 {
			t.Errorf("%s has no case of gRPC", name)
		}
		t.Logf("vectors: %s: %d of gRPC run", name, ran)
	}
}

// run calls the method over a socket. The service answers with what it knows of the
// caller.
func (c *vector) run(t *testing.T) {
	t.Helper()
	a := start(t, setup{leeway: strictly, service: &service{stream: func(method string, stream grpc.ServerStream) error {
		if method == methodWatch {
			<-stream.Context().Done()
			return nil
		}
		return stream.SendMsg(wrapperspb.String(middleware.TokenFrom(stream.Context()).Subject()))
	}}})
	short, _ := a.expiring(time.Second, nil)
	tokens := strings.NewReplacer( // the longer names first
		"Bearer $T_5S", short,
		"$T", strings.TrimPrefix(a.bearer("read"), "Bearer "),
		"$BAD", a.Sign(testissuer.Token{Scope: "read", Forgery: testissuer.ForeignKey}),
		"$EXP", a.Token(issuertest.Claims{"scope": "read", "exp": 1}),
	)
	var pairs []string
	for _, entry := range c.Request.Metadata {
		pairs = append(pairs, entry[0], tokens.Replace(entry[1]))
	}
	ctx := a.with(pairs...)
	var err error
	switch kind, _, _ := strings.Cut(c.Request.GRPC, " "); kind {
	case "unary":
		err = a.get(ctx).err
	case "server":
		err = a.stream(ctx, methodWatch).err
	case "client":
		err = a.stream(ctx, methodUp).err
	case "bidi":
		err = a.stream(ctx, methodChat).err
	default:
		t.Fatalf("unknown kind of call %q", c.Request.GRPC)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	var allowed []string
	for _, want := range c.Expect.Status {
		allowed = append(allowed, strings.ReplaceAll(strings.ToLower(strings.Trim(string(want), `"`)), "_", ""))
	}
	if got := strings.ToLower(status.Code(err).String()); !slices.Contains(allowed, got) {
		t.Errorf("%v, want one of %v", err, allowed)
	}
}
