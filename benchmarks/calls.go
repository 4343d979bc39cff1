package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// callMethod is the unary method of the measured service.
const (
	callService = "orders.v1.Orders"
	callMethod  = "/" + callService + "/Get"
)

// message is what calls send and get.
type message = wrapperspb.StringValue

// CallMethod is the unary method of the measured service, whose messages are strings of
// package wrapperspb. It answers with what it got.
const CallMethod = callMethod

// RegisterCall registers the measured service.
func RegisterCall(server *grpc.Server) { server.RegisterService(callDescription(), nil) }

// callDescription is what generated code has for the measured service.
func callDescription() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: callService,
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Get", Handler: serveCall}},
	}
}

// serveCall is the handler that generated code has for a unary method. The method answers
// with what it got.
func serveCall(server any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // the signature is that of grpc
	in := new(message)
	if err := decode(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return in, nil
	}
	return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: server, FullMethod: callMethod}, answerCall)
}

func answerCall(_ context.Context, in any) (any, error) { return in, nil }

// callServer is a gRPC server on a loopback address with one client, which has one
// connection.
type callServer struct {
	server *grpc.Server
	client *grpc.ClientConn
	done   chan struct{}
}

// newCallServer starts a server. interceptor may be nil. The caller must close it.
func newCallServer(interceptor grpc.UnaryServerInterceptor) (*callServer, error) {
	var options []grpc.ServerOption
	if interceptor != nil {
		options = append(options, grpc.ChainUnaryInterceptor(interceptor))
	}
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("benchmarks: a gRPC server on loopback: %w", err)
	}
	s := &callServer{server: grpc.NewServer(options...), done: make(chan struct{})}
	s.server.RegisterService(callDescription(), nil)
	go func() {
		defer close(s.done)
		_ = s.server.Serve(listener) // ends when the server is stopped
	}()
	s.client, err = grpc.NewClient("passthrough:///"+listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		s.close()
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	return s, nil
}

func (s *callServer) close() {
	if s.client != nil {
		_ = s.client.Close()
	}
	s.server.Stop()
	<-s.done
}

// contextsFor returns a context for each token.
func contextsFor(m *Material, of func(token string) context.Context) []context.Context {
	all := make([]context.Context, len(m.Tokens))
	for i, token := range m.Tokens {
		all[i] = of(token) //nolint:fatcontext // they are not nested
	}
	return all
}

// calls returns a Run that calls the server with each token of m.
func (s *callServer) calls(m *Material) Run {
	contexts := contextsFor(m, func(token string) context.Context {
		return metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+token)
	})
	return func(i int) error {
		in, out := wrapperspb.String("orders/17"), new(message)
		if err := s.client.Invoke(contexts[i%len(contexts)], callMethod, in, out); err != nil {
			return err
		}
		if out.GetValue() != in.GetValue() {
			return errors.New("benchmarks: a wrong answer")
		}
		return nil
	}
}

// transportStream is the part of a server's stream that interceptors of unary calls can
// reach.
type transportStream struct{ grpc.ServerTransportStream }

func (transportStream) Method() string               { return callMethod }
func (transportStream) SetHeader(metadata.MD) error  { return nil }
func (transportStream) SendHeader(metadata.MD) error { return nil }
func (transportStream) SetTrailer(metadata.MD) error { return nil }

// direct returns a Run that calls an interceptor without a connection, with contexts as
// those of a server: they have the peer, the metadata that grpc-go's client sends, and
// the stream.
func direct(interceptor grpc.UnaryServerInterceptor, m *Material) Run {
	from := &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40404}, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443}}
	contexts := contextsFor(m, func(token string) context.Context {
		ctx := peer.NewContext(context.Background(), from)
		ctx = metadata.NewIncomingContext(ctx, metadata.MD{
			":authority": {"127.0.0.1:443"}, "content-type": {"application/grpc"}, "user-agent": {"grpc-go/1.85.0"},
			"authorization": {"Bearer " + token},
		})
		return grpc.NewContextWithServerTransportStream(ctx, transportStream{})
	})
	info := &grpc.UnaryServerInfo{FullMethod: callMethod}
	in := wrapperspb.String("orders/17")
	return func(i int) error {
		out, err := interceptor(contexts[i%len(contexts)], in, info, answerCall)
		if err == nil && out != in {
			err = errors.New("benchmarks: the handler did not run")
		}
		return err
	}
}
