// Package snapshot keeps in a directory what a restart needs while issuers are
// down: the last fetched keys of each issuer, the names of its forbidden keys, and
// the issuers of which a token was accepted.
//
// Whoever can write to the directory chooses the keys of the issuers. So keys are
// read and written only if the process's user or root owns the directory, its
// files and every directory above them, and nobody else can write there. Access
// lists beyond the mode are not checked. Where only a group can write, the names
// of forbidden keys are still read and written, and the error is [ErrGroup].
package snapshot
