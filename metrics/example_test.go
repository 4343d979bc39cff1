package metrics_test

import (
	"fmt"
	"log"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sallyport-auth/sallyport/metrics"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

func ExampleNew() {
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{{
		URL:       "https://login.example.com",
		Audiences: []string{"https://api.example.com"},
	}}})
	if err != nil {
		log.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	trace, err := metrics.New(registry)
	if err != nil {
		log.Fatal(err)
	}
	guard, err := middleware.New(middleware.Config{Validator: v, Trace: trace})
	if err != nil {
		log.Fatal(err)
	}
	mux := guard.NewMux()
	mux.HandleFunc("GET /orders/{id}", scopes.All("orders:read"), showOrder)

	internal := http.NewServeMux() // on a port that only the Prometheus server reaches
	internal.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))

	fmt.Println(guard.Warnings())
	// Output: []
}

func showOrder(http.ResponseWriter, *http.Request) {}
