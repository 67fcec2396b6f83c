package peer

import (
	"errors"
	"net/netip"
	"time"

	"stationd/agent/station"
)

// Config says where peers find the Hub and how many may come.
type Config struct {
	// UDPListen is the address of the one UDP port of all sessions. A host that
	// is empty or 0.0.0.0 means every IPv4 address; an IPv6 address of the
	// machine makes the Hub speak IPv6 instead.
	UDPListen string `yaml:"udp_listen"`
	// TCPListen is the TCP port for peers whose network lets no UDP through.
	// Empty means none.
	TCPListen string `yaml:"tcp_listen"`
	// Advertise are the addresses that peers are told, in order of preference.
	// Empty means the addresses that the ports are bound to. It is needed behind
	// a router that forwards the ports from an address of its own.
	Advertise []netip.Addr `yaml:"advertise"`
	// MaxSessions bounds viewers and relay legs together.
	MaxSessions int `yaml:"max_sessions"`
	// SessionTimeout is how long a peer may be silent, or take to connect.
	SessionTimeout time.Duration `yaml:"session_timeout"`
}

// DefaultConfig is port 8189 on every address, for 64 sessions.
func DefaultConfig() Config {
	return Config{
		UDPListen:      ":8189",
		TCPListen:      ":8189",
		MaxSessions:    64,
		SessionTimeout: 15 * time.Second,
	}
}

// Validate names every fault with its key.
func (c Config) Validate() error {
	var faults []error
	fault := func(key, hint, format string, args ...any) {
		faults = append(faults, station.Errorf(400, "config.invalid", hint, format, args...).At(key))
	}
	udp, err := listenAddr(c.UDPListen)
	if err != nil {
		fault("udp_listen", `use host:port, for example ":8189"`, "%q is not an address to listen on", c.UDPListen)
	}
	if c.TCPListen != "" {
		tcp, err := listenAddr(c.TCPListen)
		switch {
		case err != nil:
			fault("tcp_listen", `use host:port, for example ":8189", or leave it empty`, "%q is not an address to listen on", c.TCPListen)
		case udp.IsValid() && tcp.Addr().Is6() != udp.Addr().Is6():
			fault("tcp_listen", "give both ports an address of the same family", "%q is not of the family of udp_listen", c.TCPListen)
		}
	}
	for _, a := range c.Advertise {
		if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
			fault("advertise", "name an address under which browsers reach this machine", "%q is not an address that a peer can reach", a)
		} else if udp.IsValid() && a.Unmap().Is6() != udp.Addr().Is6() {
			fault("advertise", "name addresses of the family of udp_listen", "%q is not of the family of udp_listen", a)
		}
	}
	if c.MaxSessions < 1 || c.MaxSessions > 4096 {
		fault("max_sessions", "64 is right for a station", "%d is not between 1 and 4096", c.MaxSessions)
	}
	if c.SessionTimeout < time.Second || c.SessionTimeout > 5*time.Minute {
		fault("session_timeout", "15s is right for most networks", "%v is not between 1s and 5m", c.SessionTimeout)
	}
	return errors.Join(faults...)
}
