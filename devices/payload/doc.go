// Package payload turns what a device sends into a Reading: one decoder for
// each family of payloads, pure functions of topic and bytes.
//
// It promises never to panic, to keep nothing, and to bound what it returns
// (MaxFields, MaxText) whatever it is given. It judges nothing: what an alarm
// is, who the sensor is and what time it is are told elsewhere.
//
// A new family is a type with a Decode method, its golden files under
// testdata/<family>, and a line in the fuzz test.
package payload
