// Package peer carries pictures over WebRTC: to browsers (Hub.Watch), from a
// station outwards to its centre (Hub.Dial), and into the centre (Hub.Accept); and
// a voice from a browser, for a camera (Hub.Talk).
//
// What it promises:
//
//   - One UDP port and one TCP port serve all sessions of a Hub. It answers as
//     an ICE-lite agent and names only addresses that it is bound to or that
//     the configuration names; it never asks a STUN server and never sends
//     multicast DNS. Only Dial uses ports of its own, because two peers that
//     both share one port cannot reach each other.
//   - A picture is packetised once, by package stream. A session adds a header
//     of 12 bytes: its own gapless sequence numbers and a timeline that only
//     goes forward. The payload is shared among all sessions and never changed.
//   - A session never holds up a camera. One that falls behind goes on at the
//     next key picture, and its sequence numbers show no hole.
//   - Lost packets are sent again on request, from the packets that are shared
//     anyway, within bounds: not twice within one round trip or 100 ms, at most
//     three times each, and at most a fifth of what the session has sent.
//   - A camera cannot be asked for a key picture. A peer that asks gets the
//     pictures since the last one again, at most twice a second.
//   - A session outlives the loss of its camera: the picture stands, and goes on
//     when the camera is back. It ends when its peer is silent for
//     Config.SessionTimeout, when it is closed, when its stream is closed, and
//     when Run ends.
//
// What it never does: it re-encodes nothing, it keeps no session across the end
// of a connection (DTLS cannot be restarted: whoever comes back is a new
// session), and it asks nobody who they are: that is the caller's.
//
// New opens nothing. Run listens, and returns when every session and every
// goroutine has ended. Watch and Accept block for one negotiation; Dial blocks
// for as long as its leg lives.
package peer
