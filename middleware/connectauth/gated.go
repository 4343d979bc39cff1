package connectauth

import (
	"net/http"

	"connectrpc.com/connect"
)

// Gated returns newHandler with both halves of gate: the handlers that it makes have the
// Interceptor of gate, before those of their options, and stand behind its Handler.
// [Gate.Covers] knows their paths.
//
//	mux.Handle(connectauth.Gated(gate, ordersv1connect.NewOrderServiceHandler)(orders))
//
// newHandler is the constructor that was generated for a service, or one of the same
// form, such as grpchealth.NewHandler.
func Gated[S any](gate *Gate, newHandler func(S, ...connect.HandlerOption) (string, http.Handler)) func(S, ...connect.HandlerOption) (string, http.Handler) {
	return func(service S, options ...connect.HandlerOption) (string, http.Handler) {
		all := append([]connect.HandlerOption{connect.WithInterceptors(gate.Interceptor())}, options...)
		path, handler := newHandler(service, all...)
		gate.mu.Lock()
		defer gate.mu.Unlock()
		gate.mounted = append(gate.mounted, path)
		return path, gate.Handler(handler)
	}
}
