package validator_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// journal is a handler that keeps the text of each line.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j *journal) WithGroup(string) slog.Handler            { return j }

func (j *journal) Handle(_ context.Context, record slog.Record) error {
	text := fmt.Sprintf("%v %s", record.Level, strings.TrimPrefix(record.Message, "sallyport: "))
	record.Attrs(func(a slog.Attr) bool {
		text += fmt.Sprintf(" %s=%s", a.Key, a.Value)
		return true
	})
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, text)
	return nil
}

// next waits until all lines are written, in a bubble, and returns them. The next call
// returns those that were written since.
func (j *journal) next() []string {
	synctest.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := j.lines
	j.lines = nil
	return lines
}

// want fails unless the lines are of these kinds: each has all words of its text, which are
// separated by " … ".
func (j *journal) want(t *testing.T, what string, texts ...string) {
	t.Helper()
	lines := j.next()
	fits := len(lines) == len(texts)
	for i := 0; fits && i < len(texts); i++ {
		for part := range strings.SplitSeq(texts[i], " … ") {
			fits = fits && strings.Contains(lines[i], part)
		}
	}
	if !fits {
		t.Errorf("%s: lines\n%s\nwant\n%s", what, strings.Join(lines, "\n"), strings.Join(texts, "\n"))
	}
}

// logged returns a Validator for the issuer with discovered keys, and its journal.
func logged(t *testing.T, is *issuertest.Issuer, changes ...func(*validator.Issuer)) (*validator.Validator, *journal) {
	t.Helper()
	j := new(journal)
	return issuertest.Validator(t, validator.Config{
		Issuers: []validator.Issuer{is.Config(append([]func(*validator.Issuer){is.Fetched}, changes...)...)}, Logger: slog.New(j),
	}), j
}

// TestStartLines checks when the start-up line is written, that it is written once, and
// what it says.
func TestStartLines(t *testing.T) {
	uses := map[string]func(*validator.Validator, string){
		"Warm": func(v *validator.Validator, _ string) { _ = v.Warm(context.Background()) },
		"Run": func(v *validator.Validator, _ string) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_ = v.Run(ctx)
		},
		"token": func(v *validator.Validator, token string) {
			_, _ = v.Validate(context.Background(), issuertest.Bearer(token))
		},
		"no credentials": func(v *validator.Validator, _ string) {
			_, _ = v.Validate(context.Background(), validator.Presentation{})
		},
	}
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				is := issuertest.New(t)
				j := new(journal)
				static := is.Config()
				v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{static}, Logger: slog.New(j)})
				j.want(t, "after New") // constructors do no I/O
				use(v, is.Token(nil))
				j.want(t, "at first", "INFO issuer configured issuer=https://issuer.test audiences=https://api.test algorithms=RS256 PS256 ES256 EdDSA keys=1 key of the configuration")
				use(v, is.Token(nil))
				j.want(t, "later")
			})
		})
	}
}

// TestStartLineOfSources checks what the start-up line says of where keys come from.
func TestStartLineOfSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := issuertest.New(t)
		file := filepath.Join(t.TempDir(), "jwks.json")
		if err := os.WriteFile(file, is.JWKS(), 0o600); err != nil {
			t.Fatal(err)
		}
		opaque := is.OpaqueConfig()
		for want, config := range map[string]validator.Issuer{
			"keys=of the metadata":               is.Config(is.Fetched),
			"keys=https://issuer.test/jwks.json": is.Config(is.Fetched, func(c *validator.Issuer) { c.Keys = jwkscache.URL(is.JWKSURL() + "?key=secret") }),
			"keys=" + file:                       is.Config(func(c *validator.Issuer) { c.Keys = jwkscache.File(file) }),
			"keys=not used introspection=https://issuer.test/introspect": opaque,
			"algorithms=ES256 keys=1 key":                                is.Config(func(c *validator.Issuer) { c.Algorithms = []jose.Algorithm{jose.ES256} }),
		} {
			j := new(journal)
			v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{config}, Logger: slog.New(j)})
			_, _ = v.Validate(t.Context(), validator.Presentation{})
			lines := j.next()
			if len(lines) == 0 || !strings.Contains(lines[0], want) || strings.Contains(lines[0], "secret") {
				t.Errorf("lines %q, want %q", lines, want)
			}
		}
	})
}

