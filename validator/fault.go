package validator

import (
	"fmt"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// Fault is one fault of a configuration or a policy: which field, what is wrong,
// and what to do about it. The constructors of this module join all faults that
// they find into one error. [errors.As] finds the first one, [Faults] all.
//
// Its fields are Path, the field as Go code would write it
// ("Issuers[1].Audiences"); Problem, what is wrong; and Mend, what to do.
type Fault = fault.Fault

// Faults returns the faults that err joins, in order. An error that is not a
// Fault is returned as one that has a Problem only. For a nil err there are none.
func Faults(err error) []Fault { return fault.All(err) }

// addRange adds the fault of a value that is out of bounds.
func addRange(f fault.List, got, smallest, largest, fallback any) {
	f.Addf(fmt.Sprintf("give %v to %v, or 0 for %v", smallest, largest, fallback), "is %v", got)
}
