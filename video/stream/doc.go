// Package stream is one camera's picture on its way to everybody who wants it:
// one writer, any number of readers, and the rule that the writer never waits.
//
// # What goes in
//
// Write takes H.264 access units as they come from the source: without start
// codes, in decoding order, with the source's own timestamps. What the source
// does not do, the stream does once for all readers: it drops what decoders do
// not need (access unit delimiters, SEI, filler), puts the parameter sets in
// front of every IDR picture, cuts the unit into RTP packets of at most
// MaxPayload bytes, and maps the source's timestamps, which may jump or start
// again, onto one timeline that only goes forward (see timeline.go).
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
// nobody is shown an old picture as a live one.
//
// # Goroutines
//
// The package starts none. Write, Lost and Close may be called by one goroutine
// at a time each; Next by one goroutine per reader; everything else by any.
package stream
