package jose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// wrongSegments returns the cause for a token with another number of segments than
// three.
func wrongSegments(kind error, segments int) error {
	return cause.New(kind, func() cause.Details {
		d := cause.Details{Found: fmt.Sprintf("%d segments", segments), Wanted: "3"}
		if segments == 1 {
			d.Found = "1 segment"
			d.Mend = "an issuer of opaque tokens needs Issuer.Opaque"
		}
		return d
	})
}

// emptySegment returns the cause for a token with an empty segment.
func emptySegment(segments ...string) error {
	empty := [...]string{"header", "payload", "signature"}[slices.Index(segments, "")]
	return cause.New(errEmpty, func() cause.Details {
		d := cause.Details{Found: "no " + empty, Wanted: "header, payload and signature"}
		if empty == "signature" {
			d.Mend = "let the issuer sign its tokens"
		}
		return d
	})
}

// notBase64 returns the cause for a segment that cannot be decoded. The cause refers to
// the place of the fault and not to the segment.
func notBase64(which, segment string) error {
	at, length, found := 0, len(segment), byte(0)
	for at < length && digits[0][segment[at]] != notADigit {
		at++
	}
	if at < length {
		found = segment[at]
	}
	return cause.New(errBase64, func() cause.Details {
		fault := "ends in unused bits that are not zero"
		switch {
		case at < length:
			fault = fmt.Sprintf("has %s at byte %d", cause.Character(found), at)
		case length%4 == 1:
			fault = fmt.Sprintf("has a length of %d, to which no text is encoded", length)
		}
		return cause.Details{Found: which + " " + fault, Mend: "present the token as the issuer wrote it"}
	})
}

// notHeader returns the cause for a header that is not one strict JSON object.
func notHeader(text string) error {
	return cause.New(errHeader, func() cause.Details {
		return cause.Details{
			Found:  strictjson.Describe(text, strictjson.HeaderLimits, "alg", "kid", "typ", "crit", "jwk", "jku", "x5c", "x5u", "cty"),
			Wanted: "one JSON object with unique member names",
		}
	})
}

// wrongMember returns the cause for a member of the header. Only its type is shown.
func wrongMember(kind error, name string, v strictjson.Value, wanted string) error {
	found := v.Kind()
	return cause.New(kind, func() cause.Details {
		return cause.Details{Found: fmt.Sprintf("%s, which is %s", name, found), Wanted: wanted}
	})
}

// describedAlgorithm returns alg of h as a cause shows it.
func (h Header) describedAlgorithm() string {
	if name, ok := h.named.Text(); ok {
		return "alg " + cause.Quote(name)
	}
	if h.named.Kind() == strictjson.Absent {
		return "no alg"
	}
	return "alg, which is " + h.named.Kind().String()
}

// describedKeyID returns kid of h as a cause shows it.
func (h Header) describedKeyID() string {
	if h.hasKeyID {
		return "kid " + cause.Quote(h.keyID)
	}
	return "no kid"
}

// unsupported returns the cause for a header whose alg is no algorithm of this package.
func (h Header) unsupported() error {
	return cause.New(ErrAlgorithm, func() cause.Details {
		return cause.Details{Found: h.describedAlgorithm(), Wanted: cause.OneOf(algorithmNames[1:])}
	})
}

// unknownKey returns the cause for a header that no single key of s is for.
func (s *Set) unknownKey(h Header) error {
	return cause.New(ErrUnknownKey, func() cause.Details {
		d := cause.Details{Found: h.describedKeyID(), Wanted: s.describedKeys()}
		same := s.count(h.algorithm)
		_, known := s.byID[h.keyID]
		switch {
		case h.hasKeyID && known:
			d.Mend = "all keys of the kid are forbidden"
		case h.hasKeyID && s.whyIgnored(h.keyID) != "":
			d.Mend = "the set lists a key of that kid that is not used: " + s.whyIgnored(h.keyID)
		case s.Len() == 0:
			d.Mend = "look at why the keys of the issuer are not used (Validator.Status)"
		case h.hasKeyID && s.Len() == len(s.unnamedKeys()):
			d.Mend = "the keys of the set have no kid: let the issuer write the kid of its tokens into its keys, or leave it out of its tokens"
		case h.hasKeyID:
			d.Mend = "let the issuer publish the key before it signs with it, and check that the token is of this issuer and environment"
		case same > 1:
			d.Found += fmt.Sprintf(", and %d keys for %s, of which not all may be tried", same, h.algorithm)
			d.Mend = "let the issuer write kid into its tokens"
		default:
			d.Found += fmt.Sprintf(", and no key for %s", h.algorithm)
			d.Mend = s.pinHint(h, s.keys)
		}
		return d
	})
}

