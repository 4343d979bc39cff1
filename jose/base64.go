package jose

import "encoding/binary"

// appendDecoded appends the decoded segment to dst: base64url without padding
// (RFC 7515 §2), of which every text has one spelling, so that bits which no
// byte takes up must be zero. It takes what base64.RawURLEncoding.Strict takes,
// short of CR and LF, which that passes over, in half the time: whether all
// characters were digits is asked once, at the end.
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
	for len(segment) >= 8 && len(out) >= 8 { // six for now; what follows overwrites the other two
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

// appendRest decodes what is left of a segment behind whole groups of four.
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

// notADigit marks characters outside the alphabet.
const notADigit = 1 << 31

// digits is the value of each character as the first to the fourth digit of 24
// bits, or notADigit.
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
