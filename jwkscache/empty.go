package jwkscache

import (
	"errors"
	"slices"

	"github.com/sallyport-auth/sallyport/jose"
)

var (
	errEmpty      = errors.New("jwkscache: the set has had no usable key for longer than Limits.MinFresh")
	errUnreadable = errors.New("jwkscache: no key of the set can be used; the keys fetched before serve within their bound")
)

// isEmpty reports whether set has no usable key.
func isEmpty(set *jose.Set) bool { return len(set.Keys()) == 0 }

// boundEmpty bounds how long v, which has no usable key, is believed: for
// Limits.MinFresh from the first such set in a row. Then, and if keys are
// listed that cannot be read while before has usable ones, it returns an error
// and before stays in use. A set with a private key is believed: the issuer has
// published what makes its key worthless.
func (k *Keys) boundEmpty(v, before *version) error {
	v.empty = v.fetched
	if before != nil && !isEmpty(before.published) {
		private := func(key jose.IgnoredKey) bool { return key.Private }
		if ignored := v.published.Ignored(); len(ignored) > 0 && !slices.ContainsFunc(ignored, private) {
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
