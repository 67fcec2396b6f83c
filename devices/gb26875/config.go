package gb26875

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"stationd/agent/station"
)

// Config is where transmission units connect and how many may.
type Config struct {
	// Listen is the TCP address at which transmission units report, such as
	// ":26875". Empty switches it off.
	Listen string `yaml:"listen"`
	// Allow are the networks from which units may connect, such as
	// "10.8.0.0/16". Empty lets in whoever reaches the address: the protocol
	// itself knows no password.
	Allow []string `yaml:"allow"`
	// MaxConnections is how many units may be connected at once.
	MaxConnections int `yaml:"max_connections"`
	// MaxUnidentified is how many connections there may be that have sent no
	// frame yet.
	MaxUnidentified int `yaml:"max_unidentified"`
	// IdentifyWithin is how long a connection has for its first frame.
	IdentifyWithin time.Duration `yaml:"identify_within"`
	// Idle is after how long without a frame a connection is closed. Units send
	// a heartbeat every 20 to 30 s.
	Idle time.Duration `yaml:"idle"`
	// Absent is after how long without a connection a unit is reported as gone,
	// and the parts behind it as unheard.
	Absent time.Duration `yaml:"absent"`
}

// DefaultConfig listens to nobody.
func DefaultConfig() Config {
	return Config{
		MaxConnections: 256, MaxUnidentified: 32, IdentifyWithin: 30 * time.Second, Idle: 10 * time.Minute, Absent: 5 * time.Minute,
	}
}

// Validate names every fault with its key.
func (c Config) Validate() error {
	var faults []error
	fault := func(key, hint, format string, args ...any) {
		faults = append(faults, station.Errorf(400, "config.invalid", hint, format, args...).At(key))
	}
	if c.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Listen); err != nil {
			fault("listen", `write it as ":26875" or "192.0.2.1:26875"`, "%q is no address", c.Listen)
		}
	}
	for _, network := range c.Allow {
		if _, err := netip.ParsePrefix(network); err != nil {
			fault("allow", `write it as "10.8.0.0/16"; one address is "10.8.0.9/32"`, "%q is no network", network)
		}
	}
	for _, n := range []struct {
		key  string
		n    int
		most int
	}{{"max_connections", c.MaxConnections, 10_000}, {"max_unidentified", c.MaxUnidentified, 1_000}} {
		if n.n < 1 || n.n > n.most {
			fault(n.key, "leave the key out for the default", "%d is not within 1 and %d", n.n, n.most)
		}
	}
	for _, d := range []struct {
		key string
		d   time.Duration
	}{{"identify_within", c.IdentifyWithin}, {"idle", c.Idle}, {"absent", c.Absent}} {
		if d.d < time.Second || d.d > 24*time.Hour {
			fault(d.key, "leave the key out for the default", "%s is not within 1s and 24h", d.d)
		}
	}
	return errors.Join(faults...)
}
