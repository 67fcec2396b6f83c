// Package linetest measures the line between a station and its parent: how much it
// carries each way, what is lost, and how long an answer takes, idle and under
// load. The station's end is a Tester; Handler is the parent's, at the port for
// clips.
//
// What it promises:
//
//   - It never harms alarms. What it sends goes last of all (class backlog of the
//     budget), it asks for no more than the budget spends, and it stops as soon as
//     answers take a fifth of a second longer than on the idle line: then the line
//     gives less than was bought, and that is the result.
//   - The figure is what the other end confirmed, and beside it what the whole line
//     carried meanwhile: clips and pictures that went at the time are no fault of
//     the line.
//   - One test at a time. The results are kept in a file, the newest last.
//
// Loss is what TCP sent again, on Linux; elsewhere it is not known.
package linetest
