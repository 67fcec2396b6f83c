package broker

import (
	"crypto/tls"
	"errors"
	"net"
	"time"

	"stationd/agent/station"
)

// Config is where the broker listens and how much it lets clients use.
type Config struct {
	// Listen is the address that sensors connect to, "host:port" or ":port".
	Listen string `yaml:"listen"`
	// ListenTLS is the address at which sensors connect by TLS beside the plain
	// one, such as ":8883". Empty switches it off.
	ListenTLS string `yaml:"listen_tls"`
	// TLS is spoken at ListenTLS or, where that is empty and this is set, at
	// Listen instead of plain TCP. Its ClientAuth decides whether clients must
	// show certificates.
	TLS *tls.Config `yaml:"-"`
	// MaxClients is how many clients may be connected at once; a further one is
	// turned away.
	MaxClients int `yaml:"max_clients"`
	// MaxPerAddress is how many connections one network address may have; zero is
	// no limit of its own.
	MaxPerAddress int `yaml:"max_per_address"`
	// MaxHalfOpen is how many connections there may be that have not introduced
	// themselves yet, half of it from one address.
	MaxHalfOpen int `yaml:"max_half_open"`
	// MaxRate is how many messages a second one client may publish in the long
	// run, MaxBurst how many at once. Beyond it messages of QoS 1 and 2 wait, by
	// not being read; those of QoS 0 are dropped and counted, but for alarms.
	// Zero is no limit.
	MaxRate  int `yaml:"max_rate"`
	MaxBurst int `yaml:"max_burst"`
	// MaxSessions is how many sessions are kept, those of disconnected clients
	// included; a new client is turned away when it would be one more.
	MaxSessions int `yaml:"max_sessions"`
	// SessionExpiry is how long the session of a disconnected client is kept.
	SessionExpiry time.Duration `yaml:"session_expiry"`
	// MaxPacket is the largest packet, in bytes; who sends a larger one is
	// disconnected.
	MaxPacket int `yaml:"max_packet"`
	// MaxInflight is how many unacknowledged messages are kept for one client;
	// further ones are dropped for it and counted.
	MaxInflight int `yaml:"max_inflight"`
	// MaxQueued is how many messages wait for the network of one client;
	// further ones are dropped for it and counted.
	MaxQueued int `yaml:"max_queued"`
	// MaxRetained is how many topics may hold a retained message; further ones
	// are passed on without being retained, and counted.
	MaxRetained int `yaml:"max_retained"`
	// MaxRetainedBytes is how many bytes the retained messages may have in all;
	// beyond it the same holds.
	MaxRetainedBytes int `yaml:"max_retained_bytes"`
	// Retained is where the retained messages outlive the program. Nil is nowhere.
	Retained Store `yaml:"-"`
	// Hold is how long a client whose message was refused is left waiting
	// before it is disconnected, so that it does not storm back at once.
	Hold time.Duration `yaml:"hold"`
	// MaxLater is how many messages of one connection are left unacknowledged
	// by ErrLater. It must stay below the in-flight window of ordinary clients
	// (10 and more), or what is behind them would never come.
	MaxLater int `yaml:"max_later"`
	// ConnectTimeout bounds the TLS handshake and the wait for CONNECT.
	ConnectTimeout time.Duration `yaml:"connect_timeout"`
	// WriteTimeout bounds one write to a client; who does not read is closed.
	WriteTimeout time.Duration `yaml:"write_timeout"`
}

// DefaultConfig is for a station with some thousand sensors.
func DefaultConfig() Config {
	return Config{
		Listen:           ":1883",
		MaxClients:       4096,
		MaxPerAddress:    1024,
		MaxHalfOpen:      512,
		MaxRate:          2000,
		MaxBurst:         4000,
		MaxSessions:      8192,
		SessionExpiry:    24 * time.Hour,
		MaxPacket:        256 << 10,
		MaxInflight:      1024,
		MaxQueued:        1024,
		MaxRetained:      16384,
		MaxRetainedBytes: 16 << 20,
		Hold:             5 * time.Second,
		MaxLater:         8,
		ConnectTimeout:   10 * time.Second,
		WriteTimeout:     10 * time.Second,
	}
}

// Validate names every fault with its key.
func (c Config) Validate() error {
	var faults []error
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		faults = append(faults, station.Errorf(400, "config.invalid", "write host:port, or :port for every interface", "%q is not an address to listen on", c.Listen).At("listen"))
	}
	if _, _, err := net.SplitHostPort(c.ListenTLS); err != nil && c.ListenTLS != "" {
		faults = append(faults, station.Errorf(400, "config.invalid", "write host:port, or :port for every interface", "%q is not an address to listen on", c.ListenTLS).At("listen_tls"))
	}
	within := func(key string, v, least, most int) {
		if v < least || v > most {
			faults = append(faults, station.Errorf(400, "config.invalid", "leave the key out for the default", "%d is not within %d and %d", v, least, most).At(key))
		}
	}
	within("max_clients", c.MaxClients, 1, 100_000)
	within("max_per_address", c.MaxPerAddress, 0, 100_000)
	within("max_half_open", c.MaxHalfOpen, 1, 100_000)
	within("max_rate", c.MaxRate, 0, 1_000_000)
	if c.MaxRate > 0 {
		within("max_burst", c.MaxBurst, 1, 1_000_000)
	}
	within("max_sessions", c.MaxSessions, 1, 1_000_000)
	within("max_packet", c.MaxPacket, 1024, 64<<20)
	within("max_inflight", c.MaxInflight, 1, 65535)
	within("max_queued", c.MaxQueued, 1, 65535)
	within("max_retained", c.MaxRetained, 0, 1_000_000)
	within("max_retained_bytes", c.MaxRetainedBytes, 0, 1<<30)
	within("max_later", c.MaxLater, 0, 100)
	positive := func(key string, d, most time.Duration) {
		if d <= 0 || d > most {
			faults = append(faults, station.Errorf(400, "config.invalid", "leave the key out for the default", "%s is not within 0s and %s", d, most).At(key))
		}
	}
	positive("session_expiry", c.SessionExpiry, 365*24*time.Hour)
	positive("hold", c.Hold, time.Minute)
	positive("connect_timeout", c.ConnectTimeout, time.Minute)
	positive("write_timeout", c.WriteTimeout, time.Minute)
	return errors.Join(faults...)
}
