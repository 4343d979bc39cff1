package archtest

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// GoVersion is what every go.mod and go.work says: the oldest Go that users
// need.
const GoVersion = "1.26.0"

// DeniedModules must not be required by the root module, directly or not,
// since every user of the library would inherit them. A key covers all module
// paths that start with it.
var DeniedModules = map[string]string{
	"connectrpc.com/":                 "import middleware/connectauth for Connect",
	"github.com/alecthomas/kong":      "flags belong to cmd/sallyport",
	"github.com/coreos/go-oidc":       "peers belong to internal/differential and benchmarks",
	"github.com/envoyproxy/":          "ext_authz belongs to cmd/sallyport",
	"github.com/getkin/kin-openapi":   "OpenAPI belongs to policyfile",
	"github.com/go-jose/":             "peers belong to internal/differential and benchmarks",
	"github.com/goccy/go-yaml":        "YAML belongs to policyfile and cmd/sallyport",
	"github.com/golang-jwt/":          "peers belong to internal/differential and benchmarks",
	"github.com/lestrrat-go/jwx/v2":   "deprecated by its authors, without security fixes",
	"github.com/modelcontextprotocol": "MCP servers belong to examples",
	"github.com/pb33f/libopenapi":     "OpenAPI belongs to policyfile",
	"github.com/redis/":               "import store/redis for Redis and Valkey",
	"github.com/redis/rueidis":        "import store/redis for Redis and Valkey",
	"github.com/spf13/":               "flags and configuration belong to cmd/sallyport",
	"github.com/stretchr/testify":     "the root's tests need the standard library only",
	"go.opentelemetry.io/":            "import observe/otel for OpenTelemetry",
	"go.yaml.in/yaml/v3":              "YAML belongs to policyfile and cmd/sallyport",
	"go.yaml.in/yaml/v4":              "YAML belongs to policyfile and cmd/sallyport",
	"google.golang.org/genproto":      "import middleware/grpcauth for gRPC",
	"google.golang.org/grpc":          "import middleware/grpcauth for gRPC",
	"gopkg.in/yaml.":                  "YAML belongs to policyfile and cmd/sallyport",
	"k8s.io/":                         "the largest module graph there is, and no room needs it",
	"sigs.k8s.io/":                    "as k8s.io",
}

// CheckModules reports go.mod and go.work files that break the rules of
// docs/adr/0010: one Go version, no module outside go.work, no replace in the
// root or in go.work, none but of the root by relative path elsewhere, and
// nothing denied in the root.
func CheckModules(repo *Repo, denied map[string]string) []string {
	var out []string
	if repo.Work.Go != GoVersion {
		out = append(out, fmt.Sprintf("go.work: says go %s, not %s", repo.Work.Go, GoVersion))
	}
	for _, r := range repo.Work.Replaces {
		out = append(out, fmt.Sprintf("go.work: replaces %s; put it where it is needed", r.Old))
	}
	for _, dir := range repo.Work.Uses {
		if !slices.ContainsFunc(repo.Modules, func(m Module) bool { return m.Dir == dir }) {
			out = append(out, "go.work: uses "+dir+", which has no go.mod")
		}
	}
	root, ok := repo.moduleOf(".")
	if !ok {
		return append(out, "go.mod: the root has none")
	}
	for _, m := range repo.Modules {
		file := path.Join(m.Dir, "go.mod")
		if m.Go != GoVersion {
			out = append(out, fmt.Sprintf("%s: says go %s, not %s", file, m.Go, GoVersion))
		}
		if !slices.Contains(repo.Work.Uses, m.Dir) {
			out = append(out, file+": is not used by go.work, so make and CI do not see it")
		}
		if want := strings.TrimSuffix(root.Path+"/"+m.Dir, "/."); m.Path != want {
			out = append(out, fmt.Sprintf("%s: is module %s, not %s", file, m.Path, want))
		}
		for _, r := range m.Replaces {
			if m.Dir == "." {
				out = append(out, fmt.Sprintf("%s: replaces %s; the root has no replace, since users would not get it", file, r.Old))
			} else if !within(r.Old, root.Path) || !strings.HasPrefix(r.New, ".") {
				out = append(out, fmt.Sprintf("%s: replaces %s by %s; only our own modules may be replaced, by a relative path", file, r.Old, r.New))
			}
		}
	}
	for _, finding := range CheckDependencies(root.Requires, denied) {
		out = append(out, "go.mod: "+finding)
	}
	return out
}

// DeniedPackages are prefixes of packages that no public package of the root but metrics
// may build, with the reason.
var DeniedPackages = map[string]string{
	"github.com/prometheus/":     "import metrics for Prometheus",
	"google.golang.org/protobuf": "import protopolicy for policies in .proto files; metrics builds it, because client_golang does",
}

// CheckDependencies reports the paths of modules or packages among dependencies that
// are denied, with the reason.
func CheckDependencies(dependencies []string, denied map[string]string) []string {
	var out []string
	for _, dep := range dependencies {
		for _, prefix := range slices.Sorted(maps.Keys(denied)) {
			if strings.HasPrefix(dep, prefix) {
				out = append(out, fmt.Sprintf("%s must not be a dependency: %s", dep, denied[prefix]))
				break
			}
		}
	}
	return out
}
