// Package agent is the core of a node: it turns what sensors report into
// alarms, has clips made, carries out commands, takes in what children send, and
// tells the rest of the program what is set up.
//
// Three doors lead in. HandleReport takes one sensor message; Handle takes one
// command, from whomever; Accept (at a centre) takes a child's events. Each
// returns when what it did is durable: state, journal event and audit row are
// one transaction, so that nothing is ever half done. What happened leaves by
// the journal alone, which the console and the uplink read at their own pace.
//
// Run carries out what time brings: the deadlines of alarms, schedules, the steps
// by which an alarm that nobody answers reaches somebody, the messages of those
// steps, the keeping of the history. Deadlines are stored and lie on a line of time
// that no setting of the clock moves; a kill repeats a message at the worst, and
// never a step.
//
// The package imports none of its siblings. What it needs of them it declares
// as small interfaces in Deps; cmd/stationd plugs them together.
package agent
