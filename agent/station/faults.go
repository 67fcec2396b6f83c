package station

import "errors"

// Faults takes joined errors apart, however deep they are joined.
func Faults(err error) []error {
	if err == nil {
		return nil
	}
	list, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range list.Unwrap() {
		out = append(out, Faults(e)...)
	}
	return out
}

// Under puts a key in front of the place of each problem in err: the faults of
// a part, as its owner tells them.
func Under(key string, err error) error {
	var out []error
	for _, e := range Faults(err) {
		if p, ok := AsProblem(e); ok {
			place := key
			if p.Place != "" {
				place += "." + p.Place
			}
			e = p.At(place)
		}
		out = append(out, e)
	}
	return errors.Join(out...)
}
