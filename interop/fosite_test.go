package interop_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/interop/fositeserver"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// fosite is a running server of package fositeserver.
type fosite struct {
	*fositeserver.Server

	opaque, jwt     string // issuers
	opaqueAS, jwtAS oauth
}

func startFosite(t *testing.T) *fosite {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	base := "http://" + server.Listener.Addr().String()
	handler, err := fositeserver.New(base)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = handler
	server.Start()
	t.Cleanup(server.Close)
	return fositeAt(handler, base)
}

func fositeAt(server *fositeserver.Server, base string) *fosite {
	at := func(issuer string) oauth {
		return oauth{
			authorize: issuer + "/authorize", token: issuer + "/token", revoke: issuer + "/revoke", introspect: issuer + "/introspect",
			redirect: fositeserver.RedirectURI,
		}
	}
	opaque, jwt := base+"/opaque", base+"/jwt"
	return &fosite{server, opaque, jwt, at(opaque), at(jwt)}
}

// The server's own answers are what the configuration in README.md rests on: it calls
// refresh tokens active and says nothing of the type of a token.
func TestFositeAnswers(t *testing.T) {
	s := startFosite(t)
	for _, tt := range []struct {
		issuer oauth
		prefix string
	}{{s.opaqueAS, "ory_at_"}, {s.jwtAS, "ey"}} {
		good := tt.issuer.forItself(t, "cc", "read", "audience", fositeserver.Audience)
		if !strings.HasPrefix(good, tt.prefix) {
			t.Errorf("an access token does not start with %q", tt.prefix)
		}
		got := tt.issuer.introspectAs(t, "rs", good)
		if !got.active(t) || strings.Contains(string(got.body), "token_type") {
			t.Errorf("a good token: %s", got.body)
		}
		access, refresh := tt.issuer.forUser(t, url.Values{"scope": {"openid offline read"}, "audience": {fositeserver.Audience}})
		if !tt.issuer.introspectAs(t, "rs", access).active(t) || !tt.issuer.introspectAs(t, "rs", refresh).active(t) {
			t.Error("a token of a user, or its refresh token, is not active")
		}
		if !strings.HasPrefix(refresh, "ory_rt_") {
			t.Error("a refresh token does not start with ory_rt_")
		}
		tt.issuer.revokeToken(t, good)
		if tt.issuer.introspectAs(t, "rs", good).active(t) || tt.issuer.introspectAs(t, "rs", "garbage").active(t) {
			t.Error("a revoked token, or garbage, is active")
		}
	}
}

// opaqueIssuer is the configuration for fosite's opaque tokens. Its answers have no
// token_type, and refresh tokens look like access tokens in them. What tells the two apart
// is the prefix of the token itself: refresh tokens are not selected for introspection.
func (s *fosite) opaqueIssuer() validator.Issuer {
	return validator.Issuer{
		URL:       s.opaque,
		Audiences: []string{fositeserver.Audience},
		Opaque: &introspect.Client{
			ID: "rs", Authentication: introspect.ClientSecretBasic{Secret: introspect.SecretText(secretOf("rs"))},
			Prefix: "ory_at_", Cache: introspect.Cache{TTL: shortTTL},
		},
		Answers: validator.AnswerRules{Marker: []validator.ClaimRule{{Name: "client_id"}}},
	}
}

// jwtIssuer is the configuration for fosite's JWTs, about which it is also asked.
func (s *fosite) jwtIssuer() validator.Issuer {
	issuer := s.opaqueIssuer()
	issuer.URL, issuer.Keys, issuer.ActiveWithin = s.jwt, jwkscache.Discovered(), shortTTL
	issuer.Opaque.Prefix, issuer.Answers = "", validator.AnswerRules{}
	return issuer
}

func (s *fosite) token(t *testing.T, as oauth) string {
	t.Helper()
	return as.forItself(t, "cc", "read", "audience", fositeserver.Audience)
}

// TestFositeOpaque covers R-IN-01, R-IN-06, R-IN-07 and R-IN-12: opaque tokens of a real
// server are accepted and refused as its answers say.
func TestFositeOpaque(t *testing.T) {
	s := startFosite(t)
	a := newAPI(t, s.opaqueIssuer())
	good := s.token(t, s.opaqueAS)
	a.expect("a good token", good, want{source: validator.Introspected})
	a.expect("the same token again", good, want{source: validator.Cached})
	a.expectAt("/write", "a token without the scope", good, want{reason: validator.InsufficientScope})
	other := s.opaqueAS.forItself(t, "cc", "read", "audience", fositeserver.OtherAudience)
	a.expect("a token of another API", other, want{reason: validator.WrongAudience})
	a.expect("a token without audience", s.opaqueAS.forItself(t, "cc", "read"), want{reason: validator.WrongAudience})
	a.expect("garbage with the prefix", "ory_at_garbage", want{reason: validator.Inactive})
	access, refresh := s.forUser(t, s.opaqueAS)
	if d := a.expect("a token of a user", access, want{}); d.Token.Subject() != "alice" || d.Client != "web" {
		t.Errorf("the token is of %q and %q", d.Token.Subject(), d.Client)
	}
	for what, token := range map[string]string{"a refresh token": refresh, "garbage": "garbage", "a JWT": s.token(t, s.jwtAS)} {
		if status, d := a.get("/read", token); status != http.StatusUnauthorized || d.Source != "" {
			t.Errorf("%s: status %d, from %q", what, status, d.Source)
		}
	}
	revoked := s.token(t, s.opaqueAS)
	a.expectRevoked(revoked, func() { s.opaqueAS.revokeToken(t, revoked) })
}

