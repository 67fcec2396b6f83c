package disk

import (
	"errors"

	"stationd/agent/station"
)

// Config is the watermarks of free space. The reserve counts as used.
type Config struct {
	// Reserve is kept in a file and given back when urgent data need it.
	Reserve Bytes `yaml:"reserve" json:"reserve"`
	// Low is where people are told.
	Low Bytes `yaml:"low" json:"low"`
	// Full is where bulk readings are refused.
	Full Bytes `yaml:"full" json:"full"`
	// Tight is where everything but urgent is refused.
	Tight Bytes `yaml:"tight" json:"tight"`
	// Floor is what the database itself needs in order to write at all: its next
	// log and the tables that are being written. Urgent data are taken in while
	// this much is free, the reserve included.
	Floor Bytes `yaml:"floor" json:"floor"`
}

// DefaultConfig suits a station's data disk.
func DefaultConfig() Config {
	return Config{Reserve: 64 * MiB, Low: 2 * GiB, Full: 512 * MiB, Tight: 128 * MiB, Floor: 24 * MiB}
}

// MinFloor is the least Floor: one log of 8 MiB and one table.
const MinFloor = 14 * MiB

// Validate gathers all faults.
func (c Config) Validate() error {
	var faults []error
	fault := func(key, hint, message string) {
		faults = append(faults, station.Errorf(400, "config.invalid", hint, "%s", message).At(key))
	}
	if c.Floor < MinFloor {
		fault("floor", "use "+MinFloor.String()+" or more", "the database cannot write with less than this")
	}
	if c.Reserve < c.Floor {
		fault("reserve", "use "+c.Floor.String()+" or more", "a reserve below the floor would not let urgent data in")
	}
	if c.Tight < c.Floor {
		fault("tight", "use "+c.Floor.String()+" or more", "must not be below floor")
	}
	if c.Full < c.Tight {
		fault("full", "use "+c.Tight.String()+" or more", "must not be below tight")
	}
	if c.Low < c.Full {
		fault("low", "use "+c.Full.String()+" or more", "must not be below full")
	}
	return errors.Join(faults...)
}
