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
// A station takes in what a bridge such as Zigbee2MQTT publishes by itself, up
// to a bound; sensors that send JSON of their own, one of four, and cameras must
// be set up there, which --station does.
//
// Everything is bounded, count and time; Ctrl-C ends it within five seconds,
// with the figures so far.
package main
