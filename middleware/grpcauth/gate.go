package grpcauth

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/secretnames"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
)

// transport is the Transport of the Decisions.
const transport = "grpc"

// defaultMaxHeaderListSize leaves room for a token of 16 KiB, which is the limit of
// package validator by default, for some that are too large, so that their callers get a
// status, and for other metadata.
const defaultMaxHeaderListSize = 64 << 10

// Config is the configuration of a [Gate]. NewGate copies it.
type Config struct {
	// Guard checks the calls. Required.
	Guard *middleware.Guard
	// Methods has the policy of each method. Calls of any other are refused. Required.
	Methods Methods
	// MaxHeaderListSize is the largest header list of a call in bytes, as HTTP/2 counts
	// them (RFC 9113 §6.5.2): its metadata with 32 bytes for each value. A call with more
	// gets no status, because its stream is reset. 0: 64 KiB. gRPC's own default is 16 MiB,
	// for callers that have no token.
	MaxHeaderListSize uint32
	// InsecureKeepCredentials keeps the credentials in the metadata that handlers get. A
	// handler that copies its metadata to a call of another service then sends that service
	// the caller's token, which the service can use against this API. false: the keys
	// authorization, proxy-authorization and dpop are removed, and the same with the
	// prefixes grpcgateway- and grpc-metadata- and with the end -bin.
	InsecureKeepCredentials bool
	// RemoveKeys are further keys of metadata that handlers do not get, because they hold
	// credentials. Their case does not count.
	RemoveKeys []string
	// Value returns the value that a policy compares with, such as the one of
	// [scopes.TenantFrom]: by name, from the message of a unary call. message is nil for
	// streams, whose messages come after the check. nil: such policies are faults.
	Value func(fullMethod string, message any, name string) string
	// Renew returns the new token of a message by which the client of a stream renews it, in
	// the form of the key authorization ("Bearer …"), and ok. The handler does not get such
	// a message. If the token is refused ([middleware.Held.Renew]), the stream goes on with
	// the old one until that ends. message is the one that the handler passed to RecvMsg,
	// and must not be kept. A panic means that ok is false. nil: handlers that renew call
	// [middleware.Held.Renew] themselves.
	Renew func(fullMethod string, message any) (authorization string, ok bool)
	// Unknown handles calls of methods that no service has registered, as a proxy does. It
	// is called for methods of Methods only. nil: they are refused. Set it here and not by
	// [grpc.UnknownServiceHandler], which replaces the one of ServerOptions.
	Unknown grpc.StreamHandler
}

// Gate decides on the calls of a gRPC server. [New] and [NewGate] make one. It is safe for
// concurrent use. The zero Gate refuses every call.
type Gate struct {
	guard     *middleware.Guard
	methods   map[string]*method
	unlisted  *method
	maxHeader uint32
	removed   []string // keys of metadata that handlers do not get; nil: they get all
	value     func(fullMethod string, message any, name string) string
	unknown   grpc.StreamHandler
	// renewToken is Config.Renew.
	renewToken func(fullMethod string, message any) (authorization string, ok bool)
	key        any // under which grpc keeps metadata in a context; nil: not known

	unary  atomic.Bool // Unary was called
	stream atomic.Bool // Stream was called
}

// method is a row of the table.
type method struct {
	route     *middleware.Route
	public    bool // credentials are not looked at
	operation bool // the policy needs values
}

// New is [NewGate] for the methods of all tables ([Join]), with everything else at its
// default.
func New(guard *middleware.Guard, tables ...Methods) (*Gate, error) {
	methods, err := Join(tables...)
	if err != nil {
		return nil, err
	}
	return NewGate(Config{Guard: guard, Methods: methods})
}

