package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// The methods of the demo's gRPC service.
const (
	getOrder    = "/demo.v1.Orders/Get"
	createOrder = "/demo.v1.Orders/Create"
	watchOrders = "/demo.v1.Orders/Watch"
	healthCheck = healthgrpc.Health_Check_FullMethodName
)

// newServer returns the gRPC server, which has the guard of the HTTP API.
func newServer(guard *middleware.Guard) (*grpc.Server, error) {
	gate, err := grpcauth.New(guard, grpcauth.Methods{
		getOrder:    scopes.All(readScope),
		createOrder: scopes.All("orders:write"),
		watchOrders: scopes.All(readScope),
	}, grpcauth.Health(scopes.Public()))
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer(gate.ServerOptions()...)
	server.RegisterService(&ordersService, nil)
	healthgrpc.RegisterHealthServer(server, health.NewServer())
	return server, gate.Covers(server)
}

// ordersService is what protoc would generate, for a service whose messages are texts.
var ordersService = grpc.ServiceDesc{
	ServiceName: "demo.v1.Orders",
	Methods: []grpc.MethodDesc{
		{MethodName: "Get", Handler: answerCall},
		{MethodName: "Create", Handler: answerCall},
	},
	Streams: []grpc.StreamDesc{{StreamName: "Watch", Handler: watch, ServerStreams: true}},
}

// answerCall handles the unary methods.
func answerCall(_ any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // the signature is gRPC's
	request := &emptypb.Empty{}
	if err := decode(request); err != nil {
		return nil, err
	}
	method, _ := grpc.Method(ctx)
	return intercept(ctx, request, &grpc.UnaryServerInfo{FullMethod: method}, func(ctx context.Context, _ any) (any, error) {
		return wrapperspb.String("order for " + middleware.TokenFrom(ctx).Subject()), nil
	})
}

// orderInterval is the time between two messages of a stream.
const orderInterval = 500 * time.Millisecond

// watch sends an order now and then. The gate ends it.
func watch(_ any, stream grpc.ServerStream) error {
	ctx := stream.Context()
	for i := 1; ; i++ {
		if err := stream.SendMsg(wrapperspb.String(fmt.Sprint("order ", i))); err != nil {
			return err
		}
		pause(ctx, orderInterval)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// listen serves gRPC on a free port of the loopback address, until close.
func (d *demo) listen(ctx context.Context, server *grpc.Server) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.calls = server
	d.ended.Go(func() { _ = server.Serve(listener) })
	d.connection, err = grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	return err
}

// callRows returns the rows with gRPC. Two streams end in front of the viewer.
func (d *demo) callRows() []row {
	read := testissuer.Token{Scope: readScope}
	brief := read
	brief.Lifetime = 2 * time.Second
	opaque := d.issuer.Opaque(testissuer.Token{Scope: readScope, Prefix: opaquePrefix})
	return []row{
		d.call("good token", getOrder, codes.OK, "", read),
		d.call("no token", getOrder, codes.Unauthenticated, validator.NoCredentials),
		d.call("health, no token", healthCheck, codes.OK, ""),
		d.call("expired", getOrder, codes.Unauthenticated, validator.Expired, testissuer.Token{Scope: readScope, Lifetime: -time.Hour}),
		d.call("read scope on a write", createOrder, codes.PermissionDenied, validator.InsufficientScope, read),
		d.call("method that is not listed", "/demo.v1.Orders/Purge", codes.Unimplemented, validator.Forbidden, read),
		d.call("the same, no token", "/demo.v1.Orders/Purge", codes.Unauthenticated, validator.NoCredentials),
		{"stream, its token expires", func(ctx context.Context) answer {
			return d.watched(ctx, d.issuer.Sign(brief), func() {})
		}, int(codes.Unauthenticated), validator.Expired},
		{"stream, its token is revoked", func(ctx context.Context) answer {
			return d.watched(ctx, opaque, func() { d.issuer.Revoke(opaque) })
		}, int(codes.Unauthenticated), validator.Inactive},
	}
}

// call returns a row with a unary call, with the tokens.
func (d *demo) call(name, method string, code codes.Code, reason validator.Reason, tokens ...testissuer.Token) row {
	return row{name, func(ctx context.Context) answer {
		var fields []string
		for _, token := range tokens {
			fields = append(fields, d.bearer(token))
		}
		ctx, id := d.callContext(ctx, fields...)
		var trailer metadata.MD
		begun := time.Now()
		err := d.connection.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{}, grpc.Trailer(&trailer))
		return d.answerOf(ctx, id, err, trailer, time.Since(begun))
	}, int(code), reason}
}

// callContext returns the context of a call, with its ID and its authorization fields.
func (d *demo) callContext(ctx context.Context, fields ...string) (context.Context, string) {
	id := d.nextID()
	md := metadata.MD{strings.ToLower(idField): {id}, "authorization": fields}
	return metadata.NewOutgoingContext(ctx, md), id
}

// watched opens a stream and prints its messages until it ends. It calls then after the
// first message.
func (d *demo) watched(ctx context.Context, token string, then func()) answer {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	ctx, id := d.callContext(ctx, "Bearer "+token)
	begun := time.Now()
	stream, err := d.connection.NewStream(ctx, &ordersService.Streams[0], watchOrders)
	if err != nil {
		return answer{err: err}
	}
	if err := errors.Join(stream.SendMsg(&emptypb.Empty{}), stream.CloseSend()); err != nil {
		return answer{err: err}
	}
	message := &wrapperspb.StringValue{}
	for n := 0; ; n++ {
		if err := stream.RecvMsg(message); err != nil {
			return d.answerOf(ctx, id, err, stream.Trailer(), time.Since(begun))
		}
		fmt.Fprintf(d.out, "  %s\n", message.GetValue())
		if n == 0 {
			then()
		}
	}
}

// answerOf returns the answer to a call that ended with err. The guard tells the reason of
// the end of a stream at about the time at which the client learns of it.
func (d *demo) answerOf(ctx context.Context, id string, err error, trailer metadata.MD, took time.Duration) answer {
	got := answer{status: int(status.Code(err)), challenge: strings.Join(trailer.Get("www-authenticate"), ", "), took: took}
	for range 100 {
		if got.reason = d.reasonOf(id); got.reason != "" || err == nil {
			break
		}
		pause(ctx, 10*time.Millisecond)
	}
	return got
}
