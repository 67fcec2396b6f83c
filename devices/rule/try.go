package rule

import (
	"maps"

	"stationd/agent/station"
)

// Judge judges the readings of one sensor by one rule, one after the other, and
// keeps what the rule has to remember. A reading that has nothing for the rule
// gets no signal and is not due; one that leaves it undecided is due without one.
type Judge func(values map[string]station.Value) (sig station.Signal, decided, due bool)

// Try makes a rule ready to be tried on recorded readings, as it would judge live
// ones. Each Judge is for one sensor and one goroutine.
func Try(r station.Rule, class string) (func() Judge, error) {
	r.Disabled = false
	if err := Check(r, class); err != nil {
		return nil, err
	}
	set, err := Compile([]station.Rule{r}, class)
	if err != nil {
		return nil, err
	}
	return func() Judge {
		was, next := make([]Verdict, 1), make([]Verdict, 1)
		known := map[string]station.Value{}
		out := make([]station.Signal, 0, 1)
		return func(values map[string]station.Value) (station.Signal, bool, bool) {
			_, _, due := set.rules[0].judge(values, known, was[0])
			out = set.Evaluate(values, known, was, next, out[:0])
			was, next = next, was
			maps.Copy(known, values)
			// A press is no state: see devices, which forgets it too.
			delete(known, "action")
			if len(out) == 0 {
				return station.Signal{}, false, due
			}
			return out[0], true, due
		}
	}, nil
}
