package validator_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// answersOf is a change: answers are signed, with the keys of source.
func answersOf(source jwkscache.Source) func(*validator.Issuer) {
	return func(config *validator.Issuer) {
		client := *config.Opaque
		client.Signed, client.AnswerKeys = true, source
		config.Opaque = &client
	}
}

// newSigner returns an issuer in memory whose answers are signed.
func newSigner(t *testing.T) *issuertest.Issuer {
	t.Helper()
	return issuertest.Start(t, testissuer.Config{Clients: []testissuer.Client{{ID: testissuer.ClientID, Secret: testissuer.ClientSecret, Signed: true}}})
}

// TestAnswerKeys (R-IN-17): signed answers are verified with AnswerKeys only where they are set, and JWTs with Keys only.
func TestAnswerKeys(t *testing.T) {
	other := jwkscache.Static(issuertest.At(t, "https://other.test").JWKS())
	for _, row := range []struct {
		name            string
		keys, answers   func(*issuertest.Issuer) jwkscache.Source
		jwt             validator.Reason
		answer          validator.Reason
		kind            introspect.Kind
		fetchesByAnswer int
	}{
		{"one set for both", ownKeys, noKeys, "", "", "", 0},
		{"other keys for JWTs", keysFrom(other), ownKeys, validator.BadSignature, "", "", 0},
		{"other keys for answers", ownKeys, keysFrom(other), "", validator.Unavailable, introspect.UntrustedAnswer, 0},
		{"fetched keys for answers", ownKeys, fetchedKeys, "", "", "", 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			is := newSigner(t)
			v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{
				is.HybridConfig(func(c *validator.Issuer) { c.Keys = row.keys(is) }, answersOf(row.answers(is))),
			}})
			if _, err := v.Validate(t.Context(), is.Bearer(nil)); validator.ReasonOf(err) != row.jwt {
				t.Errorf("JWT: %v, want %q", causeOf(err), row.jwt)
			}
			_, err := v.Validate(t.Context(), is.OpaqueBearer(nil))
			if validator.ReasonOf(err) != row.answer || row.kind != "" && !errors.Is(err, row.kind) {
				t.Errorf("answer: %v, want %q", causeOf(err), row.answer)
			}
			if n := is.Requests(testissuer.JWKS); n != row.fetchesByAnswer {
				t.Errorf("%d requests for keys, want %d", n, row.fetchesByAnswer)
			}
		})
	}
}

func ownKeys(is *issuertest.Issuer) jwkscache.Source     { return jwkscache.Static(is.JWKS()) }
func fetchedKeys(is *issuertest.Issuer) jwkscache.Source { return jwkscache.URL(is.JWKSURL()) }
func noKeys(*issuertest.Issuer) jwkscache.Source         { return nil }
func keysFrom(source jwkscache.Source) func(*issuertest.Issuer) jwkscache.Source {
	return func(*issuertest.Issuer) jwkscache.Source { return source }
}

