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

// Patterns are those of [http.ServeMux] under which [Metadata.Handler] is to be
// registered: without a method, since the handler answers to all.
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

// Handler serves the document, for GET and HEAD, at the path and query of
// [Metadata.URL] and nowhere else (RFC 9728 §3.1): other paths are 404, other
// methods 405. It needs no credentials and looks at none.
//
// policies are those of the routes, such as Policies of a middleware.Mux; their
// scopes are the document's scopes_supported. What they say is read anew every
// second. nil: the document lists no scopes.
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

const keptFor = time.Second // so that those who ask often cost little

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
	if err != nil { // New saw to it that there is nothing that cannot be written
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "max-age="+strconv.Itoa(int(m.maxAge/time.Second)))
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, text) // if the connection is gone, there is nobody to tell
	}
}

// text is the document now, or a moment ago.
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

// scopes are those that the policies mention, but for the omitted ones and the
// one that asks for a refresh token, which is none of an API's business.
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
