// Command fosite is an authorization server on a loopback address, for trying an API
// with real tokens: see package fositeserver. ADDR is its address, by default
// localhost:9096.
package main

import (
	"errors"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/sallyport-auth/sallyport/interop/fositeserver"
)

func main() {
	address := os.Getenv("ADDR")
	if address == "" {
		address = "localhost:9096"
	}
	handler, err := fositeserver.New("http://" + address)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("issuers %q and %q", "http://"+address+"/opaque", "http://"+address+"/jwt") //nolint:gosec // quoted
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}
