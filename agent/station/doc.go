// Package station is the vocabulary of a city-operations station: what an
// alarm, a sensor, a camera, a clip, an event and a command are, and the small
// types that rooms hand to each other.
//
// It promises to depend on the standard library alone, to start nothing and to
// store nothing. Its records are the stored and the transmitted form at once:
// fields are only ever added, never renamed or given another meaning, so that
// an older program reads what a newer one wrote and the other way round.
// Times are wall times with their offset; order is told by sequence numbers,
// never by time.
package station