// TestKeyLines covers R-OB-06: that keys cannot be fetched is told with its cause, the next
// attempt and how long the keys serve, then again from time to time with the number of
// failures, and that they are fetched again with how long it took.
func TestKeyLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := issuertest.New(t)
		v, j := logged(t, is, func(c *validator.Issuer) { c.KeyLimits.MaxBackoff = 30 * time.Second })
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error)
		go func() { ran <- v.Run(ctx) }()
		j.want(t, "at the start", "INFO issuer configured", "INFO the keys of the issuer were fetched issuer=https://issuer.test keys=1 location=https://issuer.test/jwks.json")
		if err := v.Ready(); err != nil {
			t.Error(err)
		}
		is.Rotate()
		is.Behave(testissuer.JWKS, testissuer.Behaviour{Status: http.StatusBadGateway})
		time.Sleep(time.Hour)
		lines := j.next()
		if len(lines) < 2 || len(lines) > 8 {
			t.Fatalf("%d lines in an hour of failures:\n%s", len(lines), strings.Join(lines, "\n"))
		}
		for _, part := range []string{"WARN the keys of the issuer cannot be fetched", "answered 502", "mend=the issuer fails", "location=https://issuer.test/jwks.json", "next_try_in=1s", "keys_serve=for "} {
			if !strings.Contains(lines[0], part) {
				t.Errorf("the first line lacks %q: %s", part, lines[0])
			}
		}
		if strings.Contains(lines[0], "failures=") || !strings.Contains(lines[1], "failures=") || !strings.Contains(lines[1], "for=1m") {
			t.Errorf("lines\n%s", strings.Join(lines, "\n"))
		}
		is.Behave(testissuer.JWKS, testissuer.Behaviour{})
		time.Sleep(time.Minute)
		j.want(t, "after the outage", "INFO the keys of the issuer are fetched again … keys=2 … down= … failures=")
		is.Rotate()
		time.Sleep(time.Hour)
		j.want(t, "after a rotation", `INFO the keys of the issuer changed issuer=https://issuer.test keys=3 added="key-3" (ES256)`)
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
}

// TestOtherCause checks that an outage whose cause changes is told at once, and no more
// than once in ten seconds.
func TestOtherCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := issuertest.New(t)
		v, j := logged(t, is)
		j.next()
		for _, status := range []int{500, 404} {
			is.Behave(testissuer.JWKS, testissuer.Behaviour{Status: status})
			if err := v.Warm(t.Context()); err == nil {
				t.Error("no error")
			}
			time.Sleep(20 * time.Second)
		}
		j.want(t, "two causes", "issuer configured", "ERROR the keys of the issuer cannot be fetched … answered 500 … keys_serve=no", "ERROR the keys … answered 404 … failures=2 for=20s")
		for _, status := range []int{500, 404, 500, 404} {
			is.Behave(testissuer.JWKS, testissuer.Behaviour{Status: status})
			_ = v.Warm(t.Context())
			time.Sleep(2 * time.Second)
		}
		if lines := j.next(); len(lines) > 1 {
			t.Errorf("a line for each change of the cause:\n%s", strings.Join(lines, "\n"))
		}
	})
}

