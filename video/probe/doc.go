// Package probe tells an installer what is wrong with a camera, and which of its
// settings to change. It connects as the station would, watches for some seconds,
// and judges what came.
//
// What it promises:
//
//   - It takes Config.Connect and Config.Watch for a stream at most, both streams at
//     once, and opens one session each. A camera of the station that is online is
//     watched where it is watched already, and no further session is opened.
//   - Whether the camera has a loudspeaker is asked over a connection of its own, which
//     takes no session.
//   - A password that a camera refused is not tried again within a minute, and a kept
//     camera's not while it is known to be refused.
//   - Config.AtOnce probes run at a time; more are refused.
//   - No address with credentials and no password is in a report or in the log.
package probe
