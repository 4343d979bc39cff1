package fault

// Bound sets the number in field to fallback if it is zero, and adds a fault if it is not
// from smallest to largest. name is the name of the field.
func Bound[T ~int | ~int64](faults List, name string, field *T, fallback, smallest, largest T) {
	switch {
	case *field == 0:
		*field = fallback
	case *field < smallest || *field > largest:
		faults.At(name).Addf("", "is %v; allowed are %v to %v", *field, smallest, largest)
	}
}
