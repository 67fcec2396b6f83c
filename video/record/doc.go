// Package record keeps what the cameras saw: a rolling record of all of them,
// which forgets its oldest hours by itself, and clips, which nothing forgets
// silently.
//
// # The rolling record
//
// Record cuts a camera's stream into fragments of fragmented MP4, each at most
// two seconds long and ending where a key picture begins, and hands them to the
// archive's one writer. The writer puts them into the current volume: a Badger
// database of its own, a gigabyte or so, whose blocks are allocated on the disk
// before the first byte is written. A full volume is sealed; from then on it is
// only read, and one day it is dropped whole. Deleting inside a database gives
// no space back in useful time, deleting a directory does.
//
// Record never makes the camera wait. What the writer cannot take in time is
// counted, and the hole in the record says why it is there (see Gap).
//
// # Time
//
// The record is indexed by the station's wall time, measured from one reading of
// the clock by the machine's monotonic time. When somebody sets the clock, the
// record goes on: forward leaves a gap named GapClock, backward begins a new
// volume, so that the hour that now comes twice is kept twice. When both are
// there the later telling is played.
//
// # Clips
//
// Clip copies a span of a camera's record, from the key picture before its start
// to the end that was asked for, into one MP4 file that any player opens and
// seeks in. Inside the file time runs as it ran on the wall: where the record
// has a gap, the last picture stands still for so long. Clips lie in Badger
// databases of their own, one directory each, with their own quota; when that is
// full, a new clip is refused and a lamp says so, but no old clip is dropped.
//
// # Promises
//
// What was recorded is on the disk within Config.SyncEvery; a kill of the
// process loses at most the fragment that was being cut. A clip that Clip or
// Receiving.Finish reported is durable. A volume or clip that cannot be read is
// renamed to *.bad and reported, and the rest is played. A full disk never
// crashes the process: space is asked for before anything is written, because
// Badger writes through memory maps, where a full disk is a SIGBUS.
//
// # Goroutines
//
// Open reads the directory and starts nothing. Run is the writer; Record is a
// loop of the caller's. Both wait for what they started. All other methods may
// be called by any goroutine, also while Run is not running.
package record
