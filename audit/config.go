// Package audit writes what a Guard decides to a log, through log/slog: one record for each
// refusal and for each permitted privileged request, and one for each security event, such
// as a token in a URL. docs/audit.md describes the records.
//
// A record has no token, no proof and no secret. Tokens and subjects are in it as keyed
// hashes. The log never delays a request: what it cannot write in time is counted and left
// out.
package audit

import (
	"context"
	"crypto/rand"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// schemaVersion is the value of the attribute schema of every record. It changes when an
// attribute gets another name or meaning, not when one is added.
const schemaVersion = 1

// minKey is the least length of Config.Key in bytes.
const minKey = 32

// Key is a secret that nothing prints.
type Key struct {
	secret func() []byte // a function, because printers that use reflection follow every pointer
}

// NewKey returns a copy of secret as a Key. It should be at least 32 random bytes.
func NewKey(secret []byte) Key {
	secret = append([]byte{}, secret...)
	return Key{func() []byte { return secret }}
}

// Config is the configuration of a [Log]. The zero Config is usable. New copies it.
type Config struct {
	// Logger writes the records, one after the other. Its handler gets
	// [context.Background], since records are written after their requests. Refusals and
	// permitted requests are of level Info, security events and numbers of lost records of
	// level Warn. nil: [slog.Default] at the time of New.
	Logger *slog.Logger
	// Key is the secret of the hashes ([NewKey]). Programs with the same key write the same
	// hash for the same token and the same subject. Who has the key can tell whether a token
	// or a subject that they know is in the log. The zero Key: a random one, so that hashes
	// of this process can be compared with each other only.
	Key Key
	// ShowSubjects writes the subject, and that of the actor, beside the hash. Subjects are
	// personal data in most services. false: there are hashes only.
	ShowSubjects bool
	// RequestID returns the id of the request from its context, such as the one that the
	// router made. One that is longer than 128 bytes, or has other characters than printable
	// ASCII without spaces, is written as "invalid". A client that chooses its own id can
	// choose that of another request. nil: records have no id.
	RequestID func(context.Context) string
	// Sampling bounds how many refusals are written. Permitted privileged requests and
	// security events are always written.
	Sampling Sampling
	// Waiting is how many refusals, and how many permitted privileged requests, may wait
	// until the handler takes them. 0: 4096 of each. More are left out, and their number is
	// written once a minute.
	Waiting int
	// WaitingBytes is the size of the refusals, and that of the permitted privileged
	// requests, that may wait. 0: 4 MiB each.
	WaitingBytes int
	// Thresholds say how many occurrences in a Window make a security event. One that is
	// negative switches the event off. Those that are 0 or not in the map have their
	// default: 100 for the spikes, and 1.
	Thresholds map[Event]int
	// Window is the time in which occurrences are counted. 0: 1 minute.
	Window time.Duration
}

// Sampling bounds how many refusals of one reason, issuer and route are written in each
// Window. The numbers of those that are left out are exact, and are written when the Window
// has ended.
type Sampling struct {
	First  int           // these are written. 0: 100
	Every  int           // and one in Every of the others. 0: 100; negative: none
	Window time.Duration // 0: 10 s; otherwise at least 1 s
	Off    bool          // all are written. Other fields must be zero
}

// Defaults of the Config.
const (
	defaultWaiting      = 4096
	defaultWaitingBytes = 4 << 20
	defaultFirst        = 100
	defaultEvery        = 100
	defaultSampleWindow = 10 * time.Second
	defaultWindow       = time.Minute
)

// check returns all faults, and sets defaults.
func (c *Config) check() error {
	faults := fault.In("audit")
	if c.Key.secret != nil && len(c.Key.secret()) < minKey {
		faults.At("Key").Addf("give at least 32 random bytes, or leave it out", "has %d bytes", len(c.Key.secret()))
	}
	for _, number := range []struct {
		field string
		value int
	}{{"Waiting", c.Waiting}, {"WaitingBytes", c.WaitingBytes}, {"Window", int(c.Window)}, {"Sampling.First", c.Sampling.First}, {"Sampling.Window", int(c.Sampling.Window)}} {
		if number.value < 0 {
			faults.At(number.field).Add("is negative", "give a positive value, or 0 for the default")
		}
	}
	if window := c.Sampling.Window; window > 0 && window < time.Second {
		faults.At("Sampling.Window").Add("is less than a second", "give at least a second, or 0 for the default")
	}
	if c.Sampling.Off && c.Sampling != (Sampling{Off: true}) {
		faults.At("Sampling.Off").Add("is set, and so are other fields", "leave the others out")
	}
	for _, event := range slices.Sorted(maps.Keys(c.Thresholds)) {
		if _, known := defaultThresholds[event]; !known {
			faults.At("Thresholds").Addf("use a constant of the package", "has %.64q, which is no event", string(event))
		}
	}
	return faults.Err()
}

// withDefaults returns a copy of c without zero values.
func (c *Config) withDefaults() Config {
	full := *c
	if full.Logger == nil {
		full.Logger = slog.Default()
	}
	if full.Key.secret == nil {
		random := make([]byte, minKey)
		_, _ = rand.Read(random) // never fails
		full.Key = NewKey(random)
	}
	setDefault(&full.Waiting, defaultWaiting)
	setDefault(&full.WaitingBytes, defaultWaitingBytes)
	setDefault(&full.Window, defaultWindow)
	setDefault(&full.Sampling.First, defaultFirst)
	setDefault(&full.Sampling.Every, defaultEvery)
	setDefault(&full.Sampling.Window, defaultSampleWindow)
	full.Thresholds = maps.Clone(defaultThresholds)
	for event, threshold := range c.Thresholds {
		if threshold != 0 {
			full.Thresholds[event] = threshold
		}
	}
	return full
}

func setDefault[T int | time.Duration](value *T, to T) {
	if *value == 0 {
		*value = to
	}
}
