package resourcemeta

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/scopes"
)

// Patterns returns the patterns of [http.ServeMux] for [Metadata.Handler]. They have
// no method, because the handler answers all methods.
func (m *Metadata) Patterns() []string {
	if m == nil {
		return nil
	}
	patterns := make([]string, len(m.paths))
	for i, path := range m.paths {
		if strings.HasSuffix(path, "/") {
			path += "{$}"
		}
		patterns[i] = path
	}
	return patterns
}

// Handler returns a handler that serves the document for GET and HEAD, at the path and
// query of [Metadata.URL] only (RFC 9728 §3.1). It answers 404 to other paths and 405
// to other methods. It ignores credentials.
//
// policies returns the policies of the routes, as Policies of a middleware.Mux does.
// Their scopes are scopes_supported. The handler calls it again after one second.
// nil: the document lists no scopes.
func (m *Metadata) Handler(policies func() []scopes.Policy) http.Handler {
	if m == nil { // it answers 404
		m = new(Metadata)
	}
	return &handler{metadata: m, policies: policies}
}

type handler struct {
	metadata *Metadata
	policies func() []scopes.Policy
	last     atomic.Pointer[rendering]
}

// rendering is the document as it was at some time.
type rendering struct {
	text string
	at   time.Time
}

// keptFor is how long a rendering is used, so that many requests cost little.
const keptFor = time.Second

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := h.metadata
	if !slices.Contains(m.paths, r.URL.EscapedPath()) || r.URL.RawQuery != m.query {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	text, err := h.text(clock.Now(r.Context()))
	if err != nil { // cannot happen: New checks every text
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "max-age="+strconv.Itoa(int(m.maxAge/time.Second)))
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, text) // an error means that the connection is gone
	}
}

// text returns the document, at most keptFor old.
func (h *handler) text(now time.Time) (string, error) {
	if last := h.last.Load(); last != nil && now.Sub(last.at).Abs() < keptFor {
		return last.text, nil
	}
	doc := h.metadata.fixed
	doc.Scopes = h.scopes()
	text, err := strictjson.Marshal(&doc)
	if err != nil {
		return "", err
	}
	h.last.Store(&rendering{text: text, at: now})
	return text, nil
}

// scopes returns the scopes that the policies mention, without the omitted ones and
// without offline_access, which asks for a refresh token and means nothing to an API.
func (h *handler) scopes() []string {
	if h.policies == nil {
		return nil
	}
	var all []string
	for _, policy := range h.policies() {
		all = append(all, policy.Scopes()...)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(scope string) bool {
		return scope == "offline_access" || slices.Contains(h.metadata.omitted, scope)
	})
}
