// Package mqtt takes messages in from an MQTT 3.1.1 broker outside the program.
//
// A Link holds one connection for as long as it runs and promises:
//
//   - A message of QoS 1 or 2 is acknowledged only after take returned nil for
//     it. What take refuses is tried again with growing pauses until take
//     accepts it or the connection ends, and then the broker sends it again.
//   - Messages of one topic are taken one after the other, in order. Several
//     topics are taken at the same time, so that commits can be grouped.
//     Acknowledgements therefore come in the order of the commits: the
//     standard wants that of arrival, but then one message that cannot be
//     stored would hold up the acknowledgement of every other.
//   - Taking may block for any time; the connection is kept alive meanwhile.
//   - The session outlives the connection (a fixed client id and no clean
//     session), so the broker keeps what comes while the link is down, as far
//     as the broker is set up to keep it.
//
// What waits is bounded by Config.Queue and by 64 MiB. Topics have their turns one
// after the other, a message each: one with a backlog makes no other wait. When
// there is no room, a message of QoS 0 is dropped; one of QoS 1 or 2 is left
// unacknowledged with everything behind it, and once nothing waits the link
// reconnects so that the broker sends them again. Both are counted.
package mqtt
