// Package sound calls out alarms on the PC's own audio output. A browser's tab may
// be closed or muted; this sounds all the same, from the daemon.
//
// Tones are made here, as samples, and played by aplay of alsa-utils, one short
// process for each phrase: no C library is linked, whatever ALSA can play to can
// be played to, and silence is one killed process away. Between alarms the output
// is tried now and then with a moment of silence, and the mixer is asked whether
// it is muted, so that a loudspeaker that is gone is known before it is needed.
//
// Sound never blocks and never waits for the output. What it is told last is what
// counts.
package sound
