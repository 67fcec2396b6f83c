// Package stream is one camera's picture and sound on their way to everybody who
// wants them: one writer, any number of readers, and the rule that the writer never waits.
//
// # What goes in
//
// Write takes access units of H.264 or H.265 as they come from the source:
// without start codes, in decoding order, with the source's own timestamps. What
// the source does not do, the stream does once for all readers: it drops what
// decoders do not need (access unit delimiters, SEI, filler), puts the parameter
// sets in front of every key picture, cuts the unit into RTP packets of at most
// MaxPayload bytes, and maps the source's timestamps, which may jump or start
// again, onto one timeline that only goes forward (see timeline.go).
//
// WriteSound takes frames of sound, which are placed on the same timeline (see
// soundline.go). Announce tells beforehand of what kind both are; the codec may
// change within a stream's life, as a camera is set from H.264 to H.265.
//
// # What comes out
//
// Read returns a Reader, whose Next returns units in order. Units are shared by
// all readers and immutable: change neither their slices nor their packets. A
// sender over RTP copies a packet's header, sets its own sequence number, SSRC
// and payload type, and shares the payload.
//
// Every reader starts at a key picture and only ever continues at a unit that
// it can decode:
//
//   - A reader that has fallen further behind than its Capacity restarts at a
//     newer key picture. What it did not get is counted in Skipped.
//   - After loss at the source, units are Damaged until the next good key
//     picture. Readers are not given them, unless they asked with Record; then
//     they are marked.
//   - After Lost, nothing is handed out before the source's next key picture.
//     Readers stay: they just wait.
//
// A gap in what a reader gets is therefore always followed by a key picture.
//
// # Bounds
//
// The units that some reader still has to read, and the pictures since the last
// key picture (the cache, for FromCache), are kept in one log per stream. It is
// bounded in units by the largest Capacity and by Config.CacheUnits, and in
// bytes by Config.LogBytes; the oldest unit is let go first, and a reader that
// still wanted it skips. The cache is emptied when the source is lost, so that
// nobody is shown an old picture as a live one. The sound has a log of its own,
// so that it takes nothing of a reader's Capacity; it is let go of with the
// pictures that it lies between, and sooner when it exceeds 4 MiB.
//
// # Goroutines
//
// The package starts none. Next may be called by one goroutine per reader,
// everything else by any; of Write, and of WriteSound, one call at a time, since
// their order is that of the pictures and of the sound.
package stream