// unnamedKeys returns the keys without kid.
func (s *Set) unnamedKeys() []*Key {
	return slices.DeleteFunc(slices.Clone(s.keys), func(k *Key) bool { return k.hasID })
}

// count returns the number of keys for a, each key once.
func (s *Set) count(a Algorithm) int {
	var all group
	for _, key := range s.keys {
		if key.algorithm == a {
			all.add(key)
		}
	}
	return len(all.keys)
}

// whyIgnored returns why the first key of that kid that is not used is left out, or "" if
// there is none.
func (s *Set) whyIgnored(id string) string {
	for _, ignored := range s.ignored {
		if ignored.KeyID == id && id != "" {
			return strings.TrimPrefix(ignored.Reason.Error(), ErrUnusableKey.Error()+": ")
		}
	}
	return ""
}

// otherAlgorithm returns the cause for a header whose kid has keys for other algorithms.
func (s *Set) otherAlgorithm(h Header) error {
	return cause.New(ErrAlgorithm, func() cause.Details {
		var keys []*Key
		var names []string
		for _, g := range s.byID[h.keyID] {
			keys, names = append(keys, g.keys...), append(names, g.algorithm.String())
		}
		return cause.Details{
			Found: h.describedAlgorithm() + " and " + h.describedKeyID(), Wanted: cause.OneOf(names) + ", which the key of that kid is for", Mend: s.pinHint(h, keys),
		}
	})
}

// pinHint returns how one of keys can be bound to the algorithm of h, or "" if none can:
// one without alg, or one that the document lists for several algorithms.
func (s *Set) pinHint(h Header, keys []*Key) string {
	for _, k := range keys {
		if slices.Contains(k.listed, h.algorithm) {
			return fmt.Sprintf("one key verifies one algorithm, and the set lists this one for several: put %s before %s in Issuer.Algorithms, or leave %s out",
				h.algorithm, k.algorithm, k.algorithm)
		}
	}
	if h.algorithm.rsa() && slices.ContainsFunc(keys, func(k *Key) bool { return k.pinned }) {
		return fmt.Sprintf("the key is RSA and its JWK has no alg: put %s first in Issuer.Algorithms, or let the issuer write alg into its keys", h.algorithm)
	}
	return ""
}

// describedKeys returns the keys of s as a cause shows them.
func (s *Set) describedKeys() string {
	var names []string
	unnamed := 0
	for _, key := range s.keys {
		if key.hasID {
			names = append(names, key.id)
		} else {
			unnamed++
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	var text string
	switch n := s.Len(); n {
	case 0:
		return "a key of the issuer, which has none that can be used"
	case 1:
		text = "the only key"
	default:
		text = fmt.Sprintf("one of %d keys", n)
	}
	if len(names) > 0 {
		text += ": kid " + cause.Quotes(slices.Values(names))
	}
	if unnamed > 0 {
		text += fmt.Sprintf("; %d without kid", unnamed)
	}
	return text
}

// notVerified returns the cause for a signature of that length which k does not verify.
func (k *Key) notVerified(length int) error {
	return cause.New(ErrSignature, func() cause.Details {
		d := cause.Details{
			Found: fmt.Sprintf("a signature of %d bytes that %s does not verify", length, k.described()),
			Mend:  "the token was changed, or another key signed it; check that the token is of this issuer and environment",
		}
		if wanted := k.signatureLength(); wanted != length {
			d.Wanted = fmt.Sprintf("%d bytes", wanted)
			if k.algorithm >= ES256 && k.algorithm <= ES512 {
				d.Wanted += ": R and S of fixed length, not ASN.1 (RFC 7518 §3.4)"
			}
		}
		return d
	})
}

// notOf returns the cause for a header with another algorithm than that of k.
func (k *Key) notOf(h Header) error {
	return cause.New(ErrAlgorithm, func() cause.Details {
		return cause.Details{Found: h.describedAlgorithm(), Wanted: k.described()}
	})
}

// described returns the name of k as a cause shows it.
func (k *Key) described() string {
	if k.hasID {
		return fmt.Sprintf("the key with kid %s for %s", cause.Quote(k.id), k.algorithm)
	}
	return fmt.Sprintf("the key without kid for %s", k.algorithm)
}

// signatureLength returns the length of every signature under k, in bytes.
func (k *Key) signatureLength() int {
	switch v := k.verifier.(type) {
	case *pkcs1Verifier:
		return v.key.Size()
	case *pssVerifier:
		return v.key.Size()
	case *ecdsaVerifier:
		return 2 * v.size
	default:
		return 64 // Ed25519 (RFC 8032 §5.1.6)
	}
}
