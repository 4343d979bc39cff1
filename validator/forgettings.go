package validator

import (
	"slices"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

const (
	// maxForgettings is how many calls of ForgetAnswers are remembered one by one for an
	// issuer. The earlier ones then count as if they were about all of its tokens.
	maxForgettings = 64
	// forgettingLife is how long a call is remembered: longer than any answer is under
	// way or used.
	forgettingLife = 15 * time.Minute
)

// forgettings are the calls of [Validator.ForgetAnswers]. They are remembered by the URL
// of the issuer, because a resolved issuer may be found again in between.
type forgettings struct {
	mu       sync.Mutex
	number   uint64 // of the last call, for all issuers
	byIssuer map[string][]forgetting
}

// forgetting is one call, or several earlier ones that count as one about everything.
type forgetting struct {
	number uint64
	at     time.Time
	about  AnswersAbout
}

// last returns the number of the last call.
func (f *forgettings) last() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.number
}

// add records a call.
func (f *forgettings) add(about AnswersAbout, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for issuer, calls := range f.byIssuer {
		calls = slices.DeleteFunc(calls, func(c forgetting) bool { return now.Sub(c.at) >= forgettingLife })
		if f.byIssuer[issuer] = calls; len(calls) == 0 {
			delete(f.byIssuer, issuer)
		}
	}
	f.number++
	calls := f.byIssuer[about.Issuer]
	calls = append(calls, forgetting{f.number, now, about})
	if len(calls) > maxForgettings {
		calls[1].about = AnswersAbout{Issuer: about.Issuer}
		calls = slices.Delete(calls, 0, 1)
	}
	if f.byIssuer == nil {
		f.byIssuer = make(map[string][]forgetting)
	}
	f.byIssuer[about.Issuer] = calls
}

// includes reports whether an answer is forgotten. number is that of the last call before
// the request for the answer. stored is the beginning of the request for an answer that
// comes from a Store, and zero for others.
func (f *forgettings) includes(is *checkedIssuer, answer *facts, number uint64, stored time.Time) bool {
	f.mu.Lock()
	calls := slices.Clone(f.byIssuer[is.URL]) // the lock is not held while answers are parsed
	f.mu.Unlock()
	return slices.ContainsFunc(calls, func(c forgetting) bool {
		later := c.number > number || !stored.IsZero() && !c.at.Before(stored)
		return later && c.about.matches(answer)
	})
}

// matches reports whether an answer is about such a token. A member that the answer does
// not have may have any value.
func (a *AnswersAbout) matches(answer *facts) bool {
	c := &answer.claims
	for _, member := range [...]struct{ wanted, found string }{
		{a.Subject, c.subject}, {a.SessionID, c.sessionID}, {a.ID, c.id},
	} {
		if member.wanted != "" && member.found != "" && member.wanted != member.found {
			return false
		}
	}
	return a.ClientID == "" || a.ClientID == c.clientID || isOfOtherClient(answer, a.ClientID)
}

// isOfOtherClient reports whether an answer has that client_id, or none. What the
// configuration makes of the client may come from another member.
func isOfOtherClient(answer *facts, clientID string) bool {
	members, _ := strictjson.ParseObject(answer.payload, strictjson.Checked, nil) // it was parsed before; with an error, there are none
	named := textOf(members, claimClientID)
	return named == clientID || named == ""
}
