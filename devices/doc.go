// Package devices listens to the sensors: it takes their messages from the
// built-in broker and from external ones, finds out whose they are, decodes
// them, judges them by the sensors' rules and hands each on as one
// station.Report.
//
// What it promises:
//
//   - A message is acknowledged to its sender only after Sink.HandleReport
//     returned nil for all that it says. What cannot be read, or concerns
//     nobody, is acknowledged, counted, and the last few are kept (Oddities).
//   - Reports of one sensor are handed on one after the other, in the order in
//     which they came; those of different sensors at the same time.
//   - A report that raises an alarm, or ends one that was reported before, is
//     never given up. A mere reading that the sink refuses for want of space
//     is: see refused in deliver.go for why it must not wait.
//   - Silence is noticed by a timer and not by the next message, also of sensors
//     last heard before the program was started, but never while the sensor's
//     broker or bridge is away.
//
// It keeps no alarms and stores nothing. The rules' memory (a deadband) and what
// the timers need is rebuilt from Registry.States.
package devices
