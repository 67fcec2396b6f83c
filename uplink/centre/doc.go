// Package centre is the parent's end of the uplink: it lets stations in by
// their certificates, stores what they send, and acknowledges it.
//
// What it promises:
//
//   - An Ack is sent only after Inbox.Accept returned, and Accept returns only
//     after its durable commit. Whatever fails before is answered with the
//     reason, and nothing is acknowledged.
//   - An event is handed to Accept once per mark: what is at or below the mark
//     of its epoch and lane is a duplicate, what leaves a gap is refused and
//     asked for again. Batches of one node come one after the other.
//   - A station speaks and hears under its own name alone. Its name is its
//     certificate's; client identifier, topics, hello and clips must agree.
//   - Signals live for seconds: they are sent without QoS to a clean session,
//     carry an expiry, and are refused after it.
//   - Run waits for everything that it started. Nothing is remembered in memory
//     that must outlive it.
//
// A PUBACK, for a station that asks for one, is sent for whatever could be read.
// It is no promise: the Ack is.
//
// # Clips
//
// The HTTPS listener takes clips in, in pieces, and asks for the same
// certificates. One resource, PATH = /uplink/v1/clips/{id}:
//
//	HEAD PATH    how far is it?             → 200, Upload-Offset
//	PATCH PATH   here is the next piece     → 204, Upload-Offset: more to come
//	                                        → 201: it is whole, checked and durable
//
// Both carry Upload-Length (bytes of the whole) and Upload-Sha256 (hexadecimal,
// of the whole); PATCH also Upload-Offset (where the piece goes) and
// Chunk-Sha256 (of the piece). A piece is checked before any of it is stored.
// An offset that is not the centre's is answered 409 with the centre's
// Upload-Offset; a damaged piece 400 clip.chunk; a whole that is not what it
// claims 422 clip.corrupt, and the next upload starts at zero. Errors are
// problem documents.
package centre
