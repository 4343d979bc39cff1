package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// Forms of google/rpc/error_details.proto.
var (
	reasonForm = regexp.MustCompile(`^[A-Z][A-Z0-9_]+[A-Z0-9]$`)
	keyForm    = regexp.MustCompile(`^[a-z][a-zA-Z0-9-_]+$`)
)

// denialsOf returns the Denial of each row of refusalRows over net/http, and those
// that no row can have.
func denialsOf(t *testing.T, config middleware.Config) map[string]*middleware.Denial {
	t.Helper()
	issuer := issuertest.New(t)
	all := map[string]*middleware.Denial{}
	name := ""
	config.Trace = denials(func(_ context.Context, d *middleware.Denial) { all[name] = d })
	guard := issuer.Guard(t, config)
	for _, row := range refusalRows(issuer) {
		name = row.name
		serve(guard.Require(row.policy, new(handler)), request(row.authorization...))
	}
	mux := guard.NewMux()
	mux.Handle("POST /orders", scopes.Authenticated(), new(handler))
	for _, path := range []string{"/orders", "/nowhere", "/a//b"} {
		name = path
		r := request("Bearer " + issuer.Sign(testissuer.Token{}))
		r.URL.Path = path
		serve(mux, r)
	}
	for _, reason := range []validator.Reason{validator.Inactive, validator.Revoked, validator.BadProof, validator.ProofReplayed, validator.NonceRequired, validator.Canceled} {
		name = string(reason)
		_ = routeOf(t, guard, scopes.All("read")).Refuse(t.Context(), reason)
	}
	name = "retry"
	_ = routeOf(t, guard, scopes.All("read")).Refuse(t.Context(), validator.Refuse(validator.Unavailable, delayed(90*time.Second+1)))
	return all
}

// delayed is an error that asks callers to wait.
type delayed time.Duration

func (d delayed) Error() string { return "wait" }

func (d delayed) RetryAfter() time.Duration { return time.Duration(d) }

// TestErrorInfo covers R-GR-04, R-GR-06 and R-GR-09: the ErrorInfo of every Class under every kind of policy has the forms of google/rpc/error_details.proto, and
// gives back the status, the challenges and the other fields of the HTTP answer.
func TestErrorInfo(t *testing.T) {
	for name, config := range map[string]middleware.Config{
		"default":  {},
		"metadata": {ResourceMetadata: metadataURL, Realm: `a "quoted\ realm`},
		"hidden":   {HideScopes: true},
	} {
		seen := map[middleware.Class]bool{}
		for row, denial := range denialsOf(t, config) {
			seen[denial.Class] = true
			reason, metadata := denial.ErrorInfo()
			if len(reason) > 63 || !reasonForm.MatchString(reason) {
				t.Errorf("%s, %s: reason %q", name, row, reason)
			}
			for key := range metadata {
				if len(key) > 64 || !keyForm.MatchString(key) {
					t.Errorf("%s, %s: key %q", name, row, key)
				}
			}
			parsed, ok := middleware.ParseErrorInfo(reason, metadata, denial.RetryAfter)
			if !ok {
				t.Errorf("%s, %s: %s %q is not parsed", name, row, reason, metadata)
				continue
			}
			wantStatus, wantHeader, wantBody := denial.Response()
			status, header, body := parsed.Response()
			if status != wantStatus || !maps.EqualFunc(header, wantHeader, slices.Equal) || string(body) != string(wantBody) {
				t.Errorf("%s, %s:\n%d %q %q, want\n%d %q %q", name, row, status, header, body, wantStatus, wantHeader, wantBody)
			}
			if parsed.Class != denial.Class || parsed.Reason != "" || parsed.Error() != "sallyport: denied: "+string(denial.Class) {
				t.Errorf("%s, %s: %s %q, %v", name, row, parsed.Class, parsed.Reason, parsed)
			}
			if again, values := parsed.ErrorInfo(); again != reason || !maps.Equal(values, metadata) {
				t.Errorf("%s, %s: second ErrorInfo %s %q, want %s %q", name, row, again, values, reason, metadata)
			}
		}
		if got, want := slices.Sorted(maps.Keys(seen)), declaredClasses(t); !slices.Equal(got, want) {
			t.Errorf("%s: tested are %q, declared %q", name, got, want)
		}
	}
}

// declaredClasses returns the constants of Class, sorted.
func declaredClasses(t *testing.T) []middleware.Class {
	t.Helper()
	source, err := os.ReadFile("class.go")
	if err != nil {
		t.Fatal(err)
	}
	var all []middleware.Class
	for _, found := range regexp.MustCompile(`(?m)^\tClass\w+ +Class = "(\w+)"`).FindAllSubmatch(source, -1) {
		all = append(all, middleware.Class(found[1]))
	}
	slices.Sort(all)
	return all
}

