package benchmarks

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestHTTPDoors checks that every middleware accepts good tokens with what another process
// knows of their issuer, and refuses what it must: that of Sallyport with 401, others with
// any status but 200, and without the handler.
func TestHTTPDoors(t *testing.T) {
	for _, d := range HTTPDoors {
		t.Run(slug(d.Name), func(t *testing.T) {
			for _, a := range callAlgorithms {
				for _, seen := range []bool{false, true} {
					httpDoorOpens(t, d, material(t, a, 3), seen)
				}
			}
		})
	}
}

func httpDoorOpens(t *testing.T, d HTTPDoor, m *Material, seen bool) {
	t.Helper()
	known, err := m.Published().Material()
	if err != nil {
		t.Fatal(err)
	}
	defer known.Close()
	served := 0
	door, err := d.Prepare(known, seen, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(authorization ...string) int {
		r := httptest.NewRequest(http.MethodGet, "/orders/17", http.NoBody)
		r.Header["Authorization"] = authorization
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		return w.Code
	}
	for i := range 4 { // one more than the number of tokens
		if status := ask("Bearer " + m.Tokens[i%3]); status != http.StatusOK || served != i+1 {
			t.Fatalf("%s: a good token gets %d", m.Algorithm, status)
		}
	}
	served = 0
	now := time.Now()
	header, claims := m.Header(), Claims(now, 0)
	sign := func(header, claims string) []string {
		token, err := m.Sign(header, claims)
		if err != nil {
			t.Fatal(err)
		}
		return []string{"Bearer " + token}
	}
	for name, authorization := range map[string][]string{
		"expired":        sign(header, Claims(now.Add(-2*time.Hour), 0)),
		"wrong audience": sign(header, strings.ReplaceAll(claims, "api.example.com", "api.example.org")),
		"wrong issuer":   sign(header, strings.Replace(claims, "/realms/main", "/realms/evil", 1)),
		"unknown kid":    sign(strings.Replace(header, "2026-11-a", "2026-11-b", 1), claims),
		"bad signature":  {"Bearer " + m.Tokens[0][:len(m.Tokens[0])-8] + "AAAAAAAA"},
		"alg HS256":      {"Bearer " + m.forge(claims)},
		"no token":       nil,
		"another scheme": {"Basic " + m.Tokens[0]},
	} {
		if status := ask(authorization...); status == http.StatusOK || served > 0 || d.Ours && status != http.StatusUnauthorized {
			t.Errorf("%s: %s: status %d, the handler ran %d times", m.Algorithm, name, status, served)
		}
	}
}
