package redact_test

import (
	"log"
	"log/slog"
	"net/http"
	"os"

	"github.com/sallyport-auth/sallyport/redact"
)

// The handler of a program is wrapped once.
func Example() {
	before := slog.Default()
	handler, err := redact.New(redact.Config{Handler: slog.NewJSONHandler(os.Stdout, nil)})
	if err != nil {
		log.Fatal(err)
	}
	slog.SetDefault(slog.New(handler))

	slog.SetDefault(before)
	plain, err := redact.New(redact.Config{Handler: slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr { // an example has no time
			if attr.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return attr
		},
	})})
	if err != nil {
		log.Fatal(err)
	}
	slog.New(plain).Info("got Bearer 2YotnFZFEjr1zCsicMWpAA", "header", http.Header{"Authorization": {"Bearer 2YotnFZFEjr1zCsicMWpAA"}, "Accept": {"*/*"}})
	// Output: level=INFO msg="got Bearer [redacted]" header="map[Accept:[*/*] Authorization:[[redacted]]]"
}
