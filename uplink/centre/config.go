package centre

import (
	"errors"
	"net"
	"time"

	"stationd/agent/station"
	"stationd/uplink/pki"
)

// Config is where stations are let in, and how much they may use.
type Config struct {
	// Listen is the address for stations' MQTT over TLS. Empty means that this
	// node has no children.
	Listen string `yaml:"listen"`
	// ClipsListen is the address for clips, HTTPS; stations may also speak MQTT
	// over WebSocket there (wss). Empty means that no clips are taken in.
	ClipsListen string `yaml:"clips_listen"`
	// Certificate, Key and Authority are PEM files: ours, its key, and who
	// vouches for the stations.
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	Authority   string `yaml:"authority"`
	// Relay is a broker between the stations and this centre, beside the doors
	// above.
	Relay RelayConfig `yaml:"relay"`
	// MaxStations bounds the connections; more are turned away.
	MaxStations int `yaml:"max_stations"`
	// MaxClip is the largest clip, in bytes.
	MaxClip int64 `yaml:"max_clip"`
	// MaxUploads is how many pieces of clips are taken in at once.
	MaxUploads int `yaml:"max_uploads"`
	// LegTimeout is how long a station may take to offer a live picture.
	LegTimeout time.Duration `yaml:"leg_timeout"`
	// CommandRetry is how often a command without a receipt is sent again.
	CommandRetry time.Duration `yaml:"command_retry"`
	// HealthEvery is how often each station says how it is; 0s is never, and a
	// station that has fallen silent on a line that stands is not noticed then.
	HealthEvery time.Duration `yaml:"health_every"`
}

// DefaultConfig takes nobody in.
func DefaultConfig() Config {
	return Config{
		MaxStations: 256, MaxClip: 2 << 30, MaxUploads: 32,
		LegTimeout: 10 * time.Second, CommandRetry: 5 * time.Second, HealthEvery: 30 * time.Second,
	}
}

// Enabled tells whether stations are let in at all.
func (c Config) Enabled() bool { return c.Listen != "" }

// Validate names every fault.
func (c Config) Validate() error {
	if !c.Enabled() {
		return nil
	}
	var faults []error
	fault := func(place, hint, format string, args ...any) {
		faults = append(faults, station.Errorf(400, "config.invalid", hint, format, args...).At(place))
	}
	address := func(place, v string) {
		if _, _, err := net.SplitHostPort(v); err != nil {
			fault(place, "write host:port, or :port for every interface", "%q is not an address to listen on", v)
		}
	}
	address("listen", c.Listen)
	if c.ClipsListen != "" {
		address("clips_listen", c.ClipsListen)
	}
	for place, v := range map[string]string{"certificate": c.Certificate, "key": c.Key, "authority": c.Authority} {
		if v == "" {
			fault(place, "name a PEM file; stations are never let in without certificates", "the file is not named")
		}
	}
	faults = append(faults, station.Under("relay", c.Relay.Validate()))
	within := func(place string, v, least, most int64) {
		if v < least || v > most {
			fault(place, "leave the key out for the default", "%d is not within %d and %d", v, least, most)
		}
	}
	within("max_stations", int64(c.MaxStations), 1, 10_000)
	within("max_clip", c.MaxClip, 1<<20, 1<<40)
	within("max_uploads", int64(c.MaxUploads), 1, 1024)
	if c.LegTimeout < time.Second || c.LegTimeout > time.Minute {
		fault("leg_timeout", "leave the key out for the default", "%s is not within 1s and 1m", c.LegTimeout)
	}
	if c.CommandRetry < time.Second || c.CommandRetry > 10*time.Minute {
		fault("command_retry", "leave the key out for the default", "%s is not within 1s and 10m", c.CommandRetry)
	}
	if c.HealthEvery != 0 && (c.HealthEvery < time.Second || c.HealthEvery > 10*time.Minute) {
		fault("health_every", "leave the key out for the default", "%s is not 0s or within 1s and 10m", c.HealthEvery)
	}
	return errors.Join(faults...)
}

func (c Config) files() pki.Files {
	return pki.Files{Certificate: c.Certificate, Key: c.Key, Authority: c.Authority}
}
