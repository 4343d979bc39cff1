// Package archtest tests the repository itself: which room may import which,
// what the modules require, the exported API, the documentation, and which
// requirement is named by which test.
//
// The checks are functions over an [io/fs.FS] that return findings, one line
// each, so that every check has a test in which it finds something. The golden
// files in testdata are rewritten by
//
//	go test ./internal/archtest -update
package archtest
