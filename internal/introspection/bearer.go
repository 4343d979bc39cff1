package introspection

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

const (
	// unknownLife is how long an access token is used that has no expires_in.
	unknownLife = 5 * time.Minute
	shortLife   = time.Second // the shortest life that is believed, so that each second has one renewal
	longLife    = 24 * time.Hour

	// renewAhead is the longest time before the end of its life at which a token is
	// renewed; it is a quarter of a short life.
	renewAhead = time.Minute

	minCooldown = time.Second // after a renewal failed; it doubles with each further failure
	maxCooldown = 30 * time.Second
	// forcedInterval is how often a token is renewed because the endpoint refused it.
	forcedInterval = 5 * time.Second
)

var (
	errTokenAnswer = errors.New("the answer is no token response with an access_token of type Bearer (RFC 6749 §5.1)")
	errCoolingDown = errors.New("the token endpoint failed a short time ago and is not asked yet")
)

// bearer sends an access token that it gets by the client credentials grant (RFC 6749
// §4.4). One token serves all requests, and one renewal all that wait for it.
type bearer struct {
	sender  *sender // to the token endpoint
	locate  func(context.Context) (string, error)
	form    url.Values
	timeout time.Duration // of one renewal

	mu       sync.Mutex
	token    accessToken
	err      error     // of the last renewal
	next     time.Time // no renewal begins before
	forced   time.Time // when the last renewal of a refused token began
	failures int       // in a row
	flight   *detached.Flight
	renewals int // under way, with those that are late
}

// accessToken is a token with the times at which it has to be renewed and given up.
type accessToken struct {
	text          string
	version       int // from 1
	renew, expiry time.Time
}

func (b *bearer) authenticate(ctx context.Context, m *message) (int, error) {
	token, err := b.get(ctx)
	if err != nil {
		return 0, fmt.Errorf("the access token for the introspection endpoint cannot be had: %w", err)
	}
	m.header.Set("Authorization", "Bearer "+token.text)
	return token.version, nil
}

func (b *bearer) methods() []string { return []string{"Bearer"} }
func (b *bearer) hint() string      { return "" }

// get returns the token. It waits for a renewal only if there is no token that can be
// used.
func (b *bearer) get(ctx context.Context) (accessToken, error) {
	b.mu.Lock()
	now := time.Now()
	token := b.token
	if !now.Before(token.renew) {
		b.start(ctx, now)
	}
	flight, err := b.flight, b.err
	b.mu.Unlock()
	if now.Before(token.expiry) {
		return token, nil
	}
	if flight == nil {
		return accessToken{}, fmt.Errorf("%w: %w", errCoolingDown, err)
	}
	if err := flight.Wait(ctx, math.MaxInt); err != nil {
		return accessToken{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.token, nil
}

// renew gets another token, unless there is one already or a refused token was renewed
// a short time ago.
func (b *bearer) renew(ctx context.Context, version int) bool {
	b.mu.Lock()
	now := time.Now()
	if b.token.version == version && (b.forced.IsZero() || now.Sub(b.forced) >= forcedInterval) {
		b.forced = now
		b.start(ctx, now)
	}
	flight := b.flight
	differs := b.token.version != version
	b.mu.Unlock()
	if differs || flight == nil {
		return differs
	}
	_ = flight.Wait(ctx, math.MaxInt) // the token stays
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.token.version != version
}

// start begins a renewal, unless one is under way or the last failed a short time ago.
// The caller holds the lock.
func (b *bearer) start(ctx context.Context, now time.Time) {
	if b.flight != nil || now.Before(b.next) || b.renewals >= maxLate {
		return
	}
	b.flight = detached.NewFlight()
	b.renewals++
	go b.load(ctx, b.flight)
}

// load renews the token.
func (b *bearer) load(ctx context.Context, flight *detached.Flight) {
	token, over, err := detached.Do(ctx, b.timeout, b.fetch)
	b.mu.Lock()
	b.flight, b.err = nil, err
	if err == nil {
		token.version = b.token.version + 1
		b.token, b.failures, b.next = token, 0, time.Time{}
	} else {
		b.next = time.Now().Add(b.cooldown(err))
		b.failures++
	}
	b.mu.Unlock()
	flight.Land(err)
	<-over
	b.mu.Lock()
	defer b.mu.Unlock()
	b.renewals--
}

// cooldown returns how long no renewal begins after one has failed with err.
func (b *bearer) cooldown(err error) time.Duration {
	wait := minCooldown << min(b.failures, 5) //nolint:mnd // 32 s are beyond the bound
	if refused, ok := errors.AsType[*tokenError](err); ok {
		wait = max(wait, refused.after)
	}
	return min(wait, maxCooldown)
}

// tokenError is an answer of the token endpoint without a token.
type tokenError struct {
	err   error
	after time.Duration // that the endpoint asks to wait, or 0
}

func (e *tokenError) Error() string { return e.err.Error() }
func (e *tokenError) Unwrap() error { return e.err }

// fetch asks the token endpoint for a token.
func (b *bearer) fetch(ctx context.Context) (accessToken, error) {
	endpoint, err := b.locate(ctx)
	if err != nil {
		return accessToken{}, err
	}
	r := b.sender.post(ctx, fetch.Request{
		URL: endpoint, Accept: fetch.JSON, MediaTypes: []string{fetch.JSON, fetch.StructuredJSON},
	}, b.form, false)
	if r.secret != nil {
		return accessToken{}, r.secret
	}
	if r.err != nil {
		f := failureOf(place(endpoint), &r)
		return accessToken{}, &tokenError{f.err, f.retryAfter}
	}
	token, err := readToken(string(r.document.Body), r.began)
	if err != nil {
		return accessToken{}, fmt.Errorf("%s: %w", place(endpoint), err)
	}
	return token, nil
}

// readToken reads a token response (RFC 6749 §5.1). Errors quote nothing of it.
func readToken(document string, began time.Time) (accessToken, error) {
	members, err := strictjson.ParseObject(document, strictjson.TokenLimits, nil)
	if err != nil {
		return accessToken{}, fmt.Errorf("%w: %w", errTokenAnswer, err)
	}
	text, _ := claims.Lookup(members, "access_token").Text()
	kind, _ := claims.Lookup(members, "token_type").Text()
	if !isToken68(text) || !strings.EqualFold(kind, "Bearer") {
		return accessToken{}, errTokenAnswer
	}
	life := unknownLife
	if seconds := claims.Lookup(members, "expires_in"); seconds.Kind() != strictjson.Absent {
		end, ok := clock.NumericDate(seconds.Raw()) // a number of seconds, read as seconds after 1970
		if !ok {
			return accessToken{}, errTokenAnswer
		}
		life = min(max(time.Duration(min(end.Unix(), int64(longLife/time.Second)))*time.Second, shortLife), longLife)
	}
	return accessToken{
		text: strings.Clone(text), expiry: began.Add(life),
		renew: began.Add(life - min(life/4, renewAhead)), //nolint:mnd // a quarter
	}, nil
}

// isToken68 reports whether text is a bearer token (RFC 6750 §2.1).
func isToken68(text string) bool {
	body := strings.TrimRight(text, "=")
	return body != "" && strings.IndexFunc(body, func(c rune) bool { return !isTokenCharacter(c) }) < 0
}

// isTokenCharacter reports whether c may stand in a bearer token (RFC 6750 §2.1), save
// for the = at its end.
func isTokenCharacter(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-._~+/", c)
}