// NewGate checks config and makes a Gate, or reports every fault of it at once. It does no
// I/O and starts no goroutine. It does not know which methods the server has; see
// [Gate.Covers].
func NewGate(config Config) (*Gate, error) {
	faults := fault.In("grpcauth")
	g := &Gate{
		methods: make(map[string]*method, len(config.Methods)), maxHeader: config.MaxHeaderListSize,
		removed: removedKeys(&config, faults), value: config.Value, unknown: config.Unknown, renewToken: config.Renew, key: metadataKey(),
	}
	if g.maxHeader == 0 {
		g.maxHeader = defaultMaxHeaderListSize
	}
	if config.Guard == nil {
		faults.At("Guard").Add("is nil", "make one with middleware.New or middleware.For")
		return nil, faults.Err()
	}
	if len(config.Methods) == 0 {
		faults.At("Methods").Add("is empty; every call would be refused", "give each method a policy")
	}
	guard := config.Guard.Over(transport)
	for _, name := range slices.Sorted(maps.Keys(config.Methods)) {
		policy, at := config.Methods[name], faults.Atf("Methods[%q]", name)
		if !isFullMethod(name) {
			at.Add("is not a full method, of the form /service/method", "use the constant of the generated code, such as /orders.v1.Orders/Get")
			continue
		}
		if values := policy.Values(); len(values) > 0 && config.Value == nil {
			at.Addf("set Config.Value", "has a policy that compares with the value of {%s}, which nothing returns", values[0])
		}
		route, err := guard.Route(name, policy)
		faults.At("Methods").Merge(err)
		g.methods[name] = newMethod(route)
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	g.guard, g.unlisted = guard, newMethod(guard.Unlisted())
	return g, nil
}

func newMethod(route *middleware.Route) *method {
	policy := route.Policy()
	return &method{route: route, public: policy.IsPublic(), operation: policy.NeedsOperation()}
}

// removedKeys returns the keys that handlers do not get, and adds the faults of
// RemoveKeys.
func removedKeys(config *Config, faults fault.List) []string {
	if config.InsecureKeepCredentials && len(config.RemoveKeys) > 0 {
		faults.At("RemoveKeys").Add("is set, and so is InsecureKeepCredentials", "leave one out")
	}
	if config.InsecureKeepCredentials {
		return nil
	}
	removed := secretnames.Presented()
	for i, key := range config.RemoveKeys {
		if !isName(key) {
			faults.Atf("RemoveKeys[%d]", i).Addf("give the key of metadata", "%.64q is no key", key)
		}
		removed = append(removed, strings.ToLower(key))
	}
	return removed
}

// ServerOptions returns what makes a server ask the gate: the interceptors for unary
// calls and for streams, the answer to methods that nobody registered, and
// MaxHeaderListSize. Put them before other options with chained interceptors, which then
// see permitted calls only.
//
// What still runs before the gate: an interceptor of [grpc.UnaryInterceptor] or
// [grpc.StreamInterceptor], stats handlers, a tap handle, and the decoding of the message
// of a unary call.
func (g *Gate) ServerOptions() []grpc.ServerOption {
	options := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(g.Unary()),
		grpc.ChainStreamInterceptor(g.Stream()),
		grpc.UnknownServiceHandler(g.serveUnknown),
	}
	if g != nil && g.maxHeader != 0 {
		options = append(options, grpc.MaxHeaderListSize(g.maxHeader))
	}
	return options
}

// Unary returns the interceptor for unary calls, for servers that cannot use
// ServerOptions. Such a server needs Stream too, or nothing checks its streams, and
// [grpc.UnknownServiceHandler].
func (g *Gate) Unary() grpc.UnaryServerInterceptor {
	if g != nil {
		g.unary.Store(true)
	}
	return g.interceptUnary
}

// Stream returns the interceptor for streams. See Unary.
func (g *Gate) Stream() grpc.StreamServerInterceptor {
	if g != nil {
		g.stream.Store(true)
	}
	return g.interceptStream
}

// find returns the row of a full method, which is compared byte for byte.
func (g *Gate) find(fullMethod string) *method {
	if g == nil {
		return &method{}
	}
	if m := g.methods[fullMethod]; m != nil {
		return m
	}
	if g.unlisted == nil {
		return &method{} // its nil Route refuses
	}
	return g.unlisted
}

// interceptUnary calls handler if the policy of the method permits the call.
func (g *Gate) interceptUnary(ctx context.Context, message any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	var c checked
	g.check(ctx, info.FullMethod, message, &c)
	if c.denial != nil {
		return nil, refuse(ctx, c.denial, transportStream{ // an error means that the call is over
			setHeader:  func(md metadata.MD) { _ = grpc.SetHeader(ctx, md) },
			setTrailer: func(md metadata.MD) { _ = grpc.SetTrailer(ctx, md) },
		})
	}
	return handler(g.withMetadata(c.verdict.Context(ctx)), message)
}

// operation returns what the call asks for.
func (g *Gate) operation(m *method, fullMethod string, message any) scopes.Operation {
	operation := scopes.Operation{Name: fullMethod}
	if m.operation && g.value != nil {
		operation.Value = func(name string) string { return g.value(fullMethod, message, name) }
	}
	return operation
}
