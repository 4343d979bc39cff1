// Package benchmarks measures what judging a token costs, with Sallyport and
// with the other libraries that Go has for it, as a ratio to the floor: the
// standard library's hash and signature check on a token already split and
// decoded. Nothing that verifies can be cheaper with the same arithmetic.
// Tokens seen before are held against SHA-256 of the token instead.
//
// Machines are noisy, so the two sides of a ratio run in turn in one process
// ([Pairs]), in short blocks over the same tokens, by the CPU time of the
// process, garbage collection included; the report has the median of the pairs'
// ratios and their quartiles. Absolute times are for orientation.
//
// A [Subject] is one way to judge a token. A new one is added to the list of
// what it does ([Subjects], [Layers], [Repeats]); the report, the Go benchmarks
// and the tests pick it up.
package benchmarks
