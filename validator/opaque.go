package validator

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/introspection"
	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// opaqueIssuer is what is needed to ask an issuer about tokens.
type opaqueIssuer struct {
	asker    *introspection.Asker
	prefix   string // of its tokens; "" for none
	usesKeys bool   // answers are signed with the keys of the issuer
	flights  *introspection.Flights[*answered]
	tokens   selection     // of the tokens that the issuer is asked about
	negative time.Duration // how long an answer "not active" is used; 0: for one request
	// answerKeys are the keys of signed answers, where they are not those of the
	// issuer's JWTs. nil: they are, or answers are not signed.
	answerKeys *issuerkeys.Keys
	// jwts is what the issuer said about JWTs.
	jwts jwtAnswers
}

// acceptsJWTs reports whether the issuer's JWTs are validated locally.
func (is *Issuer) acceptsJWTs() bool { return is.Opaque == nil || is.Keys != nil }

// needsKeys reports whether the issuer's keys are used: for JWTs, or for signed answers
// that have no keys of their own.
func (is *checkedIssuer) needsKeys() bool {
	return is.acceptsJWTs() || is.opaque.usesKeys
}

// openOpaque opens what is needed to ask the issuer about tokens.
func (is *checkedIssuer) openOpaque(common opener, algorithms []jose.Algorithm, f fault.List) {
	o := &opaqueIssuer{
		tokens: newSelection(), prefix: is.Opaque.Prefix,
		usesKeys: is.Opaque.Signed && is.Opaque.AnswerKeys == nil,
	}
	answerKeys := is.keys
	if is.Opaque.AnswerKeys != nil {
		if !is.Opaque.Signed {
			f.At("AnswerKeys").Add("is for signed answers", "set Signed, or leave it out")
		}
		ofKeys := fault.In("validator")
		unstored := common
		unstored.snapshotDir = "" // it has one file for an issuer, of its own keys
		lines := &keyLines{lines: common.lines, issuer: is, keys: "answer keys", status: func() jwkscache.Status { return o.answerKeys.Status() }}
		o.answerKeys = is.openKeysOf(is.Opaque.AnswerKeys, algorithms, unstored, lines, ofKeys)
		for _, found := range fault.All(ofKeys.Err()) {
			found.Path = strings.TrimPrefix(found.Path, "Keys") // there, the source is Issuer.Keys
			f.At("AnswerKeys").Merge(found)
		}
		answerKeys = o.answerKeys
	}
	asker, err := introspection.Open(is.Opaque, introspection.Binding{
		Issuer:    is.URL,
		Endpoints: is.location.endpoints,
		AnswerKeys: func(ctx context.Context, header jose.Header) ([]*jose.Key, error) {
			return findKeys(ctx, answerKeys, header)
		},
		Algorithms: algorithms, HTTPClient: is.HTTPClient, InsecureAllowHTTP: is.InsecureAllowHTTP,
		Shared: common.introspections, Limits: common.limits, Trace: common.askHooks().Join(is.asks.trace()),
	})
	f.Merge(err)
	if err != nil {
		return
	}
	o.asker, o.negative = asker, asker.Negative()
	is.terms.answers = freshness{ttl: asker.TTL(), jwts: is.ActiveWithin}
	o.flights = introspection.NewFlights[*answered](asker.Longest(), common.introspections)
	is.opaque = o
}

// findKeys returns the keys to try for a signed answer.
func findKeys(ctx context.Context, keys *issuerkeys.Keys, header jose.Header) ([]*jose.Key, error) {
	found, err := keys.Find(ctx, time.Now(), header)
	if err != nil {
		return nil, err
	}
	return found.Keys, nil
}

// warm fetches what is needed to validate tokens of the issuer: its keys and its
// introspection endpoint.
func (is *checkedIssuer) warm(ctx context.Context) error {
	var failures []error
	if is.needsKeys() {
		failures = append(failures, is.failure(is.keys.Warm(ctx)))
	}
	if o := is.opaque; o != nil {
		failures = append(failures, is.failure(o.asker.Warm(ctx)))
		if o.answerKeys != nil {
			failures = append(failures, is.failure(o.answerKeys.Warm(ctx)))
		}
	}
	return errors.Join(failures...)
}

// run keeps the keys fresh until ctx ends, and finds the endpoints.
func (is *checkedIssuer) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	if o := is.opaque; o != nil {
		all.Go(func() { o.locate(ctx) })
		if o.answerKeys != nil {
			all.Go(func() { o.answerKeys.Run(ctx) })
		}
	}
	if is.needsKeys() {
		is.keys.Run(ctx)
	}
}

// locate finds the endpoints that are not configured. It tries again after failures, so
// that a program which gets no tokens before it is ready becomes ready.
func (o *opaqueIssuer) locate(ctx context.Context) {
	for pause := time.Second; o.asker.Ready() != nil; pause = min(2*pause, metadataRetry) {
		if o.asker.Warm(ctx) == nil {
			return
		}
		timer := time.NewTimer(pause - rand.N(pause/2)) //nolint:gosec // jitter
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// ready returns nil if tokens of the issuer can be validated now.
func (is *checkedIssuer) ready() error {
	var failures []error
	if is.needsKeys() {
		failures = append(failures, is.failure(is.keys.Ready()))
	}
	if o := is.opaque; o != nil {
		failures = append(failures, is.failure(o.asker.Ready()))
		if o.answerKeys != nil {
			failures = append(failures, is.failure(o.answerKeys.Ready()))
		}
	}
	return errors.Join(failures...)
}
