// Package gb26875 is the monitoring centre's end of GB/T 26875.3-2011, by which a
// fire-alarm system's transmission unit (用户信息传输装置) reports over TCP. It is a
// server: units connect to it.
//
// What it promises:
//
//   - A report is confirmed (command 3) only after Deps.Handle returned nil for all
//     that it says. If it keeps failing the report is denied (command 6), and the
//     unit sends it again.
//   - A report that comes again, because a confirmation was lost, is confirmed and
//     not handed on a second time.
//   - A frame whose checksum is wrong is denied; what lies between frames is skipped
//     byte by byte, so that no whole frame behind garbage is lost. What cannot be
//     understood is told to Deps.Odd. A type of data that the standard leaves to
//     the maker is confirmed all the same, or it would come for ever.
//   - Connections are limited, in all and as long as they have sent no frame; an
//     idle one is closed. One connection has one frame in hand at a time: the rest
//     waits in the network.
//
// The protocol knows neither encryption nor a password, and the unit's address is
// its own claim. It belongs on a network of its own; Config.Allow names who may
// connect.
//
// # What becomes of a report
//
// The unit is the Device "<address>", a bridge. A system of the building (type and
// address) is "<address>/<type>-<address>", a part of it "…/<zone>-<point>", both
// Via the unit; numbers are decimal, the unit's address is the twelve hexadecimal
// digits of the number that is transmitted lowest byte first.
//
// Fire (bit 1) is the field "smoke", or "gas" where the part is a gas detector,
// whoever reports it: part, system or unit. Often one of them does, and three
// alarms of one fire are better than none. The manual alarm of a panel or a unit
// is an event "smoke". The bit for "being tested" silences nothing: many units
// never set the bit for "normal".
//
// The time labels are Chinese standard time.
package gb26875
