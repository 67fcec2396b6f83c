package budget

import (
	"errors"

	"stationd/agent/station"
)

// Config is what the line carries.
type Config struct {
	// Up and Down are the rates of the line, as they were bought.
	Up   Rate `yaml:"up"`
	Down Rate `yaml:"down"`
	// Reserve is the part of Up that live pictures leave to conferences.
	Reserve Rate `yaml:"reserve"`
}

// DefaultConfig is the line that the stations are given.
func DefaultConfig() Config { return Config{Up: 50 * Mbit, Down: 50 * Mbit, Reserve: 8 * Mbit} }

// Validate names every fault.
func (c Config) Validate() error {
	var faults []error
	fault := func(place, hint, format string, args ...any) {
		faults = append(faults, station.Errorf(400, "config.invalid", hint, format, args...).At(place))
	}
	const hint = "write what was bought, for example 50Mbit/s"
	if c.Up < 256*Kbit || c.Up > 100*Gbit {
		fault("up", hint, "%s is not within 256kbit/s and 100Gbit/s", c.Up)
	}
	if c.Down < 256*Kbit || c.Down > 100*Gbit {
		fault("down", hint, "%s is not within 256kbit/s and 100Gbit/s", c.Down)
	}
	if c.Reserve < 0 || c.Reserve > c.Up*8/10 {
		fault("reserve", "leave at least a fifth of up to the rest", "%s is not within 0 and four fifths of %s", c.Reserve, c.Up)
	}
	return errors.Join(faults...)
}
