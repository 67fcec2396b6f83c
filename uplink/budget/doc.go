// Package budget spends the line: it knows how much the line carries, who uses
// it for what, who may begin, and who has to wait.
//
// The line is one bucket that fills at the configured rate, a little below what
// was bought, so that what waits does so here, where it has an order, and not in
// a router's queue, where an alarm would stand behind a clip.
//
// What it promises:
//
//   - Everything that is told to it is counted, by class and direction, and taken
//     out of the bucket. What nobody can hold up, live pictures and alarms, takes
//     first; what can wait, clips and backlog, gets what is left, in the order of
//     the classes.
//   - A live picture is admitted only if the line carries it beside what was
//     admitted before and the reserve for conferences. A refusal says how full the
//     line is; a class that comes first takes the place of one that comes later,
//     whose Grant then ends.
//   - The reserve is lent to what can wait, which gives it back within
//     milliseconds, and never to a live picture, which could not.
//   - No class stands still for ever: each may send a piece now and then, a
//     fiftieth of the line at most.
//
// Wait never blocks; Spend blocks until the class may send, or its context ends.
// It has no goroutine and opens nothing.
package budget
