package jwkscache

// KeyName names keys of one issuer: by kid, or by JWK SHA-256 thumbprint
// (RFC 7638) in base64url. Exactly one of them is set. A kid also names keys
// that are published later, and a thumbprint the same key under any kid.
type KeyName struct {
	KeyID      string // at most 256 bytes
	Thumbprint string // 43 characters
}
