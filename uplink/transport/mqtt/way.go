package mqtt

import (
	"fmt"
	"net"
	"net/netip"
	"time"
)

// wayFrom is a dialler whose connections begin at an address or an interface of
// this machine; empty leaves it to the system.
func wayFrom(from string) (*net.Dialer, error) {
	d := &net.Dialer{KeepAlive: 15 * time.Second}
	if from == "" {
		return d, nil
	}
	if a, err := netip.ParseAddr(from); err == nil {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0))
		return d, nil
	}
	if _, err := net.InterfaceByName(from); err != nil {
		return nil, fmt.Errorf("second line from %q: %w", from, err)
	}
	return d, bindTo(d, from)
}
