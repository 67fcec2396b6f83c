package devices

import (
	"errors"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/devices/broker"
	"stationd/devices/mqtt"
	"stationd/devices/payload"
)

// Config is how sensors are listened to. Which sensors and brokers there are is
// data, see Registry.
type Config struct {
	// Broker is the built-in broker. With an empty listen there is none.
	Broker broker.Config `yaml:"broker"`
	// Link is how external brokers are connected to.
	Link mqtt.Config `yaml:"link"`
	// CommitTimeout is how long one report may take to be stored before its
	// message counts as refused.
	CommitTimeout time.Duration `yaml:"commit_timeout"`
	// Grace is how long a broker or a bridge must have been back before the
	// silence of its sensors counts.
	Grace time.Duration `yaml:"grace"`
	// ComeBack is how long a device may take to come back after a broker outside
	// has said that it is gone. A broker that is started again tells the wills of
	// all who were connected, and they come back in a moment.
	ComeBack time.Duration `yaml:"come_back"`
	// PressLasts is how long after an event without an end, such as a button
	// pressed, its condition counts as over.
	PressLasts time.Duration `yaml:"press_lasts"`
	// LateAfter is how old, by the device's own clock, a message may be before
	// it counts as news from the past.
	LateAfter time.Duration `yaml:"late_after"`
	// MaxUnknown is how many devices that nobody has registered are reported at
	// most. Beyond it only life-safety alarms are, those beyond four times as many
	// as the alarms of one device.
	MaxUnknown int `yaml:"max_unknown"`
	// Zigbee2MQTT are the base topics below which devices may appear by
	// themselves, on any broker.
	Zigbee2MQTT []string `yaml:"zigbee2mqtt"`
}

// DefaultConfig is for a station with a built-in broker.
func DefaultConfig() Config {
	return Config{
		Broker:        broker.DefaultConfig(),
		Link:          mqtt.DefaultConfig(),
		CommitTimeout: 10 * time.Second,
		Grace:         10 * time.Minute,
		ComeBack:      30 * time.Second,
		PressLasts:    30 * time.Second,
		LateAfter:     5 * time.Minute,
		MaxUnknown:    256,
		Zigbee2MQTT:   []string{payload.FamilyZigbee2MQTT},
	}
}

// Validate names every fault with its key.
func (c Config) Validate() error {
	var faults []error
	fault := func(key, hint, format string, args ...any) {
		faults = append(faults, station.Errorf(400, "config.invalid", hint, format, args...).At(key))
	}
	if c.Broker.Listen != "" {
		faults = append(faults, station.Under("broker", c.Broker.Validate()))
	}
	faults = append(faults, station.Under("link", c.Link.Validate()))
	for key, d := range map[string]time.Duration{"commit_timeout": c.CommitTimeout, "grace": c.Grace, "come_back": c.ComeBack, "press_lasts": c.PressLasts, "late_after": c.LateAfter} {
		if d <= 0 || d > 24*time.Hour {
			fault(key, "leave the key out for the default", "%s is not within 0s and 24h", d)
		}
	}
	if c.MaxUnknown < 0 || c.MaxUnknown > 10_000 {
		fault("max_unknown", "leave the key out for the default", "%d is not within 0 and 10000", c.MaxUnknown)
	}
	for _, base := range c.Zigbee2MQTT {
		if !broker.ValidTopic(base) || strings.HasSuffix(base, "/") {
			fault("zigbee2mqtt", "write it as in Zigbee2MQTT's base_topic", "%q cannot be a base topic", base)
		}
	}
	return errors.Join(faults...)
}
