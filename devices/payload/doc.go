// Package payload turns what a device sends into Readings: families of payloads,
// each a Family that is opened once for each broker. Families are data — mapping
// files, see docs/families.md — wherever paths and words suffice, and code where a
// format has to be remembered: births, discovery, a bridge's cache.
//
// It promises never to panic, and to bound what it returns (MaxFields, MaxText,
// MaxReadings), what it takes in (MaxPayload, MaxDepth) and what a session
// remembers, whatever it is given. A session's Decode does not block, keeps no
// reference to the payload and does not change it. It judges nothing: what an
// alarm is, who the sensor is and what time it is are told elsewhere.
//
// A Catalogue holds the families: those in code, the mapping files that come with
// the program, and those that were dropped into the station's own directory. A
// mapping file is read strictly, and a bad one is told of and skipped.
//
// A new family is a mapping file in families/, or a type with Name, Filters and
// Open in builtin.go; and in both cases conversations under
// testdata/golden/<family>, each citing the public documentation of the format.
package payload
