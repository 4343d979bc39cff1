package validator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// writtenBy returns what write logs, with lines of the level Info and above.
func writtenBy(write func(*lines)) string {
	var out bytes.Buffer
	l := newLines(slog.New(slog.NewTextHandler(&out, nil)), time.Now())
	write(l)
	l.log.Flush()
	return out.String()
}

// configuredIssuer is an issuer for lines.
func configuredIssuer() *checkedIssuer {
	return &checkedIssuer{Issuer: Issuer{URL: "https://issuer.test"}, allowed: [256]bool{jose.ES256: true}}
}

// keysOfSet returns n keys for ES256.
func keysOfSet(t *testing.T, n int) []*jose.Key {
	t.Helper()
	signers := make([]testkey.Key, n)
	for i := range signers {
		signers[i] = testkey.New(jose.ES256, fmt.Sprint("k", i))
	}
	set, err := jose.ParseSet(testkey.Set(signers...), nil)
	if err != nil {
		t.Fatal(err)
	}
	return set.Keys()
}

// TestFetchesInLines checks which events count as fetches: the calls of a program, which
// change the set in use, do not.
func TestFetchesInLines(t *testing.T) {
	for cause, want := range map[string]bool{
		"start": false, "forbid": false, "permit": false, "refresh": true, "unknown": true, "missing": true, "warm": true,
	} {
		if isFetch(&jwkscache.FetchDone{Cause: cause}) != want {
			t.Errorf("%s: want %t", cause, want)
		}
	}
}

// TestUnfit checks why no key of a set can be used.
func TestUnfit(t *testing.T) {
	key := keysOfSet(t, 1)
	ignored, forbidden := []jose.IgnoredKey{{}}, []jwkscache.KeyName{{}}
	for name, row := range map[string]struct {
		status jwkscache.Status
		want   error
	}{
		"a key that fits":          {jwkscache.Status{Keys: key, Forbidden: forbidden}, nil},
		"empty":                    {jwkscache.Status{}, errNoUsableKey},
		"all forbidden":            {jwkscache.Status{Forbidden: forbidden}, errForbidden},
		"some forbidden, one junk": {jwkscache.Status{Forbidden: forbidden, Ignored: ignored}, errNoUsableKey},
		"all junk":                 {jwkscache.Status{Ignored: ignored}, errNoUsableKey},
	} {
		k := &keyLines{issuer: configuredIssuer(), status: func() jwkscache.Status { return row.status }}
		if err := k.unfit(); !errors.Is(err, row.want) || (err == nil) != (row.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
}

// TestServeTime checks how long keys serve, in words.
func TestServeTime(t *testing.T) {
	now := time.Now()
	for want, until := range map[string]time.Time{"without end": {}, "for 1m0s": now.Add(time.Minute), "for 0s": now.Add(-time.Minute)} {
		if got := serveTime(&jwkscache.Status{UsableUntil: until}, now); got != want {
			t.Errorf("until %v: %q, want %q", until, got, want)
		}
	}
}

// TestChangedKeyLines checks that keys that were only added, or only removed, are a change.
func TestChangedKeyLines(t *testing.T) {
	key := keysOfSet(t, 1)
	for name, row := range map[string]struct {
		done jwkscache.FetchDone
		want string
	}{
		"added":   {jwkscache.FetchDone{Added: key}, "the keys of the issuer changed"},
		"removed": {jwkscache.FetchDone{Removed: key}, "the keys of the issuer changed"},
		"neither": {jwkscache.FetchDone{}, ""},
	} {
		got := writtenBy(func(l *lines) {
			k := &keyLines{lines: l, issuer: configuredIssuer(), keys: "keys"}
			k.tellSuccess(&row.done, false, &outage{}, time.Now())
		})
		if !strings.Contains(got, row.want) || row.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

// TestLongLists checks that lines name at most maxKeyTexts keys.
func TestLongLists(t *testing.T) {
	for n, more := range map[int]string{maxKeyTexts: "", maxKeyTexts + 1: "1 more", maxKeyTexts + 20: "20 more"} {
		for name, text := range map[string]string{"keys": keyIDs(keysOfSet(t, n)), "ignored": ignoredTexts(make([]jose.IgnoredKey, n))} {
			if !strings.HasSuffix(text, more) || more == "" && strings.Contains(text, " more") {
				t.Errorf("%d %s: %s", n, name, text)
			}
		}
	}
}

// TestTimeouts checks which errors of a fetch are timeouts.
func TestTimeouts(t *testing.T) {
	for name, row := range map[string]struct {
		err  error
		want bool
	}{
		"timeout of a connection":           {&net.OpError{Err: os.ErrDeadlineExceeded}, true},
		"no such host":                      {&net.DNSError{}, false},
		"no such host, then a deadline":     {errors.Join(&net.DNSError{}, context.DeadlineExceeded), true},
		"another error":                     {errors.New("x"), false},
		"a deadline":                        {context.DeadlineExceeded, true},
		"a timeout of a DNS server, beside": {errors.Join(errors.New("x"), &net.DNSError{IsTimeout: true}), true},
	} {
		if got := isTimeout(row.err); got != row.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// TestRemoteErrors checks which errors of a fetch are alerts of the TLS server.
func TestRemoteErrors(t *testing.T) {
	alert := &net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}
	for name, row := range map[string]struct {
		err  error
		want bool
	}{
		"an alert":                    {errors.Join(new(fetch.TLSError), alert), true},
		"an alert outside TLS":        {alert, false},
		"TLS, and a failed operation": {errors.Join(new(fetch.TLSError), &net.OpError{Op: "read", Err: errors.New("x")}), false},
		"TLS":                         {new(fetch.TLSError), false},
		"another error":               {errors.New("x"), false},
	} {
		if got := isRemoteError(row.err); got != row.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// TestStoreLines checks that only a snapshot that cannot be used has a line.
func TestStoreLines(t *testing.T) {
	got := writtenBy(func(l *lines) { l.storeTrace().Stored("", jwkscache.Stored{Use: "read"}) })
	failed := writtenBy(func(l *lines) { l.storeTrace().Stored("", jwkscache.Stored{Use: "read", Err: errors.New("x")}) })
	if got != "" || !strings.Contains(failed, "the snapshot directory cannot be used") {
		t.Errorf("%q and %q", got, failed)
	}
}

// TestAskErrorLines checks which error the line about an issuer that cannot be asked has:
// the cause of an introspect.Error, and otherwise the error itself.
func TestAskErrorLines(t *testing.T) {
	for want, err := range map[string]error{
		"error=below":         introspect.NewError(introspect.ServerError, errors.New("below"), 0),
		"error=\"introspect:": introspect.NewError(introspect.ServerError, nil, 0),
		"error=other":         errors.New("other"),
	} {
		got := writtenBy(func(l *lines) {
			a := &askLines{lines: l, issuer: configuredIssuer()}
			a.failed(&introspect.AskDone{Kind: introspect.ServerError, Err: err})
		})
		if !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestDisabledLines checks that lines of a level that is not written do not count among
// those that were left out.
func TestDisabledLines(t *testing.T) {
	resolved := configuredIssuer()
	resolved.resolved = true
	got := writtenBy(func(l *lines) {
		for range 10 * resolvedLines.First {
			l.about(resolved, slog.LevelDebug, "line")
		}
		l.tell(l.resolved.Flush())
	})
	if got != "" {
		t.Errorf("lines %q", got)
	}
}
