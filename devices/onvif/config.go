package onvif

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"stationd/agent/station"
)

// Config is how devices are found and spoken to.
type Config struct {
	// Interface is where cameras are looked for: a network interface ("eth1") or
	// one of the machine's own addresses. Empty is every interface that is up.
	Interface string `yaml:"interface"`
	// DiscoverFor is how long answers are waited for when cameras are looked for.
	DiscoverFor time.Duration `yaml:"discover_for"`
	// Timeout is how long a device has to answer one request.
	Timeout time.Duration `yaml:"timeout"`
	// Hold is how long a camera goes on turning without a new order.
	Hold time.Duration `yaml:"hold"`
	// Events tells whether cameras are asked for what they detect.
	Events bool `yaml:"events"`
}

// DefaultConfig looks on every network.
func DefaultConfig() Config {
	return Config{DiscoverFor: 3 * time.Second, Timeout: 5 * time.Second, Hold: time.Second, Events: true}
}

// Validate names every fault with its key.
func (c Config) Validate() error {
	var faults []error
	fault := func(key, hint, format string, args ...any) {
		faults = append(faults, station.Errorf(400, "config.invalid", hint, format, args...).At(key))
	}
	if addr, err := netip.ParseAddr(c.Interface); err == nil && !addr.Is4() || err != nil && len(c.Interface) > 63 {
		// An interface may come later, so that its name is not looked up here.
		fault("interface", `write a name as "eth1", or an IPv4 address of this machine`, "this is no interface")
	}
	for _, d := range []struct {
		key         string
		d           time.Duration
		least, most time.Duration
	}{
		{"discover_for", c.DiscoverFor, 500 * time.Millisecond, 30 * time.Second},
		{"timeout", c.Timeout, 500 * time.Millisecond, time.Minute},
		{"hold", c.Hold, 200 * time.Millisecond, 10 * time.Second},
	} {
		if d.d < d.least || d.d > d.most {
			fault(d.key, "leave the key out for the default", "%s is not within %s and %s", d.d, d.least, d.most)
		}
	}
	return errors.Join(faults...)
}

// interfaces are those that cameras are looked for on, with an address each.
func (c Config) interfaces() ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(c.Interface); err == nil {
		return []netip.Addr{addr}, nil
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, i := range all {
		named := i.Name == c.Interface
		if c.Interface != "" && !named || i.Flags&net.FlagUp == 0 || i.Flags&net.FlagMulticast == 0 && !named {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue // it has gone in the meantime
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
				addr, _ := netip.AddrFromSlice(n.IP.To4())
				out = append(out, addr)
			}
		}
	}
	if len(out) == 0 {
		return nil, station.Errorf(409, "onvif.interface", "name an interface that is up in onvif.interface, or leave it empty for all", "there is no network to look on")
	}
	return out, nil
}
