package connectauth

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
)

// Procedures maps procedures to their policies. A key is the path of the procedure,
// such as "/orders.v1.OrderService/GetOrder"; generated code has a constant for each
// one. It is compared byte for byte. What protopolicy.Methods returns is one, too.
type Procedures map[string]scopes.Policy

// Config is the configuration of a [Gate]. NewGate copies it.
type Config struct {
	// Guard checks the requests. Required.
	Guard *middleware.Guard
	// Procedures has the policy of each procedure. Requests for any other are refused.
	// Required.
	Procedures Procedures
	// Services describes services whose generated Go code is not part of the program,
	// for [Gate.Covers]. nil: all services are found in protoregistry.GlobalFiles.
	Services []protoreflect.ServiceDescriptor
	// InsecureKeepCredentials keeps Authorization and DPoP in the header that handlers
	// get. A handler that copies its header to a call of another service then sends that
	// service the caller's token, which the service can use against this API. false: the
	// fields are removed.
	InsecureKeepCredentials bool
	// RemoveFields are names of further fields that are removed from the header that
	// handlers get, because they hold credentials.
	RemoveFields []string
	// Renew returns the new token of a message by which the client of a stream renews it, in
	// the form of the field Authorization ("Bearer …"), and ok. The handler does not get
	// such a message. If the token is refused ([middleware.Held.Renew]), the stream goes on
	// with the old one until that ends. message is the one that the handler receives into,
	// and must not be kept. A panic means that ok is false. nil: handlers that renew call
	// [middleware.Held.Renew] themselves.
	Renew func(procedure string, message any) (authorization string, ok bool)
}

// New is [NewGate] for the procedures of all tables ([Join]), with everything else at its
// default.
func New(guard *middleware.Guard, tables ...Procedures) (*Gate, error) {
	procedures, err := Join(tables...)
	if err != nil {
		return nil, err
	}
	return NewGate(Config{Guard: guard, Procedures: procedures})
}

// Join returns the procedures of all tables. It is an error if a procedure is in several of
// them, because one policy would replace the other.
func Join(tables ...Procedures) (Procedures, error) {
	all := make(Procedures)
	faults := fault.In("connectauth")
	for _, table := range tables {
		for _, procedure := range slices.Sorted(maps.Keys(table)) {
			if _, listed := all[procedure]; listed {
				faults.Atf("Procedures[%q]", procedure).Add("is in several tables", "leave it out of all but one")
			}
			all[procedure] = table[procedure]
		}
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return all, nil
}

// NewGate checks config and makes a Gate, or reports every fault of it at once. It does
// no I/O and starts no goroutine. It does not check that the procedures exist;
// [Gate.Covers] does.
func NewGate(config Config) (*Gate, error) {
	faults := fault.In("connectauth")
	g := &Gate{
		routes: make(map[string]*middleware.Route, len(config.Procedures)), services: make(map[string]protoreflect.ServiceDescriptor),
		removed: removedFields(&config, faults), writer: connect.NewErrorWriter(), renewToken: config.Renew,
	}
	if config.Guard == nil {
		faults.At("Guard").Add("is nil", "make one with middleware.New or middleware.For")
		return nil, faults.Err()
	}
	if len(config.Procedures) == 0 {
		faults.At("Procedures").Add("is empty; every request would be refused", "give each procedure a policy")
	}
	guard := config.Guard.Over(transport)
	for _, procedure := range slices.Sorted(maps.Keys(config.Procedures)) {
		at := faults.Atf("Procedures[%q]", procedure)
		if !isProcedure(procedure) {
			at.Add("is not a procedure, of the form /service/method", "use the constant of the generated code, such as /orders.v1.OrderService/GetOrder")
			continue
		}
		if values := config.Procedures[procedure].Values(); len(values) > 0 {
			at.Add(fmt.Sprintf("has a policy that compares with the value of {%s} in a path, and procedures have no such values", values[0]),
				"compare in the handler, with the token of middleware.TokenFrom")
			continue
		}
		route, err := guard.Route(procedure, config.Procedures[procedure])
		faults.At("Procedures").Merge(err)
		g.routes[procedure] = route
	}
	for i, service := range config.Services {
		if service == nil {
			faults.Atf("Services[%d]", i).Add("is nil", "leave it out")
			continue
		}
		g.services[string(service.FullName())] = service
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	g.unlisted, g.otherMethod = guard.Unlisted(), guard.Unlisted(http.MethodGet, http.MethodPost)
	return g, nil
}

// isProcedure reports whether text is a path of the form /service/method.
func isProcedure(text string) bool {
	service, method, ok := strings.Cut(strings.TrimPrefix(text, "/"), "/")
	return ok && text[0] == '/' && isName(service, true) && isName(method, false)
}

// isName reports whether name has the form of a name in protobuf; dots say whether it may
// have several parts.
func isName(name string, dots bool) bool {
	for part := range strings.SplitSeq(name, ".") {
		if !protoreflect.Name(part).IsValid() || part != name && !dots {
			return false
		}
	}
	return true
}
