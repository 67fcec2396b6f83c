// Package videotest stands in for cameras: a real RTSP server on a real port
// that plays real H.264, four short films that come with the program. The demo
// shows them, the simulator serves them, and tests break them.
//
// A camera is a path of the server. It behaves like the cheaper kind: pictures
// run whether or not somebody watches, so a client starts in the middle of two
// key pictures and waits for the next; timestamps go on over the end of the
// film; sender reports tell the time of day. It is served over TCP only.
//
// Cut, Hang and Restore make a camera fail and come back while it runs.
//
// StartGStreamer is for tests that want a camera which is not ours.
package videotest
