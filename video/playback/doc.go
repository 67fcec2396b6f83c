// Package playback shows what was recorded: it tells where a camera's record has
// something, lets browsers and other players play it, and makes files of it.
//
// # What it serves
//
// The timeline of a camera is its bands: recorded, gaps with their reasons, steps
// of the clock, and the alarms in its sight. It is told from the archive's index
// in memory.
//
// A player is served in one of two ways. The console's own asks for "media": a
// byte stream of init segment and fragments, begun at the key picture before the
// moment that is wanted, so that a seek is one request. At more than four times
// the speed it asks for key pictures alone. Any other player is given an HLS
// playlist of the same fragments (RFC 8216), with a discontinuity and the station's
// time wherever the record has a gap or the camera changed its picture.
//
// An export is one MP4 file of a span, index in front, in which time runs as it ran
// on the wall: where the record has a gap the last picture stands still. It is
// ordered by a command, made by Run, one after the other, and kept for a limited
// time.
//
// # Promises
//
// Nothing is decoded: pictures and compressed sound go out as they came in. Sound
// that browsers do not play in MP4 (PCM, into which G.711 is unpacked) is packed as
// FLAC for them, without loss. Only a picture as JPEG and the time written into an
// export's pictures need a decoder; that is ffmpeg, where the machine has it, as a
// child of low priority that ends with whoever asked.
//
// Every answer is bounded in time and bytes, ends when the client goes, and is
// never kept by a cache that does not ask again whether it may.
//
// # Goroutines
//
// New starts nothing. Run makes exports until its context ends. The handlers may
// be called by any goroutine, also while Run is not running.
package playback
