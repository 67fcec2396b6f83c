// Package protocol is what travels between a station and its parent: topics,
// the envelope of events, and the few messages around them. It is pure: it
// encodes, decodes and judges, and does nothing else.
//
// # The conversation
//
// A station dials its parent and opens a session, whose random name is in every
// message that only makes sense within it. It says Hello with the protocol
// versions it speaks and the epoch of its store. The parent answers Welcome
// with the version chosen and, for each lane, its Mark: the newest event that
// it holds durably. The station goes on behind the marks; that is true after an
// ordinary outage, and also when either end was restored from a backup.
//
// Events travel in batches of one lane (CloudEvents 1.0, JSON batch format).
// Each carries a hop number, dense within target, lane and epoch, counted after
// filtering: the parent sees every gap. The parent answers each batch with an
// Ack of its mark after its own durable commit. An Ack with Expect tells that a
// gap was seen and from where to send again; an Ack with a Problem tells that
// nothing was stored and why. What the transport acknowledges (PUBACK) is never
// taken for delivery.
//
// # Promises
//
// Unknown fields are ignored, unknown versions are refused with a Problem that
// names the versions known. Every decoder has a size limit and may be fed with
// a stranger's bytes. Versions are only added: testdata holds golden files with
// input and output side by side, and a change there is a new version.
//
// # Numbers
//
// Sequence and hop numbers are written as decimal strings. CloudEvents'
// Integer is 32 bits signed, and many JSON readers keep 53 bits; a journal
// outlives both. Decoders also take plain JSON integers.
package protocol
