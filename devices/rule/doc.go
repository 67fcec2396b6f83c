// Package rule judges readings: which alarm conditions hold, and which do not.
//
// It is pure. A Set is made by Compile, never changes afterwards and may be used
// from many goroutines; what a rule remembers (its last verdict, for a deadband)
// is kept by the caller and handed in. It knows nothing of time: when a condition
// becomes an alarm is for whoever reads Signal.Timing.
//
// What it promises:
//
//   - A rule whose field has not been seen decides nothing.
//   - Several rules of one kind are one condition: one that holds is enough, and
//     the condition has ended when all of them say so.
//   - Each signal names the rule that decided, its version, what it read and
//     what it compared that with.
//   - Judging by forms allocates nothing.
package rule
