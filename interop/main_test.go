package interop_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/interop/fositeserver"
)

// fositePort is the variable with which the test binary is the fosite server, on that
// port or on any if it is "0": a process that a test can kill.
const fositePort = "INTEROP_FOSITE_PORT"

func TestMain(m *testing.M) {
	if port, ok := os.LookupEnv(fositePort); ok {
		if err := serveFosite(port); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveFosite serves until the process ends, and prints a line when it is ready.
func serveFosite(port string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	base := "http://" + listener.Addr().String()
	handler, err := fositeserver.New(base)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{"issuer": base}); err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
