// Package record keeps what the cameras saw and heard: a rolling record of all of
// them, which forgets its oldest hours by itself, the films of alarms, which make
// room for newer ones and say so, and evidence, which is kept until a person
// releases it.
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
// # When
//
// Apply says when each camera is recorded: always, in its hours, or around events
// alone, alarms and what Detected is told. Record cuts all of them all the time; what is not to be recorded goes into
// the pre-roll, a few minutes on the disk, in place of the rolling record. So the
// hour decides where a fragment is put, before a key picture, and no clock decides
// whether one is cut.
//
// # Classes
//
// What is kept for longer is copied, each fragment once, into volumes of its own:
// as events what alarms and movements ask for (Clip, Mark), as evidence what a
// person holds (Mark, HoldEvidence). Continuous and events give way to newer ones by
// bytes, by age and by free space, the lower class to the higher; which clips lost
// their film with that is told (Gone). Evidence gives way to nothing: a hold that
// would not fit is refused.
//
// # Clips
//
// Clip describes a span of a camera's record, from the key picture before its start
// to the end that was asked for, as one MP4 file that any player opens and seeks
// in; the same bytes whenever it is read. Inside the file time runs as it ran on
// the wall: where the record has a gap, the last picture stands still for so long.
// The pieces of the file are in the volumes of events and are shared by all clips of
// the same minute. Clips that come from another node lie in Badger databases of
// their own, one directory each, with their own quota; when that is full, a new one
// is refused.
//
// # Finding one's way
//
// Cameras, Timeline, Steps and Days answer from memory. Seek finds the key picture to
// begin with, Index and Fragments the rest. Whoever plays must expect that the
// format changes, and says so by another InitID; a fragment without sound may come
// between others, and then has an InitID of its own as well.
//
// # Promises
//
// What was recorded is on the disk within Config.SyncEvery; a kill of the
// process loses at most the fragment that was being cut. A clip that Clip or
// Receiving.Finish reported is durable, and so is a mark that Mark took. A volume or
// clip that cannot be read is renamed to *.bad and reported, and the rest is played;
// every sealed volume is read through now and then, slowly, and a piece that is not
// what was written is a gap with that reason. A full disk never
// crashes the process: space is asked for before anything is written, because
// Badger writes through memory maps, where a full disk is a SIGBUS.
//
// # Goroutines
//
// Open reads the directory and starts nothing. Run is the writer; Record is a
// loop of the caller's. Both wait for what they started. All other methods may
// be called by any goroutine, also while Run is not running.
package record
