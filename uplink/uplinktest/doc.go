// Package uplinktest has what stands in for the neighbours of the uplink in
// tests: a journal, an inbox and clip stores in memory with the semantics of the
// real ones, a line that loses, delays, doubles, reorders and breaks, and a
// running centre with certificates and a real broker on a port of its own.
package uplinktest
