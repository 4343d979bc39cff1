package audit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/validator"
)

// recordEvent is the value of the attribute event.
type recordEvent string

const (
	denied     recordEvent = "denial"
	allowed    recordEvent = "privileged_allow"
	ended      recordEvent = "held_end" // the Guard ended a request that it had permitted
	security   recordEvent = "security"
	sampledOut recordEvent = "sampled_out"
)

// Bounds of texts in bytes.
const (
	maxText      = 256
	maxRequestID = 128
)

// attrs returns the attributes of a record about d, but schema.
func (l *Log) attrs(ctx context.Context, d *middleware.Decision, event recordEvent) []slog.Attr {
	attrs := append(make([]slog.Attr, 0, 24), slog.String("event", string(event)), slog.String("outcome", outcome(d.Denial)))
	if d.Denial != nil {
		attrs = append(attrs, slog.String("reason", string(d.Denial.Reason)), slog.String("class", string(d.Denial.Class)))
	}
	return append(attrs, l.identity(ctx, d)...)
}

// outcome returns the value of the attribute outcome.
func outcome(denial *middleware.Denial) string {
	switch {
	case denial == nil:
		return "allowed"
	case denial.Class == middleware.ClassUnavailable:
		return "undetermined"
	case denial.Class == middleware.ClassCanceled:
		return "canceled"
	default:
		return "denied"
	}
}

// identity returns the attributes that say which request, which token and whose it was.
// What is not known is left out. What the token says is there only if the token is valid.
func (l *Log) identity(ctx context.Context, d *middleware.Decision) []slog.Attr {
	attrs := make([]slog.Attr, 0, 20)
	text := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, printable(value)))
		}
	}
	text("route", d.Route)
	text("transport", d.Transport)
	if d.Privileged {
		attrs = append(attrs, slog.Bool("privileged", true))
	}
	text("scheme", d.Scheme.String())
	attrs = l.requestID(ctx, attrs)
	text("source", string(d.Source))
	text("kind", string(d.Kind))
	if hash := l.hasher.token(d); hash != nil {
		text("token_hash", shown(hash))
	}
	if d.Token == nil {
		text("unverified_issuer", d.Issuer)
		return attrs
	}
	token := d.Token
	text("issuer", token.Issuer())
	text("client_id", token.ClientID())
	text("tenant", token.Tenant())
	if id := token.ID(); id != "" {
		text("token_id_hash", l.hasher.id(token.Issuer(), id))
	}
	if subject := token.Subject(); subject != "" {
		text("subject_hash", l.hasher.subject(token.Issuer(), subject))
		if l.config.ShowSubjects {
			text("subject", subject)
		}
	}
	if actor, ok := token.Actor(); ok {
		attrs = append(attrs, l.actor(token, actor))
	}
	byID, byThumbprint := token.Key()
	text("key", keyName(byID, byThumbprint))
	return attrs
}

// actor returns the attribute for the party that acts for the subject of token.
func (l *Log) actor(token *validator.Token, actor validator.Party) slog.Attr {
	issuer := actor.Issuer
	if issuer == "" {
		issuer = token.Issuer()
	}
	attrs := []slog.Attr{slog.String("issuer", printable(issuer))}
	if actor.ClientID != "" {
		attrs = append(attrs, slog.String("client_id", printable(actor.ClientID)))
	}
	if actor.Subject != "" {
		attrs = append(attrs, slog.String("subject_hash", l.hasher.subject(issuer, actor.Subject)))
		if l.config.ShowSubjects {
			attrs = append(attrs, slog.String("subject", printable(actor.Subject)))
		}
	}
	return slog.Attr{Key: "actor", Value: slog.GroupValue(attrs...)}
}

// requestID appends the id of the request, if there is one.
func (l *Log) requestID(ctx context.Context, attrs []slog.Attr) []slog.Attr {
	if l.config.RequestID == nil {
		return attrs
	}
	switch id := l.callRequestID(ctx); {
	case id == "":
		return attrs
	case !isRequestID(id):
		return append(attrs, slog.String("request_id", "invalid"))
	default:
		return append(attrs, slog.String("request_id", strings.Clone(id))) // not the whole text that it may be part of
	}
}

// callRequestID returns "" if the function panics, so that the record is not lost.
func (l *Log) callRequestID(ctx context.Context) (id string) {
	defer hook.Recover()
	return l.config.RequestID(ctx)
}

func isRequestID(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return len(id) <= maxRequestID
}

// keyName returns the kid of the key, or else its thumbprint.
func keyName(byID, byThumbprint jwkscache.KeyName) string {
	if byID.KeyID != "" {
		return byID.KeyID
	}
	return byThumbprint.Thumbprint
}

// printable returns a copy of text with a mark in place of characters that do not print, and
// no more than 256 bytes of it. text may be a part of a large token, which a record that
// waits must not keep in memory.
func printable(text string) string {
	cut := false
	if len(text) > maxText {
		end := maxText
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		text, cut = text[:end], true
	}
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
	if cut {
		return text + "…"
	}
	return strings.Clone(text)
}

// hashBytes is how many bytes of a hash are shown.
const hashBytes = 16

// shown returns the first bytes of a hash, in hex.
func shown(hash []byte) string { return hex.EncodeToString(hash[:hashBytes]) }

// hasher makes keyed hashes. Each purpose has a key of its own, so that hashes of different
// things cannot be compared. The keys are in functions, which no printer looks into.
type hasher struct {
	token   func(*middleware.Decision) []byte // nil if there is no token
	id      func(issuer, id string) string
	subject func(issuer, subject string) string
}

func newHasher(secret []byte) *hasher {
	derive := func(purpose string) []byte {
		mac := hmac.New(sha256.New, secret)
		_, _ = mac.Write([]byte("sallyport audit 1 " + purpose))
		return mac.Sum(nil)
	}
	tokens, ids, subjects := derive("token"), derive("id"), derive("subject")
	return &hasher{
		token:   func(d *middleware.Decision) []byte { return d.TokenHash(tokens) },
		id:      func(issuer, id string) string { return hashOf(ids, issuer, id) },
		subject: func(issuer, subject string) string { return hashOf(subjects, issuer, subject) },
	}
}

// hashOf returns the hash of what is called name at an issuer.
func hashOf(key []byte, issuer, name string) string {
	mac := hmac.New(sha256.New, key)
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(issuer))) // so that no two pairs have the same bytes
	_, _ = mac.Write(length[:])
	_, _ = mac.Write([]byte(issuer))
	_, _ = mac.Write([]byte(name))
	return shown(mac.Sum(nil))
}
