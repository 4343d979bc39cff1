// Package benchmarks measures what validating a token costs, as a ratio to the
// floor: the standard library's hash and signature check on a token already
// split and decoded. Nothing that verifies can be cheaper with the same
// arithmetic.
//
// Machines are noisy, so the two sides of a ratio run in turn in one process
// ([Compare]), in short blocks, by the CPU time of the process, garbage
// collection included; the report has the median of the pairs' ratios and
// their quartiles. Absolute times are for orientation.
//
// A [Subject] is one way to judge a token. New ones are added to [Subjects];
// the report and the Go benchmarks pick them up.
package benchmarks
