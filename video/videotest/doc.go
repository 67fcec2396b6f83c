// Package videotest stands in for cameras: a real RTSP server on a real port
// that plays real H.264, four short films that come with the program, and one of
// H.265, with or without sound. The demo shows them, the simulator serves them,
// and tests break them.
//
// A camera is a path of the server. It behaves like the cheaper kind: pictures
// run whether or not somebody watches, so a client starts in the middle of two
// key pictures and waits for the next; timestamps go on over the end of the
// film; sender reports tell the time of day, or a wrong one. It is served over
// TCP, and where asked over UDP or TLS.
//
// Cut, Hang, Become and Restore make a camera fail, and come back as it was or as
// another, while it runs.
//
// It may have a loudspeaker (an ONVIF backchannel), and remembers what was said
// through it.
//
// StartGStreamer is for tests that want a camera which is not ours.
package videotest
