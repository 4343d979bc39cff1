package issuerkeys

import (
	"errors"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

var (
	errEmpty      = errors.New("jwkscache: the set has had no usable key for longer than Limits.MinFresh")
	errUnreadable = errors.New("jwkscache: no key of the set can be used; the keys fetched before serve within their bound")
)

// isEmpty reports whether set has no usable key.
func isEmpty(set *jose.Set) bool { return len(set.Keys()) == 0 }

// boundEmpty sets how long v, which has no usable key, may be used: for
// Limits.MinFresh from the first such set in a row. It returns an error after that,
// and if v does not show that the keys of before were withdrawn; then before stays
// in use.
func boundEmpty(limits *jwkscache.Limits, v, before *version) error {
	v.empty = v.fetched
	if before != nil && !isEmpty(before.published) {
		if isUnreadable(v.published, before.published) {
			return errUnreadable
		}
	} else if before != nil && !before.empty.IsZero() {
		v.empty = before.empty
	}
	end := until(v.empty.Add(min(limits.MinFresh, limits.MaxAge)))
	if end.passed(v.fetched) {
		return errEmpty
	}
	v.renewal = until(v.fetched.Add(renewalAfter(anyRandom, end.at.Sub(v.fetched), true)))
	v.fresh, v.usable = end, end
	return nil
}

// isUnreadable reports whether set, which has no usable key, lists a key that
// cannot be read and does not show that the keys of before were withdrawn. Private
// key material shows that, and so does a known kid with another use or of another
// issuer, unless before also had such a key of that kid.
func isUnreadable(set, before *jose.Set) bool {
	ids := make(map[string]bool)
	for _, key := range before.Keys() {
		id, _ := key.ID()
		ids[id] = true
	}
	for _, key := range before.Ignored() {
		if key.OtherUse || key.OtherIssuer {
			delete(ids, key.KeyID)
		}
	}
	delete(ids, "") // of keys without kid, and of ignored ones without
	unreadable := false
	for _, key := range set.Ignored() {
		elsewhere := key.OtherUse || key.OtherIssuer
		if key.Private || elsewhere && ids[key.KeyID] {
			return false
		}
		unreadable = unreadable || !elsewhere
	}
	return unreadable
}
