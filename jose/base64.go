package jose

import "encoding/binary"

var errBase64 = malformed("a segment is not canonical base64url without padding (RFC 7515 §2)")

// appendDecoded appends the decoded segment to dst. A segment is base64url without
// padding (RFC 7515 §2), and unused bits must be zero, so that there is one
// encoding of every text. It accepts what base64.RawURLEncoding.Strict accepts,
// except CR and LF, and takes half the time, because it checks only once, at the
// end, whether all characters were digits.
func appendDecoded(dst []byte, segment string) ([]byte, error) {
	if len(segment)%4 == 1 {
		return nil, errBase64
	}
	at, size := len(dst), len(segment)/4*3+len(segment)%4*3/4
	if at+size > cap(dst) {
		dst = append(make([]byte, 0, at+size), dst...)
	}
	dst = dst[:at+size]
	out := dst[at:]
	seen := uint32(0)
	for len(segment) >= 8 && len(out) >= 8 { // six bytes are decoded; the next round overwrites the other two
		high := digits[0][segment[0]] | digits[1][segment[1]] | digits[2][segment[2]] | digits[3][segment[3]]
		low := digits[0][segment[4]] | digits[1][segment[5]] | digits[2][segment[6]] | digits[3][segment[7]]
		binary.BigEndian.PutUint64(out, uint64(high)<<40|uint64(low)<<16)
		seen |= high | low
		segment, out = segment[8:], out[6:]
	}
	for len(segment) >= 4 {
		bits := digits[0][segment[0]] | digits[1][segment[1]] | digits[2][segment[2]] | digits[3][segment[3]]
		out[0], out[1], out[2] = byte(bits>>16&0xff), byte(bits>>8&0xff), byte(bits&0xff)
		seen |= bits
		segment, out = segment[4:], out[3:]
	}
	if !appendRest(out, segment) || seen&notADigit != 0 {
		return nil, errBase64
	}
	return dst, nil
}

// appendRest decodes the end of a segment, after the whole groups of four
// characters, and reports whether it is valid.
func appendRest(out []byte, rest string) bool {
	switch len(rest) {
	case 2:
		bits := digits[0][rest[0]] | digits[1][rest[1]]
		out[0] = byte(bits >> 16 & 0xff)
		return bits&(notADigit|0xffff) == 0
	case 3:
		bits := digits[0][rest[0]] | digits[1][rest[1]] | digits[2][rest[2]]
		out[0], out[1] = byte(bits>>16&0xff), byte(bits>>8&0xff)
		return bits&(notADigit|0xff) == 0
	default:
		return true
	}
}

// notADigit is set in digits for a character outside the alphabet.
const notADigit = 1 << 31

// digits holds, for each place in a group of four, the value of each character,
// shifted to its place in 24 bits, or notADigit.
var digits = func() (table [4][256]uint32) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for place := range table {
		for c := range table[place] {
			table[place][c] = notADigit
		}
		for value, c := range []byte(alphabet) {
			table[place][c] = uint32(value) << (18 - 6*place)
		}
	}
	return table
}()
