// Command stationsim is what a real station is tried with when there are no
// devices at hand yet, and what it is sized with: sensors that publish to its
// broker, cameras that it can pull, and viewers that watch. Each runs as a
// process of its own, on this machine or another, and says at the end what it
// measured.
//
// It asks no questions about where it is pointed: it publishes to whatever
// broker it is given, and its alarms look like real ones. An officer on duty
// must know that it runs. The names of everything begin with --name, so that it
// can be told from the real and removed again.
//
// The sensors are a household, the same few again and again, or with --profile
// estate-500 an estate of so many sensors of all payload families, whose story
// follows from its seed: births, wills, broken connections, malformed messages
// and storms.
//
// A station lets unknown devices in only while its joining window is open or
// through an account of theirs, and those that send JSON of their own, one of
// four, not at all. With --station sensors and cameras are set up there first.
//
// Everything is bounded, count and time; Ctrl-C ends it within five seconds,
// with the figures so far.
package main