// TestKeysThatAreNeeded (R-IN-17): Warm fetches the keys and the metadata that answers need, and nothing else. Ready reports an issuer before that,
// and not after it.
func TestKeysThatAreNeeded(t *testing.T) {
	unsigned := func(*validator.Issuer) {}
	for _, row := range []struct {
		name           string
		change         func(*issuertest.Issuer) func(*validator.Issuer)
		keys, metadata int
	}{
		{"unsigned answers", func(*issuertest.Issuer) func(*validator.Issuer) { return unsigned }, 0, 0},
		{"the endpoint of the metadata", func(*issuertest.Issuer) func(*validator.Issuer) { return discovered }, 0, 1},
		{"the keys of the issuer", func(*issuertest.Issuer) func(*validator.Issuer) { return answersOf(nil) }, 1, 1},
		{"fetched AnswerKeys", func(is *issuertest.Issuer) func(*validator.Issuer) { return answersOf(fetchedKeys(is)) }, 1, 0},
		{"AnswerKeys that are known", func(is *issuertest.Issuer) func(*validator.Issuer) { return answersOf(ownKeys(is)) }, 0, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			is := newSigner(t)
			v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.OpaqueConfig(row.change(is))}})
			if ready := v.Ready() == nil; ready != (row.keys+row.metadata == 0) {
				t.Errorf("before Warm: ready %t", ready)
			}
			if err := v.Warm(t.Context()); err != nil {
				t.Errorf("Warm: %v", err)
			}
			if err := v.Ready(); err != nil {
				t.Errorf("after Warm: %v", err)
			}
			if keys, metadata := is.Requests(testissuer.JWKS), is.Requests(testissuer.OAuthMetadata); keys != row.keys || metadata != row.metadata {
				t.Errorf("%d requests for keys and %d for metadata, want %d and %d", keys, metadata, row.keys, row.metadata)
			}
		})
	}
}

// TestWarmReportsAnswerKeys (R-IN-17): Warm and Ready name what cannot be had, and an answer then gives no verdict.
func TestWarmReportsAnswerKeys(t *testing.T) {
	is := newSigner(t)
	is.Behave(testissuer.JWKS, testissuer.Behaviour{Status: 503})
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.OpaqueConfig(answersOf(fetchedKeys(is)))}})
	if v.Warm(t.Context()) == nil || v.Ready() == nil {
		t.Error("Warm or Ready reports nothing")
	}
	if _, err := v.Validate(t.Context(), is.OpaqueBearer(nil)); validator.ReasonOf(err) != validator.Unavailable || !errors.Is(err, introspect.AnswerKeysMissing) {
		t.Errorf("%v, want %q", causeOf(err), introspect.AnswerKeysMissing)
	}
}

// TestRunKeepsAnswerKeys (R-IN-17): Run fetches AnswerKeys that are about to become stale, and ends with its context.
func TestRunKeepsAnswerKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newSigner(t)
		v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.OpaqueConfig(answersOf(fetchedKeys(is)))}})
		if err := v.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := is.Requests(testissuer.JWKS)
		go func() { _ = v.Run(t.Context()) }()
		time.Sleep(25 * time.Hour)
		if is.Requests(testissuer.JWKS) == before {
			t.Error("Run fetched no keys in 25 h")
		}
	})
}

// TestAnswerKeyFaults (R-IN-02): AnswerKeys without Signed are a fault, and a fault of the keys has the path of the field. A fault of another field of
// Opaque is reported beside it.
func TestAnswerKeyFaults(t *testing.T) {
	is := newSigner(t)
	good, bad := ownKeys(is), jwkscache.Static([]byte("x"))
	for _, row := range []struct {
		name   string
		keys   jwkscache.Source
		signed bool
		id     string
		paths  []string
	}{
		{"good", good, true, testissuer.ClientID, nil},
		{"unsigned", good, false, testissuer.ClientID, []string{"Issuers[0].Opaque.AnswerKeys"}},
		{"bad keys", bad, true, testissuer.ClientID, []string{"Issuers[0].Opaque.AnswerKeys"}},
		{"another field", good, true, "", []string{"Issuers[0].Opaque.ID"}},
		{"both", bad, true, "", []string{"Issuers[0].Opaque.AnswerKeys", "Issuers[0].Opaque.ID"}},
	} {
		config := is.OpaqueConfig(answersOf(row.keys))
		config.Opaque.Signed, config.Opaque.ID = row.signed, row.id
		_, err := validator.New(validator.Config{Issuers: []validator.Issuer{config}})
		var paths []string
		for _, found := range validator.Faults(err) {
			paths = append(paths, found.Path)
		}
		if !slices.Equal(paths, row.paths) {
			t.Errorf("%s: faults of %v, want %v: %v", row.name, paths, row.paths, err)
		}
	}
}
