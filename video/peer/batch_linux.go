package peer

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"
	"unsafe"
)

// udpSegment is the option that has the kernel cut a datagram up (Linux 4.18).
const udpSegment = 103

// sendSegments sends buf as n datagrams of size bytes, the last of which may be
// shorter.
func (p *udpPort) sendSegments(buf []byte, size, n int, to netip.AddrPort) error {
	var oob [32]byte
	control := oob[:syscall.CmsgSpace(2)]
	h := (*syscall.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = syscall.IPPROTO_UDP, udpSegment
	h.SetLen(syscall.CmsgLen(2))
	binary.NativeEndian.PutUint16(oob[syscall.CmsgLen(0):], uint16(size))
	_, _, err := p.UDPConn.WriteMsgUDPAddrPort(buf, control, to)
	p.count(uint64(n), err)
	return err
}

// noSegments tells that the kernel or the network card does not know how.
func noSegments(err error) bool {
	return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOPROTOOPT)
}
