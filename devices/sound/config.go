package sound

import (
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"

	"stationd/agent/station"
)

// Config is which output is used, and how.
type Config struct {
	// Device is the ALSA device, "plughw:0,0"; `aplay -L` lists them. Empty is
	// the system's default, and a machine that never had one is left in peace.
	Device string `yaml:"device"`
	// Mixer is the ALSA control device that is asked whether the output is
	// muted, "hw:0"; empty follows from device, "none" asks nobody.
	Mixer string `yaml:"mixer"`
	// Off switches the sound of the daemon off.
	Off bool `yaml:"off"`
	// Required makes a missing output an alarm even on a machine that never had
	// one. It is implied by naming a device.
	Required bool `yaml:"required"`
	// Volume is how loud the tones are made, 1 to 100. The mixer is left alone.
	Volume int `yaml:"volume"`
	// Probe is how often the output is tried while nothing sounds.
	Probe time.Duration `yaml:"probe"`
}

// DefaultConfig uses the system's output where there is one.
func DefaultConfig() Config { return Config{Volume: 100, Probe: 30 * time.Second} }

// Needed tells that the configuration asks for an output.
func (c Config) Needed() bool { return !c.Off && (c.Required || c.Device != "") }

// Validate reports every fault, each with its key.
func (c Config) Validate() error {
	var faults []error
	bad := func(key, hint, message string) {
		faults = append(faults, station.Errorf(http.StatusBadRequest, "config.invalid", hint, "%s", message).At(key))
	}
	name := func(key, text string) {
		if strings.HasPrefix(text, "-") || len(text) > 200 || strings.ContainsFunc(text, unicode.IsControl) {
			bad(key, "use a name that `aplay -L` lists, or plughw:0,0", "this is no name of a device")
		}
	}
	name("device", c.Device)
	name("mixer", c.Mixer)
	if c.Volume < 1 || c.Volume > 100 {
		bad("volume", "use 1 to 100; off: true is silence", "the volume is out of range")
	}
	if c.Probe < time.Second || c.Probe > time.Hour {
		bad("probe", "use 1s to 1h", "the time between two tries is out of range")
	}
	if c.Off && c.Required {
		bad("required", "decide for one of them", "the sound is both off and required")
	}
	return errors.Join(faults...)
}
