package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Exit statuses.
const (
	exitDone   = 0 // every line was verified
	exitInput  = 1 // input that cannot be read
	exitConfig = 2 // bad configuration or usage
)

// streams are the standard streams, which tests replace.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// complain writes err to standard error. Faults of a file are in the form that
// editors and CI know, "FILE:LINE:COLUMN: message", with their number at the end.
func complain(std streams, err error) {
	if faulty, ok := errors.AsType[fileErrors](err); ok {
		fmt.Fprintln(std.err, faulty)
		err = faulty.count()
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(std.err, "sallyport: "+line)
	}
}
