// Package uplink is the station's end of the line to its parent: it forwards
// the journal, uploads clips, carries out commands and answers calls for live
// pictures.
//
// What it promises:
//
//   - Every event of the lanes urgent and normal reaches the parent exactly
//     once in effect and in order, whatever the line, the parent or this
//     program do in between, as long as the journal holds it. Where the parent
//     lost what the journal no longer holds, Status says how much.
//   - The cursor moves on the parent's own acknowledgement of its durable
//     commit, and on nothing else. On each connection the parent's word about
//     what it holds replaces ours, in both directions.
//   - The most urgent lane that has something goes first, batch by batch. Each
//     lane has a window of its own, so that a new alarm waits for at most the
//     window of the lanes below it.
//   - A clip is reported as uploaded after the parent checked the whole and
//     answered so. It is tried for days.
//   - The line is mutual TLS, dialled outwards; there is no way without.
//
// It never blocks who writes the journal, and keeps nothing of its own on disk.
//
// The way of an event: Journal → lane (numbers it, packs a batch) → session
// (most urgent lane first) → transport → parent → Ack → session → lane → keeper
// (cursor).
package uplink
