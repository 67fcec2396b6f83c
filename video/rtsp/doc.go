// Package rtsp pulls pictures and sound from a camera over RTSP and writes them to
// a stream.Stream, for ever: whatever goes wrong, it says what, waits, and tries
// again, while the stream's readers stay where they are.
//
// One Source holds at most one session at the camera, since cameras allow few.
// Every attempt is a new connection, always ended with TEARDOWN, or the camera
// would keep the slot until its own timeout. Only the tracks that are used are set
// up: H.264 or H.265, and beside it G.711, AAC or Opus unless it is muted. A
// camera that cannot set its sound up is watched without.
//
// Media comes over the same TCP connection as the requests, unless UDP or
// multicast is asked for. The automatic transport tries UDP, and takes TCP where
// the camera refuses it or nothing comes; it remembers that for a day and says
// why. With rtsps the camera is held to the certificate whose fingerprint is
// known, or else to the system's authorities.
//
// What it trusts is pictures, not bytes: a camera that answers, or sends packets
// that make no picture, is given up after Config.PictureTimeout and called
// again. That also covers a camera that changes its SSRC or starts its sequence
// numbers anew.
//
// Waiting times grow and are spread at random. A camera that refuses the
// password or has no session left is asked rarely: cameras lock accounts, and
// each attempt is one more login in their log. One that was good and is merely away
// is called twice a second for a minute, since it is probably starting again.
//
// Ask tells whether a camera takes a voice for its loudspeaker, and Call opens a
// session that brings one there (Voice), beside those of the pictures and without
// touching them. Say never blocks; what the camera does not take in time is left
// out.
//
// What the camera says of its own time is told, with how far it is off, and fits
// the sound to the pictures; nothing else goes by it.
//
// The password never appears in a log line, a state or an error. Redirections
// are followed on the same host only, and no packet is sent to another.
package rtsp
