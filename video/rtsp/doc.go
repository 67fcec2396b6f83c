// Package rtsp pulls H.264 from a camera over RTSP and writes it to a
// stream.Stream, for ever: whatever goes wrong, it says what, waits, and tries
// again, while the stream's readers stay where they are.
//
// One Source holds at most one session at the camera, since cameras allow few.
// Every attempt is a new connection, always ended with TEARDOWN, or the camera
// would keep the slot until its own timeout. Media comes over the same TCP
// connection as the requests; only the video track is set up.
//
// What it trusts is pictures, not bytes: a camera that answers, or sends packets
// that make no picture, is given up after Config.PictureTimeout and called
// again. That also covers a camera that changes its SSRC or starts its sequence
// numbers anew.
//
// Waiting times grow and are spread at random. A camera that refuses the
// password or has no session left is asked rarely: cameras lock accounts, and
// each attempt is one more login in their log.
//
// The password never appears in a log line, a state or an error. Redirections
// are followed on the same host only.
package rtsp
