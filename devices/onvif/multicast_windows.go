//go:build windows

package onvif

import (
	"net/netip"
	"syscall"
)

// sendFrom makes a socket send its multicasts on the network of one address.
func sendFrom(from netip.Addr) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var fault error
		err := c.Control(func(fd uintptr) {
			fault = syscall.SetsockoptInet4Addr(syscall.Handle(fd), syscall.IPPROTO_IP, syscall.IP_MULTICAST_IF, from.As4())
		})
		if err != nil {
			return err
		}
		return fault
	}
}
