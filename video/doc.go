// Package video is the set of cameras of one node: it keeps each camera's
// picture coming, its record going, and shows it to whoever may watch.
//
// Set holds two streams of a camera at most (package stream), the main one and a
// smaller one, each fed by one RTSP session (package rtsp) however many watch, and
// read by the recorder (package record) and by WebRTC sessions (package peer).
// What a picture is wanted for decides which of them is given (see choose.go). At a centre it also holds the cameras
// of its stations: such a picture is fetched when the first viewer comes and
// let go a while after the last one has left, so that it crosses the line once,
// and only while somebody looks.
//
// It also brings a person's voice to a camera that has a loudspeaker (talk.go), one
// at a time and for Config.TalkMost at most.
//
// What it promises:
//
//   - Apply takes the whole picture at any time, before and during Run, from any
//     goroutine, and never blocks. A camera whose address and credentials did not
//     change is not disturbed; one whose did keeps its viewers.
//   - A camera that fails is tried again for ever, with growing pauses, and
//     disturbs no other one.
//   - Events.HandleCameraState is called when the state of a camera changed, not
//     for every attempt, one call at a time. If it fails it is called again;
//     what changed in between is told as it is then.
//
// What it never does: it keeps no list of its own (the store does), and it gives
// no picture to anybody by itself: its routes declare the permission that the
// console must have checked.
package video
