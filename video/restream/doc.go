// Package restream serves the node's cameras over RTSP to other software, so
// that a recorder or a platform needs no session of its own at the camera:
// rtsp://station:8554/<camera>, and …/<camera>/sub for the smaller stream.
//
// What it promises:
//
//   - Nobody is served who has not signed in with an account of the node that
//     may see the camera. That is asked with every request, and again while it
//     plays: who is shut out later is hung up on.
//   - A consumer is a reader of the camera's one stream. One that does not keep
//     up is sent nothing more until a key picture for which there is room, and
//     its sequence numbers show no hole. It holds up nobody.
//   - Pictures of H.264 and H.265 and sound of G.711, Opus and AAC go out as
//     they came, over TCP inside the connection or over UDP.
//   - A consumer outlives the loss of the camera. When the camera comes to send
//     another format, which a description cannot tell, the session is ended.
//
// What it never does: it takes in no stream (ANNOUNCE and RECORD are refused),
// and it listens only where Config says. New opens nothing; Run returns when
// everybody has been hung up on.
package restream