// TestFositeStrict covers R-IN-07: without configuration of its own, nothing that fosite
// calls active is an access token.
func TestFositeStrict(t *testing.T) {
	s := startFosite(t)
	issuer := s.opaqueIssuer()
	issuer.Answers, issuer.Opaque.Prefix = validator.AnswerRules{}, ""
	a := newAPI(t, issuer)
	access, refresh := s.forUser(t, s.opaqueAS)
	a.expect("an access token", access, want{reason: validator.WrongType})
	a.expect("a refresh token", refresh, want{reason: validator.WrongType})
}

// TestFositeWrongSecret covers R-IN-12: callers are not told 401 for a secret that this API
// has wrong.
func TestFositeWrongSecret(t *testing.T) {
	s := startFosite(t)
	issuer := s.opaqueIssuer()
	issuer.Opaque.Authentication = introspect.ClientSecretBasic{Secret: introspect.SecretText("wrong")}
	a := newAPI(t, issuer)
	a.expect("a wrong secret", s.token(t, s.opaqueAS), want{reason: validator.Unavailable, kind: introspect.CredentialsRefused})
}

// TestFositeHybrid covers R-IN-19: JWTs are validated locally, and the server is asked
// whether they were revoked.
func TestFositeHybrid(t *testing.T) {
	s := startFosite(t)
	a := newAPI(t, s.jwtIssuer())
	good := s.token(t, s.jwtAS)
	a.expect("a good JWT", good, want{source: validator.Introspected})
	a.expect("the same JWT again", good, want{source: validator.Cached})
	a.expect("a JWT of another API", s.jwtAS.forItself(t, "cc", "read", "audience", fositeserver.OtherAudience), want{reason: validator.WrongAudience})
	a.expectRevoked(good, func() { s.jwtAS.revokeToken(t, good) })
	revoked := s.token(t, s.jwtAS)
	a.expectAt("/fresh", "a JWT on a route that asks for every request", revoked, want{source: validator.Introspected})
	s.jwtAS.revokeToken(t, revoked)
	a.expectAt("/fresh", "the JWT, revoked a moment ago", revoked, want{reason: validator.Inactive})
	if err := s.Rotate(true); err != nil { // fosite calls JWTs of earlier keys inactive
		t.Fatal(err)
	}
	a.expect("a JWT of a new key", s.token(t, s.jwtAS), want{source: validator.Introspected})
}

// TestFositeLocal covers R-IN-19: JWTs of an issuer with ActiveWithin 0 cause no request to
// the introspection endpoint, which here refuses the secret.
func TestFositeLocal(t *testing.T) {
	s := startFosite(t)
	issuer := s.jwtIssuer()
	issuer.ActiveWithin = 0
	issuer.Opaque.Authentication = introspect.ClientSecretBasic{Secret: introspect.SecretText("wrong")}
	a := newAPI(t, issuer)
	token := s.token(t, s.jwtAS)
	a.expect("a JWT", token, want{source: validator.Verified})
	a.expectAt("/fresh", "a JWT on a route that asks", token, want{reason: validator.Unavailable, kind: introspect.CredentialsRefused})
}

// TestFositeOutage covers R-IN-11 and R-IN-12: a server that is killed and started again.
// Its tokens are gone by then, so that it rightly calls those from before inactive.
func TestFositeOutage(t *testing.T) {
	run := func(port string) (*process, *fosite) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fositePort+"="+port)
		p := start(t, cmd)
		var ready struct{ Issuer string }
		p.readiness(t, &ready)
		return p, fositeAt(nil, ready.Issuer)
	}
	p, s := run("0")
	at, err := url.Parse(s.opaque)
	if err != nil {
		t.Fatal(err)
	}
	issuer := s.opaqueIssuer()
	issuer.Opaque.Cache.TTL = outageTTL
	a := newAPI(t, issuer)
	cached, before := s.token(t, s.opaqueAS), s.token(t, s.opaqueAS)
	a.expectOutage(cached, before, p.kill, func() { run(at.Port()) },
		func() string { return s.token(t, s.opaqueAS) }, want{reason: validator.Inactive})
}

func (s *fosite) forUser(t *testing.T, as oauth) (access, refresh string) {
	t.Helper()
	return as.forUser(t, url.Values{"scope": {"openid offline read"}, "audience": {fositeserver.Audience}})
}