// TestErrorInfoMetadata has the metadata of some policies, and covers R-CH-07:
// scopes that the challenge hides are hidden here, too.
func TestErrorInfoMetadata(t *testing.T) {
	open, hidden := denialsOf(t, middleware.Config{ResourceMetadata: metadataURL}), denialsOf(t, middleware.Config{HideScopes: true})
	for _, row := range []struct {
		denial *middleware.Denial
		reason string
		want   map[string]string
	}{
		{open["no token, All"], "NO_CREDENTIALS", map[string]string{"realm": "api", "scope": "read write", "resourceMetadata": metadataURL}},
		{hidden["no token, All"], "NO_CREDENTIALS", map[string]string{"realm": "api"}},
		{hidden["All"], "INSUFFICIENT_SCOPE", map[string]string{"realm": "api", "scope": "read write"}},
		{open["step-up and scopes"], "INSUFFICIENT_USER_AUTHENTICATION", map[string]string{"realm": "api", "scope": "read write", "acrValues": "urn:mfa urn:hw", "resourceMetadata": metadataURL}},
		{open["MaxAuthAge"], "INSUFFICIENT_USER_AUTHENTICATION", map[string]string{"realm": "api", "maxAge": "300", "resourceMetadata": metadataURL}},
		{open["bad grammar"], "INVALID_REQUEST", map[string]string{"realm": "api"}},
		{open["/a//b"], "INVALID_REQUEST", nil},
		{open["hook forbids"], "FORBIDDEN", nil},
		{open["/orders"], "METHOD_NOT_ALLOWED", map[string]string{"allow": "POST"}},
		{nil, "UNAVAILABLE", nil},
		{new(middleware.Denial), "UNAVAILABLE", nil},
	} {
		if reason, metadata := row.denial.ErrorInfo(); reason != row.reason || !maps.Equal(metadata, row.want) || (metadata == nil) != (row.want == nil) {
			t.Errorf("%s %q, want %s %q", reason, metadata, row.reason, row.want)
		}
	}
}

// TestErrorInfoTable compares the reasons with those of testdata/errorinfo.txt, which
// clients depend on: a line is never changed or removed.
func TestErrorInfoTable(t *testing.T) {
	want, err := os.ReadFile("testdata/errorinfo.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{"domain " + middleware.ErrorDomain + "\n": true}
	for _, denial := range denialsOf(t, middleware.Config{}) {
		reason, _ := denial.ErrorInfo()
		lines[fmt.Sprintf("%s %s grpc=%d http=%d\n", denial.Class, reason, denial.Class.GRPC(), denial.Status)] = true
	}
	if got := strings.Join(slices.Sorted(maps.Keys(lines)), ""); got != string(want) {
		t.Errorf("the table is\n%s, want\n%s", got, want)
	}
}

// TestErrorInfoHasNothingOfTheToken covers R-GR-09: whatever a token says, its
// metadata is that of another token which is refused alike.
func TestErrorInfoHasNothingOfTheToken(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{})
	canary := map[string]any{
		"sub": canaryToken, "client_id": canaryToken, "jti": canaryToken, "acr": canaryToken, "amr": []string{canaryToken}, "scope": canaryToken,
		"roles": []string{canaryToken}, "tenant": canaryToken, "act": map[string]any{"sub": canaryToken}, "auth_time": 1,
	}
	for _, policy := range []scopes.Policy{
		scopes.All("write"), scopes.ACR("urn:mfa"), scopes.MaxAuthAge(time.Minute), scopes.NotDelegated(), scopes.Audience("https://b.test"),
		scopes.And(scopes.All("write"), scopes.MFA("urn:mfa")), scopes.SenderConstrained(),
		scopes.Check("hook", time.Second, func(context.Context, *validator.Token, scopes.Operation) error { return errors.New(canaryToken) }),
	} {
		denial := routeOf(t, guard, policy).Check(t.Context(), issuer.Bearer(canary), scopes.Operation{}).Denial()
		if denial == nil {
			t.Errorf("%v permits the token", policy)
			continue
		}
		reason, metadata := denial.ErrorInfo()
		for key, value := range metadata {
			if strings.Contains(reason+key+value, canaryToken) {
				t.Errorf("%v: %s=%q", policy, key, value)
			}
		}
	}
}

