// Package devices listens to the sensors: it takes their messages from the
// built-in broker and from external ones, has the payload families decode them,
// finds out whose each reading is, judges it by the sensor's rules and hands it on
// as one station.Report. What is heard otherwise than by MQTT comes in by Take.
//
// What it promises:
//
//   - A message is acknowledged to its sender only after Sink.HandleReport
//     returned nil for every reading of it. What cannot be read is acknowledged,
//     counted, and the last few are kept (Oddities); so is, without being kept,
//     what concerns nobody.
//   - Reports of one sensor are handed on one after the other, in the order in
//     which they came; those of different sensors at the same time.
//   - A message of QoS 1 or 2 that raises an alarm, or ends one that was
//     reported before, is never given up. A mere reading that the sink refuses
//     for want of space is, or has to come again: takeFrom and takeEmbedded say
//     which, and why it must not wait on the spot. QoS 0 protects nothing.
//   - Silence is noticed by a timer and not by the next message, also of sensors
//     last heard before the program was started, but never while the sensor's
//     broker or bridge is away. That it is away is reported instead.
//   - A device that nobody has registered enters itself only while joining is open
//     or through an account of its own. What calls for help is reported at any
//     time; of a crowd that does, as one device. The workbench shows the others.
//
// It keeps no alarms, and stores nothing but what the built-in broker retains. The
// rules' memory (a deadband) and what the timers need is rebuilt from
// Registry.States.
package devices
