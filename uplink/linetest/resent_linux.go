package linetest

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// resent is how many packets of a connection were sent again, and of how many.
func resent(c net.Conn) (again, all uint64, ok bool) {
	for {
		inner, wrapped := c.(interface{ NetConn() net.Conn })
		if !wrapped {
			break
		}
		c = inner.NetConn()
	}
	s, ok := c.(syscall.Conn)
	if !ok {
		return 0, 0, false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, 0, false
	}
	var info *unix.TCPInfo
	if cerr := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); cerr != nil || err != nil {
		return 0, 0, false
	}
	return uint64(info.Total_retrans), uint64(info.Data_segs_out), true
}
