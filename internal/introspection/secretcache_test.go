package introspection

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
)

// vault is a source of secrets that counts its readings.
type vault struct {
	mu     sync.Mutex
	secret string
	err    error
	slow   time.Duration
	reads  int
}

func (v *vault) read(ctx context.Context) (string, error) {
	v.mu.Lock()
	v.reads++
	secret, err, slow := v.secret, v.err, v.slow
	v.mu.Unlock()
	select {
	case <-time.After(slow):
		return secret, err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (v *vault) set(secret string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.secret, v.err = secret, nil
}

func (v *vault) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.reads
}

// secretServer takes only the secret that is set.
type secretServer struct {
	accepted atomic.Value
	requests atomic.Int32
}

func (s *secretServer) answer(_ *http.Request, form url.Values) (int, string) {
	s.requests.Add(1)
	if form.Get("client_secret") != s.accepted.Load() {
		return 401, `{"error":"invalid_client"}`
	}
	return 200, activeBody
}

// TestRotatedSecret checks a secret that was changed at the server: a refusal reads the
// function again, at most once in five seconds and once for all requests; if the secret
// is another one, the request is repeated once (R-IN-12).
func TestRotatedSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, s := &vault{secret: "old"}, &secretServer{}
		s.accepted.Store("old")
		x := exchanging(t, memoryClient(introspect.ClientSecretPost{Secret: introspect.SecretFunc(v.read)}), inMemory(s.answer).binding())
		ask := func() attempt { return x.ask(t.Context(), Question{Token: "t"}) }
		if a := ask(); a.kind != "" || v.count() != 1 {
			t.Fatalf("%+v after %d readings", a, v.count())
		}
		s.accepted.Store("new") // and the function still has the old one
		if a := ask(); a.kind != introspect.CredentialsRefused || a.requests != 1 || v.count() != 1 {
			t.Fatalf("%+v after %d readings: the first one was a moment ago", a, v.count())
		}
		time.Sleep(rereadInterval)
		if a := ask(); a.kind != introspect.CredentialsRefused || a.requests != 1 || v.count() != 2 {
			t.Fatalf("%+v after %d readings: the secret is unchanged", a, v.count())
		}
		v.set("new")
		for range 10 { // within five seconds nothing is read
			time.Sleep(400 * time.Millisecond)
			if a := ask(); a.kind != introspect.CredentialsRefused || v.count() != 2 {
				t.Fatalf("%+v after %d readings", a, v.count())
			}
		}
		time.Sleep(time.Second)
		before := s.requests.Load()
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() {
				if a := ask(); a.kind != "" || a.requests > 2 {
					t.Errorf("%+v", a)
				}
			})
		}
		group.Wait()
		if sent := s.requests.Load() - before; v.count() != 3 || sent > 100 {
			t.Errorf("%d readings, %d requests", v.count(), sent)
		}
	})
}

// TestRepeatOfRefused checks that a refused request is repeated with the new secret also
// if it must not be sent twice, because the server did not look at the token; and that
// there is no third request.
func TestRepeatOfRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, s := &vault{secret: "old"}, &secretServer{}
		s.accepted.Store("new")
		x := exchanging(t, memoryClient(introspect.ClientSecretPost{Secret: introspect.SecretFunc(v.read)}), inMemory(s.answer).binding())
		x.ask(t.Context(), Question{Token: "t"})
		v.set("new")
		time.Sleep(rereadInterval)
		if a := x.ask(t.Context(), Question{Token: "t", Once: true}); a.kind != "" || a.requests != 2 {
			t.Errorf("%+v", a)
		}
		s.accepted.Store("none")
		v.set("newer")
		time.Sleep(rereadInterval)
		if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != introspect.CredentialsRefused || a.requests != 2 {
			t.Errorf("%+v", a)
		}
	})
}