// TestUnfitKeys covers an issuer whose set is empty, and one none of whose keys fits its
// algorithms.
func TestUnfitKeys(t *testing.T) {
	tests := map[string]struct {
		plant func(*issuertest.Issuer, *validator.Issuer)
		want  string
	}{
		"empty": {
			func(is *issuertest.Issuer, _ *validator.Issuer) {
				is.Behave(testissuer.JWKS, testissuer.Behaviour{Body: []byte(`{"keys":[]}`)})
			},
			"ERROR the issuer publishes no key that can be used … algorithms=RS256 PS256 ES256 EdDSA not_used=the set is empty … mend=let the issuer publish its keys … keys_serve=no",
		},
		"other algorithms": {
			func(_ *issuertest.Issuer, c *validator.Issuer) { c.Algorithms = []jose.Algorithm{jose.RS256} },
			`ERROR the issuer publishes no key that can be used … no key of the set is for an algorithm of Issuer.Algorithms: "key-1" (ES256) algorithms=RS256 … add the algorithm of the keys`,
		},
		"broken": {
			func(is *issuertest.Issuer, _ *validator.Issuer) {
				is.Retire("key-1")
				is.ExtraJWKs(`{"kty":"EC","kid":"a\u001b[31m","crv":"P-256"}`)
			},
			`ERROR the issuer publishes no key that can be used … keys[0] kid "a\x1b[31m": … see not_used`,
		},
		"one is broken": {
			func(is *issuertest.Issuer, _ *validator.Issuer) {
				is.ExtraJWKs(`{"kty":"EC","kid":"bad","crv":"P-256"}`)
			},
			`WARN keys of the issuer are not used … keys[0] kid "bad"`,
		},
		"one is for encryption": {
			func(is *issuertest.Issuer, _ *validator.Issuer) {
				is.AddKey(testissuer.Key{ID: "enc", Members: map[string]any{"use": "enc"}})
			},
			`INFO keys of the issuer are not used … kid "enc"`,
		},
		"one is of another issuer": {
			func(is *issuertest.Issuer, c *validator.Issuer) {
				is.AddKey(testissuer.Key{ID: "foreign", Members: map[string]any{"issuer": "https://foreign.test"}})
				c.KeyIssuers = []string{"https://issuer.test"}
			},
			`INFO keys of the issuer are not used … kid "foreign": … its issuer is "https://foreign.test"`,
		},
		"all are of another issuer": {
			func(is *issuertest.Issuer, c *validator.Issuer) {
				is.Retire("key-1")
				is.AddKey(testissuer.Key{ID: "foreign", Members: map[string]any{"issuer": "https://foreign.test"}})
				c.KeyIssuers = []string{"https://issuer.test"}
			},
			`ERROR the issuer publishes no key that can be used … its issuer is "https://foreign.test" … see not_used`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				is := issuertest.New(t)
				v, j := logged(t, is, func(c *validator.Issuer) { tt.plant(is, c) })
				_ = v.Warm(t.Context())
				lines := j.next()
				last := lines[len(lines)-1]
				for part := range strings.SplitSeq(tt.want, " … ") {
					if !strings.Contains(last, part) {
						t.Errorf("the line lacks %q: %s", part, last)
					}
				}
			})
		})
	}
}

// TestWarningLines checks that warnings about the configuration are logged at the start, and
// those about keys when they are new.
func TestWarningLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := issuertest.New(t)
		is.ExtraJWKs(`{"kty":"EC","kid":"bad","crv":"P-256"}`)
		v, j := logged(t, is, func(c *validator.Issuer) {
			c.Profile, c.Marker = validator.ProfileLegacy, []validator.ClaimRule{{Name: "use", Equals: "access"}}
		})
		warm := func() {
			t.Helper()
			if err := v.Warm(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		warm()
		j.want(t, "at first", "INFO issuer configured … profile=legacy", `WARN configuration warning=issuer "https://issuer.test": ProfileLegacy`,
			"INFO the keys of the issuer were fetched", "WARN keys of the issuer are not used")
		time.Sleep(20 * time.Minute) // the keys are stale
		warm()
		j.want(t, "unchanged")
		is.Rotate()
		time.Sleep(20 * time.Minute)
		warm()
		j.want(t, "rotated", "INFO the keys of the issuer changed", "WARN keys of the issuer are not used")
	})
}

// TestNeverActiveLine covers an issuer that does not introspect its own JWTs: one line.
func TestNeverActiveLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, j := issuertest.New(t), new(journal)
		v := issuertest.Validator(t, validator.Config{
			Issuers: []validator.Issuer{is.HybridConfig(func(c *validator.Issuer) { c.ActiveWithin = time.Second })}, Logger: slog.New(j),
		})
		for range 30 {
			token := is.Token(nil)
			is.Revoke(token)
			if _, err := v.Validate(t.Context(), issuertest.Bearer(token)); validator.ReasonOf(err) != validator.Inactive {
				t.Fatal(err)
			}
		}
		j.want(t, "all inactive", "INFO issuer configured", "WARN the issuer called none of the valid JWTs active that it was asked about … asked= … mend=")
	})
}

// TestSlashLine covers the trailing slash of the discovered issuer, without Warm.
func TestSlashLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := issuertest.New(t)
		for _, e := range []testissuer.Endpoint{testissuer.OAuthMetadata, testissuer.OpenIDMetadata} {
			is.Metadata(e, func(m map[string]any) { m["issuer"] = is.URL() + "/" })
		}
		v, j := logged(t, is)
		if _, err := v.Validate(t.Context(), is.Bearer(nil)); validator.ReasonOf(err) != validator.Unavailable {
			t.Error(err)
		}
		j.want(t, "first token", "issuer configured", `ERROR the keys of the issuer cannot be fetched … "https://issuer.test/" … they differ in the slash at the end: set Issuer.URL to "https://issuer.test/" … mend=set Issuer.URL to the issuer of the metadata`)
	})
}

