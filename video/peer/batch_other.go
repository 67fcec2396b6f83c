//go:build !linux

package peer

import (
	"errors"
	"net/netip"
)

// Elsewhere each datagram is sent by itself.
func (p *udpPort) sendSegments([]byte, int, int, netip.AddrPort) error { return errors.ErrUnsupported }

func noSegments(err error) bool { return errors.Is(err, errors.ErrUnsupported) }
