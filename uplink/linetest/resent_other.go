//go:build !linux

package linetest

import "net"

// resent is known on Linux alone.
func resent(net.Conn) (again, all uint64, ok bool) { return 0, 0, false }