// TestMovedLines covers endpoints that move in the metadata (R-DI-07): their queries are
// not logged.
func TestMovedLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := issuertest.New(t)
		v, j := logged(t, is)
		if err := v.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		j.next()
		for _, e := range []testissuer.Endpoint{testissuer.OAuthMetadata, testissuer.OpenIDMetadata} {
			is.Metadata(e, func(m map[string]any) { m["jwks_uri"] = is.JWKSURL() + "?token=secret" })
		}
		time.Sleep(25 * time.Hour)
		_ = v.Warm(t.Context())
		lines := strings.Join(j.next(), "\n")
		if !strings.Contains(lines, "WARN the metadata names another URL for the keys than before") || !strings.Contains(lines, "mend=") || strings.Contains(lines, "secret") {
			t.Errorf("lines\n%s", lines)
		}
	})
}

// TestSnapshotLines covers faults of the snapshot directory.
func TestSnapshotLines(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		is, j := issuertest.New(t), new(journal)
		v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.Config(is.Fetched)}, SnapshotDir: dir, Logger: slog.New(j)})
		_ = v.Warm(t.Context())
		if lines := strings.Join(j.next(), "\n"); !strings.Contains(lines, "WARN the snapshot directory cannot be used issuer=https://issuer.test use=load") {
			t.Errorf("lines\n%s", lines)
		}
	})
}

// TestAskLines covers introspection that fails and recovers: few lines, with the kind, the
// cause and the number of failures.
func TestAskLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, j := issuertest.New(t), new(journal)
		v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.OpaqueConfig()}, Logger: slog.New(j)})
		validate := func(want validator.Reason) {
			t.Helper()
			if _, err := v.Validate(t.Context(), is.OpaqueBearer(nil)); validator.ReasonOf(err) != want {
				t.Errorf("got %v, want %q", err, want)
			}
		}
		validate("")
		j.want(t, "at first", "INFO issuer configured")
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Status: http.StatusInternalServerError})
		for range 200 {
			validate(validator.Unavailable)
			time.Sleep(time.Second)
		}
		lines := j.next()
		all := strings.Join(lines, "\n")
		if len(lines) > 12 || !strings.Contains(lines[0], "WARN the issuer cannot be asked about tokens issuer=https://issuer.test kind=server_error") ||
			!strings.Contains(all, "answered 500") || !strings.Contains(all, "ERROR requests about tokens are held back") || !strings.Contains(all, "failures=") {
			t.Errorf("%d lines\n%s", len(lines), all)
		}
		is.Behave(testissuer.Introspection, testissuer.Behaviour{})
		time.Sleep(2 * time.Minute)
		validate("")
		j.want(t, "afterwards", "INFO introspection works again … down= … failures=")
	})
}

// TestRefusedTokensAreNoFailures covers A5: what an issuer says about tokens is no failure
// of the issuer.
func TestRefusedTokensAreNoFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, j := issuertest.New(t), new(journal)
		v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.OpaqueConfig()}, Logger: slog.New(j)})
		for i := range 100 {
			_, _ = v.Validate(t.Context(), issuertest.Bearer(fmt.Sprint("unknown-", i)))
		}
		j.want(t, "inactive tokens", "INFO issuer configured")
	})
}

// TestResolvedLines covers R-OB-07: lines about issuers that are resolved are bounded, and
// what was left out is told.
func TestResolvedLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, j := issuertest.New(t), new(journal)
		v := issuertest.Validator(t, validator.Config{
			Logger: slog.New(j),
			ResolveIssuer: func(_ context.Context, url string) (validator.Issuer, error) {
				return validator.Issuer{URL: url, Audiences: []string{issuertest.Audience}, Grants: []string{validator.AllScopes}, HTTPClient: is.Client()}, nil
			},
		})
		for i := range 50 {
			_, _ = v.Validate(t.Context(), is.Bearer(issuertest.Claims{"iss": fmt.Sprintf("https://tenant-%d.test", i)}))
			synctest.Wait() // until the line is written
		}
		lines := j.next()
		if len(lines) != 5 || !strings.Contains(lines[0], "issuer=https://tenant-0.test") {
			t.Errorf("%d lines\n%s", len(lines), strings.Join(lines, "\n"))
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		_ = v.Run(over)
		if lines := strings.Join(j.next(), "\n"); !strings.Contains(lines, "lines about resolved issuers were left out line=sallyport: the keys of the issuer cannot be fetched count=45") {
			t.Errorf("lines\n%s", lines)
		}
	})
}
