// Package benchmarks measures the cost of validating a token with Sallyport and with
// other Go libraries. A cost is a ratio to the floor: the hash and the signature
// check of the standard library for a token that is split and decoded already. No
// verifier can cost less with the same arithmetic. For tokens that were validated
// before, the cost is a ratio to SHA-256 of the token.
//
// Machines are noisy. So the two sides of a ratio run in turn in one process
// ([Pairs]), in short blocks over the same tokens. The time is the CPU time of the
// process, with its garbage collection. The report has the median of the ratios of
// all pairs, and their quartiles. Absolute times are only for orientation.
//
// A [Subject] is one way to validate a token. Add a new one to the list that it
// belongs to ([Subjects], [Layers], [Repeats]); the report, the Go benchmarks and the
// tests then include it.
package benchmarks
