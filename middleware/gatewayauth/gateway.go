package gatewayauth

import (
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/middleware"
)

// Config is the configuration of a [Gateway]. The zero Config is ready for use.
type Config struct {
	// Realm is the realm of the challenge of an answer 401 that is no refusal of a
	// gate, such as an error of a handler with the code Unauthenticated: text for
	// people, in printable ASCII. Empty means "api". Refusals of a gate have the
	// realm of its Guard.
	Realm string
	// NoBody makes refusals have no body, as that of middleware.Config does.
	NoBody bool
	// DenialBody writes the body of refusals, as that of middleware.Config does. The
	// Denial has no Reason. nil: the body of RFC 9457.
	DenialBody func(http.ResponseWriter, *http.Request, *middleware.Denial)
	// ErrorHandler answers all errors but refusals of a gate. nil:
	// runtime.DefaultHTTPErrorHandler.
	ErrorHandler runtime.ErrorHandlerFunc
	// StreamErrorHandler makes the status of all errors of streams but refusals of a
	// gate. nil: runtime.DefaultStreamErrorHandler.
	StreamErrorHandler runtime.StreamErrorHandlerFunc
	// MatchHeader says which fields of a request are forwarded to the server, and
	// under which keys. The keys of credentials are never taken from it. nil:
	// runtime.DefaultHeaderMatcher.
	MatchHeader runtime.HeaderMatcherFunc
}

// Gateway has the parts of a grpc-gateway that deal with credentials and refusals.
// [New] makes one. It is safe for concurrent use. A nil Gateway and the zero Gateway
// have the default configuration.
type Gateway struct {
	config    Config
	challenge string // of an answer 401 that has none
}

const defaultRealm = "api"

// standard is what a nil Gateway and the zero Gateway stand for.
var standard = &Gateway{challenge: challengeOf(defaultRealm)}

// made returns g, or standard if New did not make g.
func (g *Gateway) made() *Gateway {
	if g == nil || g.challenge == "" {
		return standard
	}
	return g
}

// New makes a Gateway, or reports every fault of config at once. It does no I/O and
// starts no goroutine.
func New(config Config) (*Gateway, error) {
	faults := fault.In("gatewayauth")
	if config.Realm == "" {
		config.Realm = defaultRealm
	}
	g := &Gateway{config: config, challenge: challengeOf(config.Realm)}
	if g.challenge == "" {
		faults.At("Realm").Addf("use printable ASCII", "%q has other characters than printable ASCII", config.Realm)
	}
	if config.NoBody && config.DenialBody != nil {
		faults.At("DenialBody").Add("is set, and so is NoBody", "leave one out")
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return g, nil
}

// challengeOf returns a challenge of this realm, or "" if the realm cannot be written.
func challengeOf(realm string) string {
	d, ok := middleware.ParseErrorInfo("NO_CREDENTIALS", map[string]string{"realm": realm}, 0)
	if !ok {
		return ""
	}
	return d.Challenges[0]
}

// ServeMuxOptions returns all that a gateway needs, for runtime.NewServeMux:
// [Gateway.HandleError], [Gateway.HandleStreamError], [Gateway.Middleware],
// [Gateway.Annotate] and [Gateway.MatchHeader]. Options of the same kind that follow
// replace the handlers and the matcher, so give your own in [Config].
func (g *Gateway) ServeMuxOptions() []runtime.ServeMuxOption {
	return []runtime.ServeMuxOption{
		runtime.WithErrorHandler(g.HandleError),
		runtime.WithStreamErrorHandler(g.HandleStreamError),
		runtime.WithMiddlewares(g.Middleware),
		runtime.WithMetadata(g.Annotate),
		runtime.WithIncomingHeaderMatcher(g.MatchHeader),
	}
}
