// Package history keeps what sensors have read: for charts, and for trying a
// rule before it goes live.
//
// A reading is written in the transaction of its report, as one small row and
// without looking at anything (Append); that is all that the way of an alarm pays
// for it. What follows is done in the background, in bounded steps that may be cut
// off at any moment and go on where they were: rows are packed into blocks, each
// day is summed up by the hour, and what is older than its time is deleted, never
// more than a day's worth in an hour, so that a clock that jumps ahead does not
// take the history with it.
//
// The single readings are kept for a month, the hours for a year and more; both
// follow the sensor's ID, so the device behind it may be exchanged. What is
// retained by a broker is no reading of the moment and is not kept; a backlog is
// kept at the device's own time.
//
// Days and hours are those of UTC. There is no history of children's sensors: it
// stays at their station.
package history
