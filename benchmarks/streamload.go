package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
)

// streamMethod is the method of the measured streams. It sends one message, and waits for
// one.
const streamMethod = "/" + callService + "/Watch"

// streamConnections is how many connections the streams share.
const streamConnections = 10

// openers is how many streams are opened at once.
const openers = 16

// streamServer is a gRPC server on a loopback address with many open streams, and one
// further connection for unary calls.
type streamServer struct {
	server  *grpc.Server
	clients []*grpc.ClientConn // the last one is for unary calls
	serving sync.WaitGroup

	cancel  context.CancelFunc
	reading sync.WaitGroup
	ended   atomic.Int64
	ends    []streamEnd // of each stream; valid when reading is done
}

// streamEnd is how a client saw the end of its stream.
type streamEnd struct {
	at   time.Time
	code codes.Code
}

// newStreamServer starts a server. gate may be nil. The caller must close it.
func newStreamServer(gate *grpcauth.Gate) (*streamServer, error) {
	var options []grpc.ServerOption
	if gate != nil {
		options = gate.ServerOptions()
	}
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("benchmarks: a gRPC server on loopback: %w", err)
	}
	s := &streamServer{server: grpc.NewServer(options...), cancel: func() {}}
	description := callDescription()
	description.Streams = []grpc.StreamDesc{{StreamName: "Watch", Handler: serveStream, ServerStreams: true, ClientStreams: true}}
	s.server.RegisterService(description, nil)
	s.serving.Go(func() { _ = s.server.Serve(listener) }) // ends when the server is stopped
	for range streamConnections + 1 {
		client, err := grpc.NewClient("passthrough:///"+listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			s.close()
			return nil, fmt.Errorf("benchmarks: %w", err)
		}
		s.clients = append(s.clients, client)
	}
	return s, nil
}

func serveStream(_ any, stream grpc.ServerStream) error {
	if err := stream.SendMsg(wrapperspb.String("open")); err != nil {
		return err
	}
	return stream.RecvMsg(new(message))
}

func (s *streamServer) close() {
	s.cancel()
	s.reading.Wait()
	for _, client := range s.clients {
		_ = client.Close()
	}
	s.server.Stop()
	s.serving.Wait()
}

// open opens a stream for each token, and returns when each has had its first message.
func (s *streamServer) open(tokens []string) error {
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	s.ends = make([]streamEnd, len(tokens))
	next := atomic.Int64{}
	return together(openers, func(int) error {
		for i := int(next.Add(1)) - 1; i < len(tokens); i = int(next.Add(1)) - 1 {
			if err := s.openOne(ctx, i, tokens[i]); err != nil {
				return fmt.Errorf("benchmarks: stream %d: %w", i, err)
			}
		}
		return nil
	})
}

func (s *streamServer) openOne(ctx context.Context, i int, token string) error {
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	description := &grpc.StreamDesc{StreamName: "Watch", ServerStreams: true, ClientStreams: true}
	stream, err := s.clients[i%streamConnections].NewStream(ctx, description, streamMethod)
	if err != nil {
		return err
	}
	if err := stream.RecvMsg(new(message)); err != nil {
		return err
	}
	s.reading.Go(func() {
		err := stream.RecvMsg(new(message))
		s.ends[i] = streamEnd{time.Now(), status.Code(err)}
		s.ended.Add(1)
	})
	return nil
}

// probe is one unary call: when it began, and how long it took.
type probe struct {
	at   time.Time
	took time.Duration
}

// probeInterval is the pause between two probes.
const probeInterval = 2 * time.Millisecond

var errProbe = errors.New("benchmarks: a unary call beside the streams")

// call makes unary calls, one on each connection.
func (s *streamServer) call(token string, calls int) error {
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+token)
	for i := range calls {
		if err := s.clients[i%len(s.clients)].Invoke(ctx, callMethod, wrapperspb.String("orders/17"), new(message)); err != nil {
			return fmt.Errorf("%w: %w", errProbe, err)
		}
	}
	return nil
}

// probe makes unary calls on a connection of its own until ctx ends. If refused is true,
// they may be refused: their key is forbidden.
func (s *streamServer) probe(ctx context.Context, token string, refused bool) ([]probe, error) {
	outgoing := metadata.AppendToOutgoingContext(context.WithoutCancel(ctx), "authorization", "Bearer "+token)
	client := s.clients[streamConnections]
	var all []probe
	for ctx.Err() == nil {
		start := time.Now()
		err := client.Invoke(outgoing, callMethod, wrapperspb.String("orders/17"), new(message))
		if err != nil && (!refused || status.Code(err) != codes.Unauthenticated) {
			return nil, fmt.Errorf("%w: %w", errProbe, err)
		}
		all = append(all, probe{start, time.Since(start)})
		time.Sleep(probeInterval)
	}
	return all, nil
}
