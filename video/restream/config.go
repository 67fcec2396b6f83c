package restream

import (
	"errors"
	"net"
	"strconv"

	"stationd/agent/station"
)

// Config says where other software finds the cameras. Without an address
// nothing is served.
type Config struct {
	// Listen is the address for rtsp://, ":8554" by custom. Accounts and
	// passwords cross the network unencrypted there: use it on this machine or in
	// a network of cameras, and give such software an account of its own.
	Listen string `yaml:"listen"`
	// ListenTLS is the address for rtsps://, with the node's certificate.
	ListenTLS string `yaml:"listen_tls"`
	// UDPListen is the first of the two ports for RTP over UDP, an even one such
	// as ":8050"; the next one is for its reports. Empty serves over TCP alone.
	UDPListen string `yaml:"udp_listen"`
	// MaxConnections bounds the connections of all addresses together.
	MaxConnections int `yaml:"max_connections"`
}

// DefaultConfig serves nothing.
func DefaultConfig() Config { return Config{MaxConnections: 32} }

// Enabled tells whether anything is served.
func (c Config) Enabled() bool { return c.Listen != "" || c.ListenTLS != "" }

// Validate names every fault with its key.
func (c Config) Validate() error {
	var faults []error
	fault := func(key, hint, format string, args ...any) {
		faults = append(faults, station.Errorf(400, "config.invalid", hint, format, args...).At(key))
	}
	for _, x := range []struct{ key, address string }{{"listen", c.Listen}, {"listen_tls", c.ListenTLS}} {
		if _, _, err := net.SplitHostPort(x.address); x.address != "" && err != nil {
			fault(x.key, `use host:port, for example ":8554", or leave it empty`, "%q is not an address to listen on", x.address)
		}
	}
	if c.Listen != "" && c.Listen == c.ListenTLS {
		fault("listen_tls", "give it a port of its own, 8322 by custom", "it is the address of listen")
	}
	if c.UDPListen != "" {
		if _, err := nextPort(c.UDPListen); err != nil {
			fault("udp_listen", `use host:port with an even port, for example ":8050", or leave it empty`, "%q is not the first of two ports", c.UDPListen)
		} else if c.Listen == "" {
			fault("udp_listen", "set listen too, or leave it empty", "only rtsp:// is served over UDP")
		}
	}
	if c.MaxConnections < 1 || c.MaxConnections > 1024 {
		fault("max_connections", "32 is right for a station", "%d is not between 1 and 1024", c.MaxConnections)
	}
	return errors.Join(faults...)
}

// nextPort is the address of the port behind an even one.
func nextPort(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || n%2 != 0 {
		return "", errors.New("not an even port")
	}
	return net.JoinHostPort(host, strconv.FormatUint(n+1, 10)), nil
}
