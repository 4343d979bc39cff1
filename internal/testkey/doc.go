// Package testkey makes signing keys for tests. A [Key] signs any text as a header
// and any text as a payload, so that a test can also write tokens that no encoder
// would write. Package testissuer signs with it.
package testkey
