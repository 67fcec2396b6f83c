package sound

import "testing"

// What amixer says of real cards, shortened.
func TestMutedBy(t *testing.T) {
	const laptop = `Simple mixer control 'Master',0
  Capabilities: pvolume pvolume-joined pswitch pswitch-joined
  Playback channels: Mono
  Limits: Playback 0 - 87
  Mono: Playback 65 [75%] [-16.50dB] [on]
Simple mixer control 'Headphone',0
  Front Left: Playback 0 [0%] [-65.25dB] [off]
  Front Right: Playback 0 [0%] [-65.25dB] [off]
Simple mixer control 'PCM',0
  Front Left: Playback 255 [100%] [0.00dB]
  Front Right: Playback 255 [100%] [0.00dB]
Simple mixer control 'Capture',0
  Front Left: Capture 0 [0%] [-17.25dB] [off]
`
	for name, c := range map[string]struct {
		text string
		want bool
	}{
		"headphones off, the rest on": {laptop, false},
		"nothing to ask":              {"", false},
		"switched off":                {"Simple mixer control 'Master',0\n  Mono: Playback 65 [75%] [-16.50dB] [off]\n", true},
		"turned down":                 {"Simple mixer control 'Master',0\n  Mono: Playback 0 [0%] [-65.25dB] [on]\n", true},
		"PCM alone, turned down":      {"Simple mixer control 'PCM',0\n  Front Left: Playback 3 [1%] [-50dB]\n  Front Right: Playback 3 [1%] [-50dB]\n", true},
		"one channel of two":          {"Simple mixer control 'Master',0\n  Front Left: Playback 0 [0%] [off]\n  Front Right: Playback 50 [50%] [on]\n", false},
		"Master on, PCM down":         {"Simple mixer control 'Master',0\n  Mono: Playback 65 [75%] [on]\nSimple mixer control 'PCM',0\n  Mono: Playback 0 [0%]\n", true},
	} {
		if got := mutedBy(c.text); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestMixerFollowsFromDevice(t *testing.T) {
	for device, want := range map[string]string{"": "default", "default": "default", "plughw:1,0": "hw:1", "plughw:CARD=PCH,DEV=0": "hw:PCH", "hw:0": "hw:0"} {
		if got := newALSA(Config{Device: device}).mixer; got != want {
			t.Errorf("%q: %q, want %q", device, got, want)
		}
	}
	if got := newALSA(Config{Device: "x", Mixer: "none"}).mixer; got != "none" {
		t.Error(got)
	}
}
