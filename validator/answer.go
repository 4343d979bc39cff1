package validator

import (
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Ages of what Tenants said of an issuer.
const (
	tenantRenewal = 4 * time.Minute  // after which it is asked again in the background
	tenantFresh   = 5 * time.Minute  // after which requests wait for that
	tenantStale   = time.Hour        // how long an answer serves while Tenants fails
	tenantRetry   = 5 * time.Second  // after Tenants failed
	tenantMissed  = 10 * time.Second // how long an issuer stays unknown

	maxMisses = 4096 // of each kind that are remembered
)

// answer is what Tenants said of a tenant. It is immutable.
type answer struct {
	config         Issuer
	issuer         *issuer
	since          moment        // when Tenants said so
	renewal, fresh time.Duration // the ages from which it is asked again, and waited for
}

// accept makes an answer of a configuration. One that has not changed keeps its
// keys.
func (ts *tenants) accept(config *Issuer, forbidden []jwkscache.KeyName) (accepted *answer, err error) {
	defer func() {
		if recover() != nil {
			accepted, err = nil, errOpen
		}
	}()
	a := &answer{config: config.clone(), since: ts.moment(time.Now()), renewal: tenantRenewal, fresh: tenantFresh}
	if t := ts.get(config.URL); t != nil {
		if before := t.answer.Load(); before.config.equal(&a.config) {
			a.issuer = before.issuer
			return a, nil
		}
	}
	a.config.ForbiddenKeys = slices.Concat(config.ForbiddenKeys, forbidden)
	a.issuer, err = ts.open(&a.config)
	a.config.ForbiddenKeys = slices.Clone(config.ForbiddenKeys)
	return a, err
}

// postpone keeps the last answer in use for a moment, after Tenants failed, so
// that not every request asks, and that those of a busy tenant do not wait for
// calls which fail slowly. It reports false if the last answer is too old.
func (t *tenant) postpone(now moment) bool {
	a := *t.answer.Load()
	retry := a.since.age(now) + tenantRetry
	if retry >= tenantStale {
		return false
	}
	a.renewal, a.fresh = retry, min(retry+tenantFresh-tenantRenewal, tenantStale)
	t.answer.Store(&a)
	return true
}

// misses are the issuers that are not asked for again at present, by the hash of
// the URL: an attacker's strings are not kept.
type misses map[uint64]miss

// miss is why there is no tenant, and for how long nobody is asked again.
type miss struct {
	err   error
	since moment
	lasts time.Duration
}

// add remembers a miss. If there are too many, the others are forgotten.
func (m misses) add(url uint64, err error, now moment, lasts time.Duration) {
	if len(m) >= maxMisses {
		clear(m)
	}
	m[url] = miss{err, now, lasts}
}

// get returns why url is not asked for, or nil if it may be.
func (m misses) get(url uint64, now moment) error {
	if found, ok := m[url]; ok && found.since.age(now) < found.lasts {
		return found.err
	}
	return nil
}
