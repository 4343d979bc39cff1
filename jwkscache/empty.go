package jwkscache

import (
	"errors"

	"github.com/sallyport-auth/sallyport/jose"
)

var (
	errEmpty      = errors.New("jwkscache: the set has had no usable key for longer than Limits.MinFresh")
	errUnreadable = errors.New("jwkscache: no key of the set can be used; the keys fetched before serve within their bound")
)

// isEmpty reports whether set has no usable key.
func isEmpty(set *jose.Set) bool { return len(set.Keys()) == 0 }

// boundEmpty bounds how long v, which has no usable key, is believed: for
// Limits.MinFresh from the first such set in a row. After that, and if v does
// not withdraw the keys of before, it returns an error, and before stays in use.
func (k *Keys) boundEmpty(v, before *version) error {
	v.empty = v.fetched
	if before != nil && !isEmpty(before.published) {
		if isUnreadable(v.published, before.published) {
			return errUnreadable
		}
	} else if before != nil && !before.empty.IsZero() {
		v.empty = before.empty
	}
	end := until(v.empty.Add(min(k.limits.MinFresh, k.limits.MaxAge)))
	if end.passed(v.fetched) {
		return errEmpty
	}
	v.renewal = until(v.fetched.Add(renewalAfter(end.at.Sub(v.fetched))))
	v.fresh, v.usable = end, end
	return nil
}

// isUnreadable reports whether set, which has no usable key, lists a key that
// cannot be read and gives no sign that the keys of before were withdrawn. Such
// signs are private key material, and a known kid with another use, unless before
// had a key of that kid for another use beside it.
func isUnreadable(set, before *jose.Set) bool {
	ids := make(map[string]bool)
	for _, key := range before.Keys() {
		id, _ := key.ID()
		ids[id] = true
	}
	for _, key := range before.Ignored() {
		if key.OtherUse {
			delete(ids, key.KeyID)
		}
	}
	delete(ids, "") // of keys without kid, and of ignored ones without
	unreadable := false
	for _, key := range set.Ignored() {
		if key.Private || key.OtherUse && ids[key.KeyID] {
			return false
		}
		unreadable = unreadable || !key.OtherUse
	}
	return unreadable
}
