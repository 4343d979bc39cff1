package adapters

import (
	"context"
	"net/http"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/middleware/gatewayauth"
)

// gatewayHandler is a grpc-gateway in front of conn. Its handlers do what the generated
// ones do.
func gatewayHandler(t *testing.T, conn *grpc.ClientConn, rows []row) http.Handler {
	t.Helper()
	gateway, err := gatewayauth.New(gatewayauth.Config{})
	if err != nil {
		t.Fatal(err)
	}
	mux := runtime.NewServeMux(append(gateway.ServeMuxOptions(), runtime.WithMarshalerOption(runtime.MIMEWildcard, text{new(runtime.JSONPb)}))...)
	for i := range rows {
		for path, streams := range map[string]bool{method(i): false, stream(i): true} {
			err := mux.HandlePath(http.MethodPost, path, func(w http.ResponseWriter, r *http.Request, _ map[string]string) {
				_, marshaler := runtime.MarshalerForRequest(mux, r)
				ctx, cancel := context.WithCancel(r.Context())
				defer cancel()
				ctx, err := runtime.AnnotateContext(ctx, mux, r, path)
				if err != nil {
					runtime.HTTPError(ctx, mux, marshaler, w, r, err)
					return
				}
				var md runtime.ServerMetadata
				if !streams {
					answer := new(wrapperspb.StringValue)
					err := conn.Invoke(ctx, path, new(emptypb.Empty), answer, grpc.Header(&md.HeaderMD), grpc.Trailer(&md.TrailerMD))
					ctx = runtime.NewServerMetadataContext(ctx, md)
					if err != nil {
						runtime.HTTPError(ctx, mux, marshaler, w, r, err)
						return
					}
					runtime.ForwardResponseMessage(ctx, mux, marshaler, w, r, answer)
					return
				}
				s, err := newStream(ctx, conn, i)
				if err == nil {
					md.HeaderMD, err = s.Header()
				}
				ctx = runtime.NewServerMetadataContext(ctx, md)
				if err != nil {
					runtime.HTTPError(ctx, mux, marshaler, w, r, err)
					return
				}
				runtime.ForwardResponseStream(ctx, mux, marshaler, w, r, func() (proto.Message, error) {
					answer := new(wrapperspb.StringValue)
					return answer, s.RecvMsg(answer)
				})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return mux
}

// text writes a StringValue as its text, and everything else as JSON.
type text struct{ runtime.Marshaler }

func (m text) Marshal(v any) ([]byte, error) {
	if chunk, ok := v.(map[string]any); ok {
		v = chunk["result"]
	}
	if value, ok := v.(*wrapperspb.StringValue); ok {
		return []byte(value.GetValue()), nil
	}
	return m.Marshaler.Marshal(v)
}

// Delimiter is empty, so that a stream of one message looks like a single one.
func (text) Delimiter() []byte { return nil }

// gatewayFronts are the unary and the streaming methods behind a grpc-gateway.
func gatewayFronts(t *testing.T, conn *grpc.ClientConn, rows []row) []front {
	t.Helper()
	url := serve(t, gatewayHandler(t, conn, rows))
	call := func(path func(int) string) func(*testing.T, int, [][2]string) seen {
		return func(t *testing.T, i int, fields [][2]string) seen {
			t.Helper()
			return request(t, http.MethodPost, url+path(i), fields)
		}
	}
	return []front{{"grpc-gateway, unary", "grpc", call(method)}, {"grpc-gateway, stream", "grpc", call(stream)}}
}
