// Package onvif speaks to cameras and recorders the way ONVIF describes: it finds
// them on a network, asks what they are and which pictures they give, turns and
// zooms them, and listens to what they detect. The pictures themselves come over
// RTSP and are video's.
//
// What it promises:
//
//   - A request goes to the host that a person entered, and to no other, whatever
//     an answer says; redirects are refused. An address in an answer keeps its port
//     and path and gets that host.
//   - Every request has a deadline, every answer a largest size. XML that defines
//     entities is refused.
//   - A password is sent as a digest (WS-UsernameToken by the device's own clock,
//     or HTTP Digest), and never in the clear. A device that refused it is left
//     alone for a while: cameras lock accounts.
//   - Nothing keeps turning by itself. A movement is stopped when its order is not
//     renewed within Config.Hold, when the program ends, and by the device itself
//     when the program is gone (the order has a time in it).
//   - What a device detects is handed on as readings of a sensor-like source; the
//     state at the start of a subscription is told as one that was there before.
//
// It never sets anything up in a device but presets of a pan-tilt head.
//
// Set.Run does all that lasts; every other method blocks for one conversation at
// most, bounded by Config.Timeout for each request.
package onvif
