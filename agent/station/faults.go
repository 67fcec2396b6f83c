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

// OneProblem makes one problem of joined ones: the first, with what else is wrong,
// and where, behind its message. It is false when one of them is internal, which
// then is what matters, and for nil.
func OneProblem(err error) (*Problem, bool) {
	faults := Faults(err)
	if len(faults) <= 1 {
		return AsProblem(err)
	}
	var one Problem
	for i, f := range faults {
		p, ok := AsProblem(f)
		switch {
		case !ok:
			return nil, false
		case i == 0:
			one = *p
			continue
		case p.Place != "":
			one.Message += "; " + p.Place + ": " + p.Message
		default:
			one.Message += "; " + p.Message
		}
	}
	return &one, true
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
