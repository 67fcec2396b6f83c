//go:build !linux

package mqtt

import (
	"fmt"
	"net"
	"net/netip"
)

// bindTo makes connections leave from an interface's own address; the system's
// routes decide the rest.
func bindTo(d *net.Dialer, name string) error {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	all, err := i.Addrs()
	if err != nil {
		return err
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.Addr(), 0))
			return nil
		}
	}
	return fmt.Errorf("the interface %s has no address", name)
}