// TestRenewed checks that other credentials than the refused ones are found without a
// request.
func TestRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, s := &vault{secret: "old"}, &secretServer{}
		s.accepted.Store("new")
		x := exchanging(t, memoryClient(introspect.ClientSecretPost{Secret: introspect.SecretFunc(v.read)}), inMemory(s.answer).binding())
		x.ask(t.Context(), Question{Token: "t"})
		time.Sleep(rereadInterval)
		if x.renewed(t.Context()) {
			t.Error("renewed, and the secret is the old one")
		}
		v.set("new")
		time.Sleep(rereadInterval)
		if !x.renewed(t.Context()) || s.requests.Load() != 1 {
			t.Errorf("not renewed, or %d requests", s.requests.Load())
		}
	})
}

// TestUnreadableSecret checks that a secret that cannot be read is NoCredentials, that
// reading is shared, ends after two seconds and is repeated after five, and that a
// function that ignores its context is not called without end.
func TestUnreadableSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, s := &vault{err: errors.New("injected")}, &secretServer{}
		s.accepted.Store("right")
		x := exchanging(t, memoryClient(introspect.ClientSecretPost{Secret: introspect.SecretFunc(v.read)}), inMemory(s.answer).binding())
		ask := func() attempt { return x.ask(t.Context(), Question{Token: "t"}) }
		for range 3 {
			if a := ask(); a.kind != introspect.NoCredentials || a.requests != 0 || v.count() != 1 {
				t.Fatalf("%+v after %d readings", a, v.count())
			}
		}
		v.slow = time.Hour
		time.Sleep(rereadInterval)
		began := time.Now()
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				if a := ask(); a.kind != introspect.NoCredentials {
					t.Errorf("%+v", a)
				}
			})
		}
		group.Wait()
		if took := time.Since(began); took != readTimeout || v.count() != 2 {
			t.Errorf("%v, %d readings", took, v.count())
		}
		v.mu.Lock()
		v.slow = 0
		v.mu.Unlock()
		v.set("right")
		time.Sleep(rereadInterval)
		if a := ask(); a.kind != "" {
			t.Errorf("%+v", a)
		}
	})
}

// TestStuckSecret checks that a function that ignores its context is called four times at
// most, and that callers do not wait for it.
func TestStuckSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		var calls atomic.Int32
		x := exchanging(t, memoryClient(introspect.ClientSecretPost{Secret: introspect.SecretFunc(func(context.Context) (string, error) {
			calls.Add(1)
			<-stuck
			return "", errors.New("late")
		})}), inMemory((&secretServer{}).answer).binding())
		for range 10 {
			began := time.Now()
			if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != introspect.NoCredentials || time.Since(began) > x.timeout {
				t.Fatalf("%+v after %v", a, time.Since(began))
			}
			time.Sleep(rereadInterval)
		}
		if n := calls.Load(); n != maxLate {
			t.Errorf("%d calls", n)
		}
		close(stuck)
	})
}

// TestSecretOutlivesCaller checks that the end of the first caller does not end a reading
// that others wait for.
func TestSecretOutlivesCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, s := &vault{secret: "s", slow: time.Second}, &secretServer{}
		s.accepted.Store("s")
		x := exchanging(t, memoryClient(introspect.ClientSecretPost{Secret: introspect.SecretFunc(v.read)}), inMemory(s.answer).binding())
		first, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if a := x.ask(first, Question{Token: "t"}); a.kind != introspect.NoCredentials {
				t.Errorf("%+v", a)
			}
		})
		synctest.Wait()
		group.Go(func() {
			if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != "" {
				t.Errorf("%+v", a)
			}
		})
		synctest.Wait()
		cancel()
		group.Wait()
		if v.count() != 1 {
			t.Errorf("%d readings", v.count())
		}
	})
}

// TestSecretFile checks that a file that is replaced is read again when the server
// refuses what was in it.
func TestSecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old\n")
	s := &secretServer{}
	s.accepted.Store("new")
	x := exchanging(t, memoryClient(introspect.ClientSecretPost{Secret: introspect.SecretFile(path)}), inMemory(s.answer).binding())
	if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != introspect.CredentialsRefused {
		t.Fatalf("%+v", a)
	}
	write("new\n")
	x.sender.credential.(*post).secret.began = time.Now().Add(-rereadInterval)
	if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != "" || a.requests != 2 {
		t.Fatalf("%+v", a)
	}
}