// TestParseErrorInfo has what is not the ErrorInfo of a Denial, and what differs from
// one and is taken.
func TestParseErrorInfo(t *testing.T) {
	with := func(key, value string) map[string]string {
		metadata := map[string]string{"realm": "api"}
		metadata[key] = value
		return metadata
	}
	for _, row := range []struct {
		reason   string
		metadata map[string]string
	}{
		{"", nil},
		{"", with("scope", "read")},
		{"UNKNOWN", with("scope", "read")},
		{"invalid_token", with("scope", "read")},
		{"EXPIRED", with("scope", "read")},
		{"INVALID_TOKEN", nil},
		{"INVALID_TOKEN", map[string]string{"scope": "read"}},
		{"INVALID_TOKEN", map[string]string{"realm": "", "scope": "read"}},
		{"INVALID_TOKEN", with("realm", "a\r\nSet-Cookie: b")},
		{"INVALID_REQUEST", with("realm", "é")},
		{"INSUFFICIENT_SCOPE", with("scope", "a\nb")},
		{"INSUFFICIENT_SCOPE", with("resourceMetadata", "http://api.test/")},
		{"INSUFFICIENT_SCOPE", with("resourceMetadata", "/relative")},
		{"INSUFFICIENT_USER_AUTHENTICATION", with("acrValues", "\x7f")},
		{"INSUFFICIENT_USER_AUTHENTICATION", with("maxAge", "0")},
		{"INSUFFICIENT_USER_AUTHENTICATION", with("maxAge", "-1")},
		{"INSUFFICIENT_USER_AUTHENTICATION", with("maxAge", "+1")},
		{"INSUFFICIENT_USER_AUTHENTICATION", with("maxAge", "01")},
		{"INSUFFICIENT_USER_AUTHENTICATION", with("maxAge", "1s")},
		{"INSUFFICIENT_USER_AUTHENTICATION", with("maxAge", "99999999999999999999")},
		{"METHOD_NOT_ALLOWED", with("allow", "GET\r\nA: b")},
	} {
		if d, ok := middleware.ParseErrorInfo(row.reason, row.metadata, time.Second); ok || d != nil {
			t.Errorf("%s %q is taken as %+v", row.reason, row.metadata, d)
		}
	}
	d, ok := middleware.ParseErrorInfo("INVALID_TOKEN", with("newer", "\n"), time.Minute)
	if !ok || d.Status != http.StatusUnauthorized || d.RetryAfter != 0 || !slices.Equal(d.Challenges, []string{`Bearer realm="api", error="invalid_token", error_description="The access token is invalid"`}) {
		t.Errorf("an unknown key, and a delay that does not belong to the class: %+v", d)
	}
	if d, ok := middleware.ParseErrorInfo("FORBIDDEN", map[string]string{"scope": "\n", "allow": "GET"}, 0); !ok || d.Status != http.StatusForbidden || d.Challenges != nil {
		t.Errorf("parameters of a class without challenge: %+v", d)
	} else if _, metadata := d.ErrorInfo(); metadata != nil {
		t.Errorf("methods of another class than that of 405: %q", metadata)
	}
	if text := (&middleware.Denial{Class: "other"}).Error(); text != "sallyport: denied: unavailable" {
		t.Errorf("an unknown class: %s", text)
	}
	if errors.Is(d, validator.Unavailable) {
		t.Errorf("a Denial without Reason is %s", validator.Unavailable)
	}
}

// TestParseErrorInfoDelay covers R-CH-13: what cannot be decided now has a
// Retry-After of at least a second, and no server can make it long.
func TestParseErrorInfoDelay(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{
		-time.Hour: time.Second, 0: time.Second, 1: time.Second, time.Second: time.Second, 1500 * time.Millisecond: 2 * time.Second, time.Hour: 5 * time.Minute,
		1<<63 - 1: 5 * time.Minute,
	} {
		if d, ok := middleware.ParseErrorInfo("UNAVAILABLE", nil, given); !ok || d.RetryAfter != want || d.Status != http.StatusServiceUnavailable {
			t.Errorf("%v: %+v, want %v", given, d, want)
		}
	}
}

// TestMessages checks that every class has a message, which is a single line and says
// nothing but what all refusals of the class have in common.
func TestMessages(t *testing.T) {
	for _, denial := range denialsOf(t, middleware.Config{}) {
		message := denial.Class.Message()
		if message == "" || strings.ContainsAny(message, "\r\n\"") || denial.Class != middleware.ClassUnavailable && message == middleware.ClassUnavailable.Message() {
			t.Errorf("%s: the message is %q", denial.Class, message)
		}
	}
	if got := middleware.Class("made up").Message(); got != middleware.ClassUnavailable.Message() {
		t.Errorf("an unknown class has the message %q", got)
	}
}
