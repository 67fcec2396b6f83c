package console

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"stationd/agent/station"
)

// Config is where and how the console is served.
type Config struct {
	// Listen is the address, "127.0.0.1:8480". Anything but loopback needs TLS.
	Listen string `yaml:"listen"`
	// TLS is "off" (loopback only) or "auto": a certificate from the node's own
	// authority, whose fingerprint the log tells at the start.
	TLS string `yaml:"tls"`
	// Hosts are further host names under which browsers may reach it. Loopback
	// and plain addresses are always allowed; a name is not, because any page
	// on the internet can make a name of its own point here.
	Hosts []string `yaml:"hosts"`
}

// The values of Config.TLS.
const (
	TLSOff  = "off"
	TLSAuto = "auto"
)

// DefaultConfig serves this machine alone.
func DefaultConfig() Config {
	return Config{Listen: "127.0.0.1:8480", TLS: TLSOff, Hosts: []string{}}
}

// Validate reports every fault, each with its key.
func (c Config) Validate() error {
	var faults []error
	bad := func(key, hint, format string, args ...any) {
		faults = append(faults, station.Errorf(400, "config.invalid", hint, format, args...).At(key))
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		bad("listen", "write address:port, for example 127.0.0.1:8480", "%q is no address", c.Listen)
	}
	for i, h := range c.Hosts {
		if _, err := netip.ParseAddr(h); err != nil && (h == "" || strings.ContainsAny(h, "/: ")) {
			bad(fmt.Sprintf("hosts[%d]", i), "write a name, without scheme and port", "%q is no host name", h)
		}
	}
	switch c.TLS {
	case TLSOff:
		if err == nil && !isLoopback(host) {
			bad("tls", "set console.tls to auto, or listen on 127.0.0.1", "passwords would cross the network in the clear on %s", c.Listen)
		}
	case TLSAuto:
	default:
		bad("tls", "use off or auto", "%q is unknown", c.TLS)
	}
	return errors.Join(faults...)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
