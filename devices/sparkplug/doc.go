// Package sparkplug reads Sparkplug B (Eclipse Sparkplug 3.0): Protocol Buffers
// below spBv1.0/<group>/<verb>/<node>[/<device>]. It is a payload.Family.
//
// A node is "group/node" and stands for itself and as the bridge of its devices,
// "group/node/device". What it promises:
//
//   - A birth (NBIRTH, DBIRTH) teaches the names behind the aliases of its node
//     or device, and tells every present value. A death (NDEATH, DDEATH) forgets
//     them. A death of an earlier session, by its bdSeq, is no death.
//   - Data that came before its birth, or after a gap in the sequence 0 to 255, is
//     read as far as it carries names, and a rebirth is asked for. It is asked for
//     again while none comes, each time after twice as long (RebirthAfter to
//     RebirthAtMost), and of all nodes together not more than so many a second.
//   - What a metric marks as historical is a reading of its own, in the backlog,
//     with the metric's time.
//   - A value that is null, or that the node itself calls bad or stale, says
//     nothing. Data sets, templates, arrays and bytes are not read.
//   - What is remembered is bounded, in nodes, devices and metrics; the node that
//     was heard longest ago is forgotten first, and asked for a rebirth when it is
//     heard again.
//   - Nodes report by exception, so that silence says little: readings say that
//     they are heard every two days. Who is gone is told by its death.
//
// # Names
//
// A metric is known by the last part of its name, "Zone 2/Smoke Alarm" by "Smoke
// Alarm"; capitals, spaces, "_" and "-" do not count. Fields lists the words.
// Several yes-or-no metrics of one device with the same word ("Zone 1/Smoke",
// "Zone 2/Smoke") make one field, which holds while any of them does; each is
// also told under its own name. Of several numbers the one with the shortest name
// has the field. All other metrics keep their names, so that a rule can be made on
// them. "Node Control/…", "Device Control/…" and "bdSeq" are no values;
// "Properties/Hardware Make", "…/Hardware Model" and "…/Firmware" tell the maker,
// the model and the firmware.
package sparkplug
