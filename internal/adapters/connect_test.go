package adapters

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/connectauth"
)

// descriptor describes the service of rows, as generated code would.
func descriptor(t *testing.T, rows []row) protoreflect.ServiceDescriptor {
	t.Helper()
	desc := &descriptorpb.ServiceDescriptorProto{Name: new("Rows")}
	for i := range rows {
		for suffix, streams := range map[string]bool{"": false, "Stream": true} {
			desc.Method = append(desc.Method, &descriptorpb.MethodDescriptorProto{
				Name: new(fmt.Sprintf("Row%d%s", i, suffix)), InputType: new(".google.protobuf.Empty"), OutputType: new(".google.protobuf.StringValue"),
				ServerStreaming: new(streams),
			})
		}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: new("adapters/v1/rows.proto"), Package: new("adapters.v1"), Syntax: new("proto3"),
		Dependency: []string{"google/protobuf/empty.proto", "google/protobuf/wrappers.proto"}, Service: []*descriptorpb.ServiceDescriptorProto{desc},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return file.Services().Get(0)
}

// connectHandler serves the service of rows with Connect, behind the gate of package
// connectauth.
func connectHandler(t *testing.T, guard *middleware.Guard, rows []row) http.Handler {
	t.Helper()
	gate, err := connectauth.NewGate(connectauth.Config{
		Guard: guard, Procedures: policies(rows), Services: []protoreflect.ServiceDescriptor{descriptor(t, rows)},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux, options := http.NewServeMux(), connect.WithInterceptors(gate.Interceptor())
	for i := range rows {
		mux.Handle(method(i), connect.NewUnaryHandler(method(i), func(ctx context.Context, _ *connect.Request[emptypb.Empty]) (*connect.Response[wrapperspb.StringValue], error) {
			return connect.NewResponse(wrapperspb.String(subject(ctx))), nil
		}, options))
		mux.Handle(stream(i), connect.NewServerStreamHandler(stream(i), func(ctx context.Context, _ *connect.Request[emptypb.Empty], s *connect.ServerStream[wrapperspb.StringValue]) error {
			return s.Send(wrapperspb.String(subject(ctx)))
		}, options))
	}
	return gate.Handler(mux)
}

// connectFronts are the unary and the streaming methods in the three protocols.
func connectFronts(t *testing.T, guard *middleware.Guard, rows []row) []front {
	t.Helper()
	url := serve(t, connectHandler(t, guard, rows))
	var all []front
	for name, protocol := range map[string][]connect.ClientOption{
		"Connect": nil, "gRPC of Connect": {connect.WithGRPC()}, "gRPC-Web of Connect": {connect.WithGRPCWeb()},
	} {
		newClient := func(t *testing.T, procedure string) *connect.Client[emptypb.Empty, wrapperspb.StringValue] {
			t.Helper()
			return connect.NewClient[emptypb.Empty, wrapperspb.StringValue](client(t, 2), url+procedure, protocol...)
		}
		newRequest := func(fields [][2]string) *connect.Request[emptypb.Empty] {
			r := connect.NewRequest(new(emptypb.Empty))
			for _, field := range fields {
				r.Header().Add(field[0], field[1])
			}
			return r
		}
		all = append(all, front{name + ", unary", "connect", func(t *testing.T, i int, fields [][2]string) seen {
			t.Helper()
			response, err := newClient(t, method(i)).CallUnary(t.Context(), newRequest(fields))
			if err != nil {
				return connectSeen(t, err)
			}
			return seen{passed: true, subject: response.Msg.GetValue()}
		}}, front{name + ", stream", "connect", func(t *testing.T, i int, fields [][2]string) seen {
			t.Helper()
			s, err := newClient(t, stream(i)).CallServerStream(t.Context(), newRequest(fields))
			if err != nil {
				return connectSeen(t, err)
			}
			defer s.Close()
			answer := ""
			for s.Receive() {
				answer = s.Msg().GetValue()
			}
			if err := s.Err(); err != nil && !errors.Is(err, io.EOF) {
				return connectSeen(t, err)
			}
			return seen{passed: true, subject: answer}
		}})
	}
	return all
}

// connectSeen returns what a client of Connect sees.
func connectSeen(t *testing.T, err error) seen {
	t.Helper()
	failed, ok := errors.AsType[*connect.Error](err)
	if !ok {
		t.Fatalf("%v is no error of Connect", err)
	}
	s := seen{code: uint32(failed.Code()), challenges: failed.Meta().Values("WWW-Authenticate")}
	for _, detail := range failed.Details() {
		value, err := detail.Value()
		if err != nil {
			t.Fatal(err)
		}
		s.detail(t, value)
	}
	return s
}
